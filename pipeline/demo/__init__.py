"""Rendered walks with exact truth, and the demo that is made of them: see walks.py and story.py."""
