"""Egocentric video in, a verified and blind-proof question-answer benchmark out: start at flow.py."""

__version__ = "0.1.0"
