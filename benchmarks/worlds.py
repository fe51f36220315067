"""Compose questions from routes in a file, as a workspace does, so that they can be attacked without frames.

python benchmarks/worlds.py ROUTES.jsonl ROWS.jsonl [--seed N] [--links] [--mirror]
python benchmarks/worlds.py --routes WORLD ROUTES.jsonl [--clips N] [--seed N]    write a world's routes
python benchmarks/worlds.py --table [WORLD ...] [--seeds N] [--mirror]             attack worlds, print each cell
python benchmarks/worlds.py                                                       time and memory, 800 clips
python benchmarks/worlds.py --cost 100000

ROUTES.jsonl has one route per line: {"scene", "group", "path", "language", "steps": [[seconds, move, landmark,
action, undo], ...]}. All routes count as verified and all facts as visible. ROWS.jsonl holds the released
question rows of all splits, and for checks alone `item_id`, `split`, `seconds` and `facts` (the two statements
of each option). `--links` adds the route's line number, the span's start and end in it, and `mirrored`.
"""

import argparse
import importlib.util
import json
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

from pipeline.questions import spans
from pipeline.questions.asking import Asking
from pipeline.questions.choose import Chosen, ClipSpan, choose
from pipeline.questions.draw import Draw
from pipeline.questions.facts import SpanText
from pipeline.routes.route import canonical
from pipeline.routes.rows import Step

LONGEST_US, SHORTEST_US, APART_US = 40_000_000, 10_000_000, 1_000_000
_MOST, _MOST_HIGH, _ENOUGH = 0.28, 0.31, 2_000  # accuracy, upper end of its interval, twins
_TARGETS = {800: "8 s", 100_000: "360 s, less than 4,000 MB"}
_BACK = "At the end of the clip the camera wearer turns around and walks the same way back. "
_UNDONE = (
    "At the end of the clip the camera wearer turns around, walks the same way back and undoes "
    "everything they did. "
)
_TURNS, _MORE = (
    "Count only turns to the left or to the right.",
    "There may be other {} in between.",
)
STEMS: Mapping[str, Sequence[str]] = {
    "direction_forward": [f"Which of these is true of the clip? {_TURNS}"],
    "direction_reverse": [f"{_BACK}Which of these is true of the way back? {_TURNS}"],
    "landmark_forward": [
        f"In which order does the camera wearer pass these landmarks? {_MORE.format('landmarks')}"
    ],
    "landmark_reverse": [
        f"{_BACK}In which order do they pass these landmarks then? {_MORE.format('landmarks')}"
    ],
    "landmark_forward_mixed": [
        f"Which of these is true of the clip? {_TURNS} {_MORE.format('landmarks')}"
    ],
    "landmark_reverse_mixed": [
        f"{_BACK}Which of these is true of the way back? {_TURNS} {_MORE.format('landmarks')}"
    ],
    "action_forward": [
        f"In which order does the camera wearer do these things? {_MORE.format('actions')}"
    ],
    "action_reverse": [
        f"Going back in time from the end of the clip, in which order do these things come? {_MORE.format('actions')}"
    ],
    "action_reverse_undo": [
        f"{_UNDONE}In which order do these things happen then? {_MORE.format('actions')}"
    ],
    "action_forward_mixed": [
        f"Which of these is true of the clip? {_TURNS} {_MORE.format('actions')}"
    ],
    "action_reverse_mixed": [
        f"{_BACK}Which way is the turn on the way back, and in which order do these actions come, the "
        f"latest first? {_TURNS} {_MORE.format('actions')}"
    ],
    "action_reverse_mixed_undo": [
        f"{_UNDONE}Which of these is true of the way back? {_TURNS} {_MORE.format('actions')}"
    ],
}
SAID: Mapping[str, str] = {
    "turn": "{nth} turn {side}",
    "left": "left",
    "right": "right",
    "nth_1": "first",
    "nth_2": "second",
    "nth_3": "third",
    "last_1": "last",
    "last_2": "second to last",
    "last_3": "third to last",
    "landmark_order": "{first} before {second}",
    "action_order": "{first}, then {second}",
    "and": "; ",
}


@dataclass(frozen=True)
class Placed:
    """A span to ask about, with where it is: for checks of truth."""

    span: ClipSpan
    route: int
    start_us: int
    end_us: int
    mirrored: bool


@dataclass(frozen=True)
class Composed:
    """The spans of all routes and the pairs chosen from them."""

    placed: Sequence[Placed]
    chosen: Chosen
    draw: Draw


def compose(routes: Iterable[Mapping[str, Any]], seed: int, mirror: bool = False) -> Composed:
    """Cut the routes into spans and choose what to ask about."""
    draw = Draw(f"worlds:{seed}".encode())
    placed = spans_of(routes, draw, mirror)
    return Composed(placed, choose([one.span for one in placed], draw, APART_US), draw)


def spans_of(routes: Iterable[Mapping[str, Any]], draw: Draw, mirror: bool) -> list[Placed]:
    """Return the spans of all routes."""
    return [one for number, route in enumerate(routes) for one in _cut(number, route, draw, mirror)]


def _cut(number: int, route: Mapping[str, Any], draw: Draw, mirror: bool) -> Iterator[Placed]:
    at, steps = 0, []
    for seconds, move, landmark, action, undo in route["steps"]:
        end = at + round(seconds * 1e6)
        steps.append(
            Step(start_us=at, end_us=end, move=move, landmark=landmark, action=action, undo=undo)
        )
        at = end
    whole = canonical(steps)
    for index, (start, end) in enumerate(spans.cut(whole, LONGEST_US, SHORTEST_US)):
        text = SpanText(f"{number}.{index}", spans.inside(whole, start, end))
        flipped = mirror and spans.coin(text.span_id, draw)
        shown = spans.mirrored(text) if flipped else text
        yield Placed(ClipSpan(str(number), route["group"], shown), number, start, end, flipped)


