"""Random routes from a grammar, on which composing and the blind probe are measured.

On average 4 turns, 5 landmarks and 4 actions; 55 % of turns go right. A third of all pairs of names
occur in a fixed order, the rest in either order.
"""

import itertools
import random
from collections.abc import Sequence

from pipeline.motion.rows import Clip
from pipeline.routes.route import fingerprint
from pipeline.routes.rows import Route, Step
from pipeline.sources.rows import Video

_COLOURS = ("red", "blue", "green", "white", "yellow", "grey")
_THINGS = ("door", "poster", "plant", "sign", "shelf", "lift")
LANDMARKS = tuple(f"{colour} {thing}" for colour in _COLOURS for thing in _THINGS)
_DOINGS = (("opens", "closes"), ("takes", "puts back"), ("switches on", "switches off"))
_OBJECTS = ("cup", "lamp", "drawer", "book", "radio", "window", "bag", "box")
ACTIONS = tuple(
    (f"{do} the {thing}", f"{undo} the {thing}") for do, undo in _DOINGS for thing in _OBJECTS
)
_SPLITS = ("train", "validation", "test")

FixedOrders = dict[frozenset[str], tuple[str, str]]


def fix_orders(rng: random.Random) -> FixedOrders:
    """Fix the order of a third of the name pairs, by one hidden ranking of all names."""
    rank = [*LANDMARKS, *(name for name, _ in ACTIONS)]
    rng.shuffle(rank)
    pairs = itertools.combinations(rank, 2)
    return {frozenset(pair): pair for pair in pairs if rng.random() < 1 / 3}


def draw_steps(rng: random.Random, fixed: FixedOrders) -> list[Step]:
    """Draw the steps of one route, two to four seconds each."""
    turns = rng.choices(("right", "left", "around"), (52, 43, 5), k=_about(rng, 4))
    landmarks = _ordered(rng, rng.sample(LANDMARKS, _about(rng, 5)), fixed)
    undo = dict(rng.sample(ACTIONS, _about(rng, 4)))
    doings = _ordered(rng, list(undo), fixed)
    waiting = {"turn": iter(turns), "landmark": iter(landmarks), "action": iter(doings)}
    slots = ["turn"] * len(turns) + ["landmark"] * len(landmarks) + ["action"] * len(doings)
    rng.shuffle(slots)
    steps, at = [], 0
    for slot in slots:
        end = at + rng.randrange(2_000_000, 4_000_000)
        word = next(waiting[slot])
        fields: dict[str, object] = {"move": word if slot == "turn" else "straight"}
        if slot == "landmark":
            fields["landmark"] = word
        elif slot == "action":
            fields |= {"action": word, "undo": undo[word]}
        steps.append(Step.model_validate({"start_us": at, "end_us": end, **fields}))
        at = end
    return steps or [Step(start_us=0, end_us=1_000_000, move="straight")]


def _about(rng: random.Random, mean: int) -> int:
    return max(0, round(rng.gauss(mean, 1.3)))


def _ordered(rng: random.Random, names: Sequence[str], fixed: FixedOrders) -> list[str]:
    """Shuffle names, then swap neighbours that violate a fixed order."""
    result = rng.sample(list(names), len(names))
    for _ in names:
        for position in range(len(result) - 1):
            pair = (result[position], result[position + 1])
            result[position : position + 2] = fixed.get(frozenset(pair), pair)
    return result


def draw_rows(clips: int, seed: int = 0) -> tuple[list[Video], list[Clip], list[Route]]:
    """Draw a workspace of videos of one clip each, four to a split group."""
    rng = random.Random(seed)
    fixed = fix_orders(rng)
    videos, spans, routes = [], [], []
    for number in range(clips):
        if number % 4 == 0:
            split = rng.choices(_SPLITS, (15, 5, 80))[0]
        steps = draw_steps(rng, fixed)
        end = steps[-1].end_us
        clip_id, video_id = f"c_{number:08d}", f"v_{number:08d}"
        videos.append(_video(video_id, number // 4, split, end))
        spans.append(Clip(clip_id=clip_id, video_id=video_id, start_us=0, end_us=end))
        routes.append(_route(clip_id, steps))
    return videos, spans, routes


def _video(video_id: str, group: int, split: str, end_us: int) -> Video:
    return Video.model_validate(
        {
            "video_id": video_id,
            "root": "videos",
            "path": f"{video_id}.mp4",
            "sha256": video_id.rjust(64, "0"),
            "bytes": 1,
            "container": "mp4",
            "codec": "h264",
            "width": 640,
            "height": 480,
            "rotation": 0,
            "fps_num": 30,
            "fps_den": 1,
            "duration_us": end_us,
            "has_audio": False,
            "hfov_degrees": 90.0,
            "lens": "rectilinear",
            "scene": f"scene {group}",
            "wearer": None,
            "source": None,
            "licence": None,
            "consent": "release",
            "split_group": f"g_{group}",
            "split": split,
        }
    )


def _route(clip_id: str, steps: list[Step]) -> Route:
    return Route(
        clip_id=clip_id,
        origin="verified",
        verified_categories=["route", "direction", "landmark", "action"],
        fingerprint=fingerprint(steps, "there", "back"),
        provider="motion",
        model=None,
        prompt_sha256=None,
        reply_id=None,
        input_tokens=None,
        output_tokens=None,
        cost_usd=None,
        steps=steps,
        forward_description="there",
        reverse_description="back",
        confidence=1.0,
    )
