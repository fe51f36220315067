"""The rows of the releases part: the frames that models are scored with, and what they look like."""

from pipeline.engine.rows import Row

# In footage of at least four frames per second, an older frame was frozen or stands for one that can't be decoded.
_STALE_US = 250_000


def shows_us(t_us: int, at_us: int) -> int:
    """Return the time (us) that a frame of `t_us` shows when it is displayed at `at_us`: its own if it is much older."""
    return at_us if at_us - t_us <= _STALE_US else t_us


class Still(Row):
    """One of a span's evenly spaced frames, which models are scored with; `look` is a perceptual hash.

    The frames of a mirrored span are flipped left to right, and so are their hashes. Items of an earlier
    version ask about whole clips: for the frames of such a clip, `span_id` is the clip's id.
    """

    table = "stills"
    key = ("span_id", "number")
    span_id: str
    video_id: str
    number: int
    t_us: int
    media: str
    sha256: str
    look: str
    width: int
    height: int

    def shows_us(self, at_us: int) -> int:
        """Return the time (us) that the frame displayed at `at_us` shows: its own if it is much older."""
        return shows_us(self.t_us, at_us)


class Looks(Row):
    """Perceptual hashes of what a span shows; stored in done.sqlite only, not as a table.

    `looks` are 16 hex digits each, five per second from the first still to the last; `flipped` are those of
    every fifth of these frames, flipped left to right. A mirrored span is flipped already.
    """

    table = "looks"
    key = ("span_id",)
    span_id: str
    video_id: str
    looks: str
    flipped: str
