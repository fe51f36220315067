"""Questions: composing items from routes, checking them, items that a model writes."""
