"""Synonyms: `annotations/vocabulary.csv`, and the workspace's own file, which grows from review.

Every pull appends the pairs of names that two people gave to the same step, commented out with `#`.
A pair counts as synonyms once somebody uncomments it.
"""

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

from pipeline.assets import asset
from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import UserError
from pipeline.review.agreement import latest
from pipeline.review.facts import Vocabulary, named
from pipeline.review.rows import Verdict
from pipeline.review.verdictlog import log_path
from pipeline.routes import route
from pipeline.routes.rows import Step
from pipeline.routes.tasks import plain

_COLUMNS = ["kind", "said", "name"]
_KINDS = ("landmark", "action")


@dataclass(frozen=True)
class Synonyms:
    """Two names that people gave to the same step, and how often."""

    kind: str
    wording: str
    name: str
    times: int

    def __str__(self) -> str:
        line = io.StringIO()
        csv.writer(line, lineterminator="").writerow((self.kind, self.wording, self.name))
        return line.getvalue()


def vocabulary_path(folder: WorkspaceFolder, log: str) -> Path:
    """Return the file to which pairs are appended: next to the folder of the verdict log."""
    return log_path(folder, log, "any").parent.parent / "vocabulary.csv"


def vocabulary_of(folder: WorkspaceFolder, log: str) -> Vocabulary:
    """Return the synonyms of the package and of the workspace; the workspace's take precedence."""
    package, own = asset("annotations/vocabulary.csv"), vocabulary_path(folder, log)
    found = dict(read_vocabulary(package))
    if own.exists():
        found |= read_vocabulary(own)
        _check_one_level(own, found)
    return found


def propose(path: Path, pairs: Iterable[Synonyms]) -> int:
    """Append pairs that the file doesn't contain in either order, commented out; return how many."""
    text = path.read_text(encoding="utf-8") if path.exists() else ",".join(_COLUMNS) + "\n"
    lines = csv.reader(line.lstrip("# ") for line in text.splitlines())
    existing = {(cells[0], frozenset(cells[1:])) for cells in lines if cells}
    new = [one for one in pairs if (one.kind, frozenset((one.wording, one.name))) not in existing]
    if new:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8", newline="") as file:
            if file.tell() == 0:
                file.write(text)
            elif not text.endswith("\n"):
                file.write("\n")
            file.write("".join(f"# {one}\n" for one in new))
    return len(new)


def read_vocabulary(path: Path) -> Vocabulary:
    """Return the synonyms of a file; raise UserError naming a line that can't be used."""
    found: dict[tuple[str, str], str] = {}
    with path.open(encoding="utf-8", newline="") as file:
        lines = csv.reader(file)
        if next(lines, None) != _COLUMNS:
            raise _mistake(path, 1, f"the first line is not {','.join(_COLUMNS)}")
        for number, cells in enumerate(lines, start=2):
            if not any(cells) or cells[0].startswith("#"):
                continue
            if len(cells) != 3 or cells[0] not in _KINDS or not all(map(plain, cells)):
                raise _mistake(path, number, f"expected {' or '.join(_KINDS)}, then two texts")
            kind, wording, name = cells[0], plain(cells[1]), plain(cells[2])
            if found.setdefault((kind, wording), name) != name:
                raise _mistake(path, number, f"an earlier line gives {wording!r} another name")
    _check_one_level(path, found)
    return found


def _check_one_level(path: Path, found: Vocabulary) -> None:
    """Raise UserError if a canonical name is itself a synonym of another one."""
    for kind, name in [(kind, name) for (kind, _), name in found.items()]:
        if found.get((kind, name), name) != name:
            raise UserError(
                str(path),
                f"{name!r} is used as a canonical name, but has another name itself",
                "write the final name in every line",
            )


def _mistake(path: Path, number: int, what: str) -> UserError:
    return UserError(
        f"{path}:{number}", what, "write lines such as: landmark,the fridge,the refrigerator"
    )


def missing_synonyms(verdicts: Iterable[Verdict], vocabulary: Vocabulary) -> list[Synonyms]:
    """Return the pairs of names that two people gave to the same step, most frequent first.

    Only verdicts that agree on every turn and on the number of names are compared.
    """
    drafts: dict[str, list[Verdict]] = {}
    for one in verdicts:
        drafts.setdefault(one.fingerprint, []).append(one)
    counted: Counter[tuple[str, str, str]] = Counter()
    for fingerprint, given in drafts.items():
        judged = [one for one in latest(given, fingerprint) if one.verdict != "reject"]
        for first, other in combinations(judged, 2):
            if route.turns(first.steps) == route.turns(other.steps):
                counted.update(_differing(first, other, vocabulary))
    return [
        Synonyms(*pair, times)
        for pair, times in sorted(counted.items(), key=lambda one: (-one[1], one[0]))
    ]


def _differing(
    first: Verdict, other: Verdict, vocabulary: Vocabulary
) -> Iterator[tuple[str, str, str]]:
    for kind in _KINDS:
        names, others = _names(first.steps, kind), _names(other.steps, kind)
        if len(names) != len(others):
            continue
        for one, two in zip(names, others, strict=True):
            if named(vocabulary, kind, one) != named(vocabulary, kind, two):
                yield kind, min(one, two), max(one, two)


def _names(steps: Sequence[Step], kind: str) -> list[str]:
    return [plain(text) for step in steps if (text := getattr(step, kind))]
