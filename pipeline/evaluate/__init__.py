"""Score models on a release."""
