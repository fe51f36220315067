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
    (`draft.provider`). `landmarks` and `actions` count those in the route.
    """

    seconds: float
    video_seconds: float
    span_seconds: float
    narrated: bool
    provider: str
    turns: int
    landmarks: int
    actions: int


def remedy(category: Category, clip: Material) -> str:
    """Return what would give this clip more to ask about in a category, as the fix of a rejection.

    Longer clips are suggested only where the clip is shorter than what an item asks about and its video
    goes on; narrations and a model only where they can name what is missing.
    """
    ways = []
    if clip.seconds + 1 < min(clip.video_seconds, clip.span_seconds):
        ways.append(f"longer clips (frames.max_clip_seconds; this one has {clip.seconds:.0f} s)")
    if category == "direction":
        have = f"this clip has {clip.turns}" if clip.turns else "this clip has none"
        return _joined([*ways, f"add turns in review if the draft lacks some ({have})"])
    by_motion = clip.provider == "motion"
    if by_motion and clip.narrated:
        ways.append(f"{_COLUMNS[category]} in its narrations (.csv or .jsonl)")
    elif by_motion:
        ways.append(f"narrations with {_COLUMNS[category]} beside the video (.csv or .jsonl)")
    elif not clip.narrated:
        ways.append(f"narrations beside the video that name {_WANTED[category]}")
    if by_motion:
        ways.append("a model (draft.provider)")
    return _joined([*ways, f"add {_WANTED[category]} in review{_if_any(category, clip)}"])


def _if_any(category: Category, clip: Material) -> str:
    known = {"landmark": clip.landmarks, "action": clip.actions}.get(
        category, clip.landmarks + clip.actions
    )
    return f" (the route names {known})" if known else ""


def _joined(ways: list[str]) -> str:
    """Return alternatives as one sentence part: `a, b, or c`."""
    if len(ways) < 3:
        return ", or ".join(ways)
    return f"{', '.join(ways[:-1])}, or {ways[-1]}"
