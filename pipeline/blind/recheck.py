"""x Pure."""
