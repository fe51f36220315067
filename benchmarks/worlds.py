"""Compose questions from routes in a file, as a workspace does, so that they can be attacked without frames.

python benchmarks/worlds.py ROUTES.jsonl ROWS.jsonl [--seed N] [--links] [--mirror]
python benchmarks/worlds.py --routes WORLD ROUTES.jsonl [--clips N] [--seed N]    write a world's routes
python benchmarks/worlds.py --table [WORLD ...] [--clips N] [--seeds N] [--mirror] [--together]
                                                                                  attack worlds, print each cell
python benchmarks/worlds.py                                                       time and memory, 800 clips
python benchmarks/worlds.py --cost 100000

ROUTES.jsonl has one route per line: {"scene", "group", "path", "language", "steps": [[seconds, move, landmark,
action, undo], ...]}. `group` is the split group: its routes are judged together and are in one split, and their rows
have one `split_group`. `scene` and `path` are labels that nothing is made of; without `language`, it is en. All routes count as verified and all facts as visible.

ROWS.jsonl holds the released question rows of all splits, and for checks alone `item_id`, `split`, `seconds` and
`facts` (the two statements of each option). `--links` adds the route's line number, the span's start and end in it,
and `mirrored`.
"""

import argparse
import codecs
import importlib.util
import json
import multiprocessing
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache, partial
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_core import PydanticCustomError
from threadpoolctl import threadpool_limits

from pipeline.errors import UserError
from pipeline.questions.compose import garbage_collection_paused
from pipeline.questions.composition import Composition, RouteToAsk, SpanToAsk, ask, spans_of
from pipeline.questions.draw import Draw
from pipeline.questions.settings import ComposeSettings
from pipeline.routes.route import canonical
from pipeline.routes.rows import Move, Step
from pipeline.routes.wording import load
from pipeline.sources.rows import Split

_MOST, _MOST_HIGH, _ENOUGH = 0.28, 0.31, 2_000  # accuracy, upper end of its interval, twins
_COLUMNS = ("seconds", "move", "landmark", "action", "undo")
_FORM = (
    '{"scene": "s1", "group": "g1", "path": "", "language": "en", '
    '"steps": [[4.5, "left", "the red door", "opens it", "closes it"], ...]}'
)
_TARGETS = {800: "8 s", 100_000: "360 s, less than 4,000 MB"}


_DAY = 24 * 3600  # seconds
Seconds = Annotated[float, Field(ge=0, le=_DAY, allow_inf_nan=False)]
Label = Annotated[str, Field(min_length=1)]


class Line(BaseModel):
    """One line of a file of routes."""

    model_config = ConfigDict(strict=True)
    scene: str | None = None
    group: Label
    path: str | None = None
    language: str | None = None
    steps: list[tuple[Seconds, Move, str | None, str | None, str | None]]

    @field_validator("steps")
    @classmethod
    def _within_a_day(cls, steps: list[Any]) -> list[Any]:
        if sum(step[0] for step in steps) > _DAY:
            raise PydanticCustomError("too_many_seconds", "the route is longer than a day")
        return steps


@dataclass(frozen=True)
class Composed:
    """The routes of a file, their spans and the questions about them."""

    routes: Sequence[RouteToAsk]
    spans: Sequence[SpanToAsk]
    composition: Composition


def compose(lines: Iterable[Mapping[str, Any]], seed: int, *, mirror: bool = False) -> Composed:
    """Cut the routes into spans and ask about them, under a secret that follows from the seed."""
    settings = ComposeSettings.model_validate({"mirror": "coin" if mirror else "off"})
    draw = Draw(f"worlds:{seed}".encode())
    with garbage_collection_paused():  # as in a workspace
        routes = read_routes(lines)
        spans = [span for route in routes for span in spans_of(route, settings, draw)]
        return Composed(routes, spans, ask(spans, {}, settings, draw))


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a file of routes; raise UserError naming the first that can't be used."""
    # Not str.splitlines, which also splits at other separators that a name may contain.
    content = path.read_bytes().removeprefix(codecs.BOM_UTF8).rstrip()
    lines = content.split(b"\n") if content else []
    return [_line(f"{path}, line {number}", line) for number, line in enumerate(lines, start=1)]


