"""A synthetic workspace with releasable items: real rows, real composing, small real images."""

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from clip_rows import jpeg
from factories import SECOND, clip, verdict, video

from pipeline.engine.config import commented
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Row
from pipeline.engine.stage import PULL
from pipeline.engine.store import Store
from pipeline.engine.workspace import Workspace
from pipeline.flow import SECTIONS, open_workspace
from pipeline.motion.rows import Clip, Frame, Heading, Turn
from pipeline.questions.rows import ComposedFrom, Item, Span, Stratum
from pipeline.releases.export import export
from pipeline.releases.publish import Release
from pipeline.releases.rows import Still
from pipeline.releases.settings import ExportSettings
from pipeline.review.settings import ReviewSettings
from pipeline.routes.route import fingerprint
from pipeline.routes.rows import Move, Route, Step

MOVES: tuple[tuple[Move, ...], ...] = (
    ("left", "straight", "right", "left"),
    ("right", "straight", "right"),
    ("left", "left", "straight", "right"),
    ("straight", "right", "left", "around"),
)
THINGS = ("red door", "printer", "stairs", "lift", "plant", "window", "sofa", "notice board")
COLOURS = ("blue", "green", "yellow", "white", "grey")


def steps(moves: Sequence[Move], shift: int = 0) -> list[Step]:
    """One step per move, 5 s each, with a landmark in every step."""
    return [
        Step(
            start_us=number * 5 * SECOND,
            end_us=(number + 1) * 5 * SECOND,
            move=move,
            landmark=f"the {THINGS[(number + shift) % len(THINGS)]}",
        )
        for number, move in enumerate(moves)
    ]


def repeated(number: int) -> list[Step]:
    """Return one of four walks, with landmarks in one order: enough for a few clips."""
    return steps(MOVES[number % len(MOVES)], number)


def varied(number: int) -> list[Step]:
    """Return a walk at random, so that many clips don't tell each other's answers."""
    draw = random.Random(number)
    moves: list[Move] = ["straight", *draw.choices(("left", "right"), k=4), "straight"]
    names = [f"the {colour} {thing}" for colour in COLOURS for thing in THINGS]
    landmarks = draw.sample(names, len(moves))
    return [
        step.model_copy(update={"landmark": name})
        for step, name in zip(steps(moves), landmarks, strict=True)
    ]


def drafted(
    name: str, number: int, walk: Callable[[int], list[Step]] = repeated, **fields: Any
) -> Route:
    found = walk(number)
    there, back = f"Walk number {number}.", f"Walk number {number}, back."
    given: dict[str, Any] = {
        "clip_id": f"c_{name}", "origin": "draft", "verified_categories": [],
        "fingerprint": fingerprint(found, there, back), "provider": "motion", "model": None,
        "prompt_sha256": None, "reply_id": None, "input_tokens": None, "output_tokens": None,
        "cost_usd": None, "steps": found, "forward_description": there, "reverse_description": back,
        "confidence": 0.9,
    }  # fmt: skip
    return Route.model_validate(given | fields)


def fill(
    space: Workspace,
    clips: int = 4,
    walk: Callable[[int], list[Step]] = repeated,
    **fields: Any,
) -> None:
    """Add videos, clips, frames and verified routes, then compose; `fields` go to every video."""
    videos, routes, verdicts = [], [], []
    rows: list[Clip | Frame | Heading | Turn] = []
    for number in range(clips):
        name = f"{number:04d}"
        given = {"sha256": f"{number:064x}", "scene": f"room {number}", "licence": "CC0-1.0"}
        videos.append(
            video(name, **(given | {"split": ("test", "train")[number % 4 == 3]} | fields))
        )
        draft = drafted(name, number, walk)
        seconds = 5 * len(draft.steps)
        rows.append(clip(name, seconds))
        rows.append(
            Heading(clip_id=f"c_{name}", t_us=[0, seconds * SECOND], yaw_degrees=[0.0, 90.0])
        )
        rows += [_turn(step, f"c_{name}") for step in draft.steps if step.move != "straight"]
        rows += [_frame(space, name, number, still) for still in range(3)]
        checked = ["route", "direction", "landmark", "action"]
        routes += [
            draft,
            draft.model_copy(update={"origin": "verified", "verified_categories": checked}),
        ]
        verdicts.append(verdict(draft, annotation_id=str(number)))
    store = space.store
    store.finish("split", "all", "made up", "done", videos)
    store.finish("frames", "all", "made up", "done", rows)
    store.finish(
        "draft", "all", "made up", "done", [row for row in routes if row.origin == "draft"]
    )
    store.finish(
        "review", "all", "made up", "done", [row for row in routes if row.origin != "draft"]
    )
    store.finish(PULL, "all", "made up", "done", verdicts)
    list(space.run(["compose"]))
    add_stills(store)
    store.rebuild()


