"""What would help a clip that has too little to ask about. Pure."""

from dataclasses import dataclass

from pipeline.routes.rows import Category

_WANTED: dict[Category, str] = {
    "route": "landmarks or actions",
    "direction": "turns",
    "landmark": "landmarks",
    "action": "actions",
}
_COLUMNS: dict[Category, str] = {
    "route": "a landmark and an action column",
    "landmark": "a landmark column",
    "action": "an action column",
}


@dataclass(frozen=True)
class Material:
    """What a clip has to ask about, and where it comes from; lengths are seconds.

    `span_seconds` is the length of what an item asks about, `provider` that of the route
    (`draft.provider`).
    """

    seconds: float
    video_seconds: float
    span_seconds: float
    provider: str
    landmarks: bool
    actions: bool

    @property
    def narrated(self) -> bool:
        """Whether the route names anything."""
        return self.landmarks or self.actions

    def knows(self, category: Category) -> bool:
        """Return whether the route names what items of this category ask about."""
        named = {"landmark": self.landmarks, "action": self.actions}
        return named.get(category, self.narrated)


def remedy(category: Category, clip: Material) -> str:
    """Return what would give this clip more to ask about in a category, as the fix of a rejection.

    Longer clips are suggested only where the clip is shorter than what an item asks about and its video
    goes on; narrations and a model only where they can name what is missing.
    """
    ways = []
    if clip.seconds + 1 < min(clip.video_seconds, clip.span_seconds):
        ways.append(f"longer clips (frames.max_clip_seconds; this one has {clip.seconds:.0f} s)")
    if category == "direction":
        return _joined([*ways, "add turns in review if the draft lacks some"])
    by_motion = clip.provider == "motion"
    if clip.knows(category):
        ways.append(f"narrations that name more {_WANTED[category]}")
    elif by_motion and clip.narrated:
        ways.append(f"{_COLUMNS[category]} in its narrations (.csv or .jsonl)")
    elif by_motion:
        ways.append(f"narrations with {_COLUMNS[category]} beside the video (.csv or .jsonl)")
    elif not clip.narrated:
        ways.append(f"narrations beside the video that name {_WANTED[category]}")
    if by_motion:
        ways.append("a model (draft.provider)")
    return _joined([*ways, f"add {_WANTED[category]} in review"])


def _joined(ways: list[str]) -> str:
    """Return alternatives as one sentence part: `a, b, or c`."""
    if len(ways) < 3:
        return ", or ".join(ways)
    return f"{', '.join(ways[:-1])}, or {ways[-1]}"