def _line(where: str, text: bytes) -> dict[str, Any]:
    try:
        line = Line.model_validate_json(text)
        load(line.language or "en")
    except ValidationError as error:
        raise UserError(where, _wrong(error), f"write lines such as {_FORM}") from error
    except UserError as error:
        raise UserError(where, f"language: {error.what}", error.fix) from error
    return line.model_dump()


def _wrong(error: ValidationError) -> str:
    """Return the first mistake in a line, in words."""
    first = error.errors()[0]
    what = {
        "missing": "is missing",
        "too_long": f"more than {len(_COLUMNS)} columns",
        "json_invalid": first["msg"].replace(" at line 1 column", " at column"),
    }.get(first["type"])
    if what is None:
        what = first["msg"].removeprefix("Input ")
        if first["input"] is None or isinstance(first["input"], str | float | int):
            what += f", not {json.dumps(first['input'])}"
    match first["loc"]:
        case ("steps", int(step), int(column)):
            return f"step {step + 1}, {_COLUMNS[column]}: {what}"
        case ("steps", int(step)):
            return f"step {step + 1}: {what}"
        case (str(name), *_):
            return f"{name}: {what}"
    return what


def read_routes(lines: Iterable[Mapping[str, Any]]) -> list[RouteToAsk]:
    """Return the routes of a file's lines."""
    return [_route(number, line) for number, line in enumerate(lines)]


def _route(number: int, line: Mapping[str, Any]) -> RouteToAsk:
    at, steps, group = 0, [], line["group"]
    for seconds, move, *facts in line["steps"]:
        end = at + round(seconds * 1e6)
        # Fields that aren't given are not remembered as set, which halves the memory of a step.
        given = {name: fact for name, fact in zip(_COLUMNS[2:], facts, strict=True) if fact}
        steps.append(Step(start_us=at, end_us=end, move=move, **given))
        at = end
    wording = load(line.get("language") or "en")
    return RouteToAsk(str(number), group, _split(group), canonical(steps), wording)


def rows(composed: Composed, *, links: bool = False) -> list[dict[str, Any]]:
    """Return the released rows of the multiple-choice questions in the order of their ids."""
    found = []
    for span in composed.spans:
        for pair in composed.composition.questions(span):
            for orientation, asked in pair.questions.items():
                row = {
                    "item_id": pair.item_ids[orientation],
                    "video": span.span_id,
                    "split_group": f"g_{sha256(span.route.scene.encode()).hexdigest()[:12]}",
                    "split": span.route.split,
                    "category": pair.pair.category,
                    "contrast": pair.pair.contrast,
                    "orientation": orientation,
                    "format": "mcq",
                    "question": asked.question,
                    "options": asked.options,
                    "answer": "ABCD"[asked.answer_index],
                    "seconds": (span.end_us - span.start_us) / 1e6,
                    "facts": asked.statements,
                }
                if links:
                    row |= {
                        "route": int(span.route.clip_id),
                        "start": span.start_us / 1e6,
                        "end": span.end_us / 1e6,
                        "mirrored": span.mirrored,
                    }
                found.append(row)
    return sorted(found, key=lambda row: str(row["item_id"]))


def _split(group: str) -> Split:
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


@dataclass(frozen=True)
class Run:
    """The released rows of a world under one seed, its closed cells, and how readers answered the rows."""

    rows: Sequence[Mapping[str, Any]]
    closed: frozenset[str]
    answered: Any


