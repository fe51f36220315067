"""Reading and cutting video files: one reader defines time, rotation, aspect ratio and colour."""