def rows(composed: Composed, links: bool = False) -> list[dict[str, Any]]:
    """Return the released rows of the questions, forward and reverse, in the order of their ids."""
    draw, asking = composed.draw, Asking(composed.draw)
    found = []
    for pair in composed.chosen.pairs:
        one = composed.placed[pair.span]
        split, key = _split(one.span.scene), "|".join((one.span.text.span_id, *pair.names))
        for orientation in ("forward", "reverse"):
            asked = asking.word(pair, key, orientation, split, STEMS, SAID)
            found.append(
                {
                    "item_id": f"{draw('item', key, orientation):016x}",
                    "video": f"{draw('span', one.span.text.span_id):016x}",
                    "split_group": f"g_{sha256(one.span.scene.encode()).hexdigest()[:12]}",
                    "split": split,
                    "category": pair.category,
                    "contrast": pair.contrast,
                    "orientation": orientation,
                    "format": "mcq",
                    "question": asked.question,
                    "options": asked.options,
                    "answer": "ABCD"[asked.answer_index],
                    "seconds": (one.end_us - one.start_us) / 1e6,
                    "facts": asked.statements,
                }
            )
            if links:
                found[-1] |= {
                    "route": one.route,
                    "start": one.start_us / 1e6,
                    "end": one.end_us / 1e6,
                    "mirrored": one.mirrored,
                }
    return sorted(found, key=lambda row: str(row["item_id"]))


def _split(group: str) -> str:
    part = int(sha256(group.encode()).hexdigest(), 16) % 100
    return "train" if part < 15 else "validation" if part < 20 else "test"


def worlds() -> ModuleType:
    """Return `tests/worlds.py`, which has the name of this file."""
    return _made("worlds")


@cache
def _made(name: str) -> ModuleType:
    path = Path(__file__).parent.parent / "tests" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"made_{name}", path)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def table(names: Sequence[str], clips: int, seeds: int, mirror: bool) -> None:
    """Attack worlds with the readers of `tests/attackers.py`; print each cell, pooled over the seeds."""
    attackers = _made("attackers")
    print(
        f"{clips} clips a seed, {seeds} seeds{', mirrored by a coin' if mirror else ''}; chance 25 %"
    )
    for name in names:
        runs, found, closed = [], 0, Counter[str]()
        for seed in range(seeds):
            composed = compose(worlds().routes(name, clips, seed), seed, mirror)
            released = rows(composed)
            found += len(released)
            closed.update(composed.chosen.closed)
            if released:
                runs.append(attackers.attack(released))
        print(f"{name}: {found / seeds:.0f} rows a seed", flush=True)
        for cell, figure in (attackers.pooled(runs) if runs else {}).items():
            failed = figure.accuracy > _MOST or figure.high > _MOST_HIGH
            verdict = "too few" if figure.twins < _ENOUGH else "LEAK" if failed else "holds"
            print(
                f"  {cell or 'overall':<16} {figure.twins:>6} twins {figure.accuracy:.3f} "
                f"[{figure.low:.3f}, {figure.high:.3f}]  {verdict:<8} {figure.reader}",
                flush=True,
            )
        for cell, times in sorted(closed.items()):
            print(f"  {cell:<16} closed in {times} of {seeds}")


def cost(clips: int) -> None:
    """Compose this many random routes; print time and memory."""
    made = worlds().routes("fair", clips, 0)
    began = time.process_time()
    composed = compose(made, 0)
    took = time.process_time() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{clips} clips -> {2 * len(composed.chosen.pairs)} items: {took:.1f} s CPU, peak {memory:.0f} MB"
    )
    if clips in _TARGETS:
        print(f"  target: {_TARGETS[clips]}")


def _write(path: str, lines: Iterable[Mapping[str, Any]]) -> None:
    text = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
    Path(path).write_text(text, encoding="utf-8")


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "files", nargs="*", help="ROUTES.jsonl and ROWS.jsonl; with --routes, ROUTES.jsonl"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--links", action="store_true", help="add where each span is in its route")
    parser.add_argument("--mirror", action="store_true", help="mirror each span by a coin flip")
    parser.add_argument(
        "--routes", metavar="WORLD", help="write the routes of a world of tests/worlds.py"
    )
    parser.add_argument("--clips", type=int, default=850)
    parser.add_argument("--table", nargs="*", metavar="WORLD", help="attack these worlds, or all")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds --table pools")
    parser.add_argument("--cost", type=int, metavar="CLIPS", help="measure time and memory")
    given = parser.parse_args()
    if given.table is not None:
        table(given.table or list(worlds().WORLDS), given.clips, given.seeds, given.mirror)
        return
    if given.routes:
        if given.routes not in worlds().WORLDS or len(given.files) != 1:
            parser.error(f"--routes needs one file and one of: {', '.join(worlds().WORLDS)}")
        _write(given.files[0], worlds().routes(given.routes, given.clips, given.seed))
    elif given.files:
        if len(given.files) != 2:
            parser.error("name two files: ROUTES.jsonl and ROWS.jsonl")
        lines = Path(given.files[0]).read_text(encoding="utf-8").splitlines()
        composed = compose(map(json.loads, lines), given.seed, given.mirror)
        _write(given.files[1], rows(composed, given.links))
    else:
        cost(given.cost or 800)


if __name__ == "__main__":
    main()
