"""The rows of a release: the frames that models are scored with."""

from pipeline.engine.rows import Row


class Still(Row):
    """One of the equally distant frames of a clip that models are scored with; `look` is a perceptual hash."""

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
