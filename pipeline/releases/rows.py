"""The table row of the releases part: the frames that models are scored with."""

from pipeline.engine.rows import Row


class Still(Row):
    """One of a clip's evenly spaced frames, which models are scored with; `look` is a perceptual hash."""

    table = "stills"
    key = ("clip_id", "number")
    clip_id: str
    number: int
    t_us: int
    media: str
    sha256: str
    look: str
    width: int
    height: int
