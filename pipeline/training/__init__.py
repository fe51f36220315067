"""Training: rows made from a release's train split, for any trainer, and the rewards that score replies to them."""
