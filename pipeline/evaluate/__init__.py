"""Scoring models on a release: what they are shown, what they answer, and what the figures say."""
