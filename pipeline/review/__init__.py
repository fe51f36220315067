"""Human judgements and what follows from them."""
