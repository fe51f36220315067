"""Releases: what goes in, how it is written, read back, verified, told apart, taken down."""
