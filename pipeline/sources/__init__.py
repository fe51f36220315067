"""The input: video files, manifests, narrations, splits."""
