"""Reading and cutting video files: one reader decides time, rotation, shape and colour."""
