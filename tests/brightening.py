"""A film that shows when and which way round it is seen."""

from pathlib import Path

import av
import numpy as np


def brightening(path: Path, seconds: int, fps: int, by: int, start: int) -> Path:
    """Write a film whose left half gets brighter from second to second, and whose right half is black."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(seconds * fps):
            picture = np.zeros((48, 64, 3), np.uint8)
            picture[:, :32] = by * (number // fps) + start
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode())
    return path
