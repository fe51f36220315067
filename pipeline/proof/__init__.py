"""Whether a trained model's gain comes from what the frames show. Needs no torch."""