def _turn(step: Step, clip_id: str) -> Turn:
    return Turn(
        clip_id=clip_id,
        start_us=step.start_us + SECOND,
        end_us=step.end_us - SECOND,
        kind=step.move,  # type: ignore[arg-type]
        yaw_degrees={"left": 90.0, "right": -90.0, "around": 180.0}[step.move],
        moving=True,
        confidence=0.9,
    )


def add_stills(store: Store) -> None:
    """Add small real images as the frames of all spans."""
    for span in store.rows(Span):
        store.finish("stills", span.span_id, "made up", "done", stills_of(store.folder, span))


def edit(store: Store, change: Callable[[list[Item]], list[Item]]) -> None:
    """Replace the items, and keep what else was composed."""
    kept: list[Row] = [*store.rows(Span), *store.rows(ComposedFrom), *store.rows(Stratum)]
    store.finish("compose", "all", "edited", "done", [*change(store.rows(Item)), *kept])


def stills_of(folder: WorkspaceFolder, span: Span) -> list[Still]:
    """Return small real images as the frames of a span, all different."""
    data = [
        jpeg(int(hashlib.sha256(f"{span.span_id} {number}".encode()).hexdigest()[:8], 16))
        for number in range(len(span.frame_us))
    ]
    return [
        Still(
            span_id=span.span_id,
            video_id=span.video_id,
            number=number,
            t_us=span.frame_us[number],
            media=folder.keep(one, ".jpg"),
            look=hashlib.sha256(one).hexdigest()[:16],
            sha256=hashlib.sha256(one).hexdigest(),
            width=64,
            height=48,
        )
        for number, one in enumerate(data)
    ]


def _frame(space: Workspace, name: str, number: int, index: int) -> Frame:
    return Frame(
        clip_id=f"c_{name}",
        t_us=index * 5 * SECOND,
        pts=index,
        width=64,
        height=48,
        media=space.folder.keep(jpeg(10 * number + index), ".jpg"),
        sharpness=1.0,
        reason="gap",
        suspect=False,
    )


@contextmanager
def small_space(root: Path, clips: int = 4, **fields: Any) -> Iterator[Workspace]:
    """Create and open a filled workspace."""
    root.mkdir(parents=True)
    (root / "egost.toml").write_text(commented(SECTIONS, {}), encoding="utf-8")
    # A fixed seed: the same workspace composes the same items in every test, some about each clip.
    (root / "secret").write_text("5eed 0", encoding="utf-8")
    with open_workspace(root) as space:
        if clips:
            fill(space, clips, **fields)
        yield space


# Turns off the gates that need people or a minute of training.
LENIENT = {"min_agreement": 0.0, "min_audited": 0, "blind_points": 100.0}


def release(space: Workspace, version: str = "0.1.0", **fields: Any) -> Release:
    """Export the workspace; `fields` go to the settings."""
    return export(
        space.store,
        space.folder,
        version,
        ExportSettings.model_validate(LENIENT | fields),
        space.settings("review", ReviewSettings),
        space.recorded(),
        allow_failing=True,
    )
