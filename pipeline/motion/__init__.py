"""Heading, turns, clips and keyframes, measured from one decode of a video."""
