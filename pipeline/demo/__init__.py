"""Rendered walks with exact ground truth, and the demo that uses them: see walks.py and story.py."""
