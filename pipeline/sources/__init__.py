"""What comes in: files on disk, manifests, narrations, splits."""
