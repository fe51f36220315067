"""Small synthetic rows, for tests that need many of them."""

from collections.abc import Iterable, Sequence
from typing import Any

from pipeline.motion.rows import Clip
from pipeline.questions.rows import AskedFact, Item, Span
from pipeline.review.rows import Verdict
from pipeline.routes.route import fingerprint
from pipeline.routes.rows import Category, Move, Route, Step
from pipeline.sources.rows import Probe, Source, Video

SECOND = 1_000_000


def source(name: str = "a", **fields: Any) -> Source:
    given = {
        "source_id": f"s_{name}",
        "root": "here",
        "path": f"{name}.mp4",
        "bytes": 1,
        "mtime_ns": 1,
    }
    return Source.model_validate(given | fields)


def probe(name: str = "a", **fields: Any) -> Probe:
    given: dict[str, Any] = {
        "video_id": f"v_{name}", "root": "here", "path": f"{name}.mp4", "sha256": name[0] * 64, "bytes": 1,
        "container": "mp4", "codec": "h264", "width": 64, "height": 48, "rotation": 0, "fps_num": 30,
        "fps_den": 1, "duration_us": 10 * SECOND, "has_audio": False, "hfov_degrees": None,
        "lens": "rectilinear", "scene": None, "wearer": None, "source": None, "licence": None,
        "consent": "release", "wanted_split": None,
    }  # fmt: skip
    return Probe.model_validate(given | fields)


def video(name: str = "a", **fields: Any) -> Video:
    known = probe(name).model_dump(exclude={"wanted_split"})
    return Video.model_validate(known | {"split_group": f"g_{name}", "split": "test"} | fields)


def clip(name: str = "a", seconds: int = 60) -> Clip:
    return Clip(clip_id=f"c_{name}", video_id=f"v_{name}", start_us=0, end_us=seconds * SECOND)


def steps(moves: Iterable[Move], every_s: int = 5) -> list[Step]:
    """Return one step per move, each `every_s` seconds long."""
    length = every_s * SECOND
    return [
        Step(start_us=number * length, end_us=(number + 1) * length, move=move)
        for number, move in enumerate(moves)
    ]


def route(
    name: str = "a",
    moves: Sequence[Move] = ("left", "right", "right"),
    origin: str = "draft",
    verified: Sequence[Category] = (),
    **fields: Any,
) -> Route:
    found = steps(moves)
    given: dict[str, Any] = {
        "clip_id": f"c_{name}", "origin": origin, "verified_categories": list(verified),
        "fingerprint": fingerprint(found, "there", "back"), "provider": "motion", "model": None,
        "prompt_sha256": None, "reply_id": None, "input_tokens": None, "output_tokens": None,
        "cost_usd": None, "steps": found, "forward_description": "there", "reverse_description": "back",
        "confidence": 0.9,
    }  # fmt: skip
    return Route.model_validate(given | fields)


def verdict(of: Route, by: str = "person", **fields: Any) -> Verdict:
    given: dict[str, Any] = {
        "clip_id": of.clip_id, "fingerprint": of.fingerprint, "round": 1, "annotator": "Ann",
        "verdict": "accept", "reasons": [], "steps": of.steps, "forward_description": "there",
        "reverse_description": "back", "seconds": 30.0, "guideline_version": "1", "created_us": 7,
        "annotation_id": "1", "kind": "real", "by": by,
    }  # fmt: skip
    return Verdict.model_validate(given | fields)


def span(name: str = "a", seconds: int = 15, **fields: Any) -> Span:
    """Return a span that is its whole clip, with a frame for each second."""
    given: dict[str, Any] = {
        "span_id": f"s_{name}", "clip_id": f"c_{name}", "video_id": f"v_{name}", "start_us": 0,
        "end_us": seconds * SECOND, "mirrored": False, "made": "m",
        "frame_us": [second * SECOND + SECOND // 2 for second in range(seconds)],
    }  # fmt: skip
    return Span.model_validate(given | fields)


def item(**fields: Any) -> Item:
    """Return a correct forward direction item of span s_a, whose steps are straight, left, right."""
    return _direction(
        ["left", "right", "left", "right"], ["right", "right", "left", "left"], fields
    )


def reverse_item(**fields: Any) -> Item:
    """Return the twin of `item()`: on the way back, the first turn goes left and the second right."""
    twin = {"item_id": "i_r", "task": "direction_reverse", "orientation": "reverse"}
    options = ["left", "left", "right", "right"], ["left", "right", "left", "right"]
    return _direction(*options, {**twin, "answer_index": 1, **fields})


def _direction(first: Sequence[str], second: Sequence[str], fields: dict[str, Any]) -> Item:
    """Return an item about the first and the second turn; by default the answer is A."""
    options = [
        f"first turn {one}; second turn {two}" for one, two in zip(first, second, strict=True)
    ]
    given: dict[str, Any] = {
        "item_id": "i_f", "clip_id": "c_a", "video_id": "v_a", "span_id": "s_a", "twin": "t_a",
        "split": "test", "task": "direction_forward", "category": "direction",
        "orientation": "forward", "format": "mcq", "question": "Which turns?", "options": options,
        "answer_index": 0, "option_kind": "facts", "contrast": "turn",
        "facts": [
            asked("turn:1", first, "turn:2=right", "turn:1=right", (5, 10)),
            asked("turn:2", second, "turn:1=left", "turn:2=left", (10, 15)),
        ],
        "reference_moves": [], "reference_landmarks": [], "status": "verified",
        "status_reason": None, "fingerprint": "f",
    }  # fmt: skip
    given |= fields
    if "answer_text" not in given:
        given["answer_text"] = given["options"][given["answer_index"] or 0]
    return Item.model_validate(given)


def asked(
    name: str, values: Sequence[str], back: str, mirrored: str, seconds: tuple[int, int]
) -> AskedFact:
    """Return a fact that is seen between two times; reversed frames show what the way back does."""
    seen = [second * SECOND for second in seconds]
    return AskedFact(
        name=name, values=list(values), back=back, rewound=back, mirrored=mirrored, seen_us=seen
    )


def square(**fields: Any) -> Item:
    """Return a correct forward direction item as earlier versions composed them: whole clip, all turns."""
    options = [
        "turn left -> turn right", "turn right -> turn right", "turn left -> turn left",
        "turn right -> turn left",
    ]  # fmt: skip
    earlier: dict[str, Any] = {
        "span_id": None, "twin": None, "facts": [], "flips": ["turn:0", "turn:1"],
        "option_kind": "square", "question": "Which way?", "options": options,
        "answer_text": options[0],
    }  # fmt: skip
    return item(**(earlier | fields))