def table(names: Sequence[str], clips: int, seeds: int, *, mirror: bool, together: bool) -> None:
    """Attack worlds with the readers of `tests/attackers.py`; print each cell, pooled over the seeds.

    Readers learn from the other scenes of a seed or, `together`, from those of all seeds: they know the world.
    """
    attackers = _made("attackers")
    print(
        f"{clips} clips a seed, {seeds} seeds{', mirrored by a coin' if mirror else ''}"
        f"{', attacked together' if together else ''}; chance 25 %",
        flush=True,
    )
    # Not forked: libraries that use threads may hang after a fork.
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        mp_context=spawn, initializer=threadpool_limits, initargs=(1,)
    ) as pool:
        one = partial(run, clips=clips, mirror=mirror, attacked=not together)
        started = {name: [pool.submit(one, name, seed) for seed in range(seeds)] for name in names}
        for name, futures in started.items():
            runs = [future.result() for future in futures]
            answered = [some.answered for some in runs if some.answered]
            if together and (released := _joined(runs)):
                answered = [attackers.attack(released)]
            print(f"{name}: {sum(len(some.rows) for some in runs) / seeds:.0f} rows a seed")
            for cell, figure in (attackers.pooled(answered) if answered else {}).items():
                failed = figure.accuracy > _MOST or figure.high > _MOST_HIGH
                verdict = "too few" if figure.twins < _ENOUGH else "LEAK" if failed else "holds"
                print(
                    f"  {cell or 'overall':<16} {figure.twins:>6} twins {figure.accuracy:.3f} "
                    f"[{figure.low:.3f}, {figure.high:.3f}]  {verdict:<8} {figure.reader}",
                )
            for cell, times in sorted(
                Counter(cell for some in runs for cell in some.closed).items()
            ):
                print(f"  {cell:<16} closed in {times} of {seeds}")
            sys.stdout.flush()


def run(name: str, seed: int, *, clips: int, mirror: bool, attacked: bool) -> Run:
    """Compose one seed of a world and, if asked to, attack it."""
    composed = compose(worlds().routes(name, clips, seed), seed, mirror=mirror)
    released, strata = rows(composed), composed.composition.strata
    closed = frozenset(f"{one.category} {one.contrast}" for one in strata if one.closed)
    answered = _made("attackers").attack(released) if released and attacked else None
    return Run(released, closed, answered)


def _joined(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Return the rows of all runs, whose videos and scenes are different ones."""
    return [
        {**row, **{key: f"{number} {row[key]}" for key in ("video", "split_group")}}
        for number, some in enumerate(runs)
        for row in some.rows
    ]


def cost(clips: int) -> None:
    """Compose this many random routes; print time and memory."""
    made = worlds().routes("fair", clips, 0)
    began = time.process_time()
    composed = compose(made, 0)
    took = time.process_time() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    items = 2 * sum(map(len, composed.composition.pairs.values()))
    print(f"{clips} clips -> {items} items: {took:.1f} s CPU, peak {memory:.0f} MB")
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
    parser.add_argument("--cost", type=int, metavar="CLIPS", help="measure time and memory")
    parser.add_argument("--table", nargs="*", metavar="WORLD", help="attack these worlds, or all")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds --table pools")
    parser.add_argument(
        "--together", action="store_true", help="with --table, readers learn from all seeds"
    )
    given = parser.parse_args()
    if given.table is not None:
        names = given.table or list(worlds().WORLDS)
        table(names, given.clips, given.seeds, mirror=given.mirror, together=given.together)
        return
    if given.routes:
        if given.routes not in worlds().WORLDS or len(given.files) != 1:
            parser.error(f"--routes needs one file and one of: {', '.join(worlds().WORLDS)}")
        _write(given.files[0], worlds().routes(given.routes, given.clips, given.seed))
    elif given.files:
        if len(given.files) != 2:
            parser.error("name two files: ROUTES.jsonl and ROWS.jsonl")
        try:
            lines = read_lines(Path(given.files[0]))
            composed = compose(lines, given.seed, mirror=given.mirror)
            _write(given.files[1], rows(composed, links=given.links))
        except UserError as error:
            parser.exit(error.exit_code, f"{error}\n")
        except OSError as error:
            parser.error(f"{error.filename}: {error.strerror}")
    else:
        cost(given.cost or 800)


if __name__ == "__main__":
    main()
