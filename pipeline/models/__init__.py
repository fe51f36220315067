"""Any OpenAI-compatible model server: requests, replies, budget, pacing."""
