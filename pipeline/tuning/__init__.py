"""Training of models with torch: needs the extra `train`; nothing outside of this package imports torch."""
