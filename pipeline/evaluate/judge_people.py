"""People score a sample of descriptions in Label Studio, from 0 to 5 as judges do: sending it, and fetching their scores.

Who described, and what judges gave, is not on the page.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import digest
from pipeline.errors import UserError
from pipeline.evaluate.answers import read_description
from pipeline.evaluate.described_files import (
    DESCRIPTIONS,
    JUDGE,
    JUDGED,
    OPEN_ITEMS,
    read_people,
    read_section,
    read_table,
    write_people,
    write_section,
)
from pipeline.evaluate.judge_scores import HIGHEST, SCORES
from pipeline.evaluate.judged import Key, ScoreAgreement, by_people, score_agreement, typical
from pipeline.evaluate.metrics import MAIN, plain
from pipeline.evaluate.open_rows import Judgement, OpenItem, PeopleScores
from pipeline.evaluate.rows import Prediction
from pipeline.labelstudio.protocol import Annotation, AnnotationServer
from pipeline.review import routepage
from pipeline.review.projects import Project, Projects
from pipeline.review.sending import project_url
from pipeline.review.verdicts import by, pseudonym, values

CONFIG = "annotations/description.xml"
_NUMBERS = tuple(map(str, range(HIGHEST + 1)))


@dataclass(frozen=True)
class Sent:
    """How many tasks are new and how many were there, and where people find them."""

    new: int
    kept: int
    project_url: str

    def __str__(self) -> str:
        return f"judge push: {self.new + self.kept} descriptions: {self.new} new, {self.kept} kept; {self.project_url}"


@dataclass(frozen=True)
class Fetched:
    """How many scores people gave, how many were left out, and how far judges agree with people.

    `agreement` is by judge and rubric; `scripted` are scores by scripts, which don't count.
    """

    scores: int
    people: int
    scripted: int
    left_out: int
    agreement: Mapping[str, ScoreAgreement]

    def lines(self) -> list[str]:
        """Return this as lines for the terminal."""
        found = [f"{name} and people: {agreement}" for name, agreement in self.agreement.items()]
        parts = [f"judge pull: {self.scores} descriptions scored by {self.people} people"]
        parts += [f"{self.scripted} scores by scripts don't count"] if self.scripted else []
        parts += [f"{self.left_out} left out: not sent from this folder"] if self.left_out else []
        return [*found, ", ".join(parts)]


@dataclass(frozen=True)
class _Page:
    """One description as people see it, with the id of its task."""

    uid: str
    key: Key
    data: Mapping[str, Any]


def push(
    client: AnnotationServer, home: WorkspaceFolder, folder: Path, sample: int, overlap: int
) -> Sent:
    """Create a task for each of `sample` descriptions in a results folder. Idempotent.

    `home` is the workspace whose project they are in; `overlap` people score each.
    """
    pages = _pages(folder, home)
    if not pages:
        raise UserError(
            str(folder),
            "has no descriptions of items with known answers",
            "run egost evaluate on a release whose open items have answers",
        )
    project = Projects(client, home).open(_project(folder, home, pages, overlap))
    known = {str(task.data.get("uid")) for task in client.tasks(project)}
    kept = [one for one in pages if one.uid in known]
    missing = [one for one in pages if one.uid not in known][: max(0, sample - len(kept))]
    if missing:
        client.add(project, [json.dumps(one.data, ensure_ascii=False).encode() for one in missing])
    return Sent(len(missing), len(kept), project_url(client, project))


def pull(client: AnnotationServer, home: WorkspaceFolder, folder: Path) -> Fetched:
    """Fetch what people scored, and write it and how far judges agree with it to the results folder."""
    pages = {one.uid: one for one in _pages(folder, home)}
    wanted = _project(folder, home, list(pages.values()), 1)
    projects = Projects(client, home).existing(wanted, f"egost judge push {folder}", claim=True)
    left_out, rows = 0, list[PeopleScores]()
    for project in projects:
        for given in client.annotations(project.id):
            scores = _scores(given)
            page = pages.get(str(given.task.data.get("uid")))
            if given.skipped:
                continue
            if page is None or scores is None:
                left_out += 1
                continue
            rows.append(_row(given, page, scores, home.secret()))
    write_people(folder, sorted(rows, key=lambda row: (row.id, row.arm, row.repeat, row.annotator)))
    counted = [row for row in rows if row.by == "person"]
    return Fetched(
        scores=len({(row.id, row.arm, row.repeat) for row in counted}),
        people=len({row.annotator for row in counted}),
        scripted=len(rows) - len(counted),
        left_out=left_out,
        agreement=_compare(folder),
    )


def _compare(folder: Path) -> dict[str, ScoreAgreement]:
    """Write how far judges agree with people into their figures, and return it by judge and rubric."""
    if not (folder / JUDGE).exists():
        return {}
    body, people = read_section(folder, JUDGE), by_people(read_people(folder))
    rows = read_table(folder, JUDGED, Judgement)
    found = {}
    for judge in body["judges"]:
        for rubric, figures in judge["rubrics"].items():
            given = typical(
                row for row in rows if (row.judge, row.rubric) == (judge["model"], rubric)
            )
            agreement = score_agreement(given, people)
            figures["people"] = plain(agreement)
            found[f"judge {judge['model']}, rubric {rubric}"] = agreement
    write_section(folder, JUDGE, body)
    return found


def _pages(folder: Path, home: WorkspaceFolder) -> list[_Page]:
    """Return the descriptions that people may score, in an order that doesn't depend on how many are asked."""
    items = {one.id: one for one in read_table(folder, OPEN_ITEMS, OpenItem)}
    made = [
        one
        for one in read_table(folder, DESCRIPTIONS, Prediction)
        if one.id in items and one.outcome == "answered" and one.repeat == 0
    ]
    shown = [one for one in made if one.arm == MAIN] or made
    pages = [_page(items[one.id], one, folder, home) for one in shown]
    return sorted(pages, key=lambda page: page.uid)


def _page(item: OpenItem, one: Prediction, folder: Path, home: WorkspaceFolder) -> _Page:
    text = read_description(one.reply, one.finish, one.refusal).text
    uid = digest("description", home.secret().hex(), folder.name, one.id, one.arm, text)
    parts = {"Question": item.question, "Reference": item.reference, "Answer to score": text}
    texts = "".join(f"<dt>{name}</dt><dd>{escape(said)}</dd>" for name, said in parts.items())
    return _Page(uid, (one.id, one.arm, one.repeat), {"uid": uid, "texts": f"<dl>{texts}</dl>"})


def _project(folder: Path, home: WorkspaceFolder, pages: Sequence[_Page], overlap: int) -> Project:
    """Return the project for a results folder, whose name would tell who described."""
    uids = {one.uid for one in pages}
    named = digest("descriptions", home.secret().hex(), folder.name)[:8]
    config = routepage.checked_config(CONFIG, dict.fromkeys(SCORES, _NUMBERS), SCORES)
    return Project(
        f"egost descriptions {named}", lambda data: data.get("uid") in uids, config, overlap
    )


def _scores(given: Annotation) -> dict[str, int] | None:
    """Return the scores of an annotation; None if one is missing or none of the choices."""
    found = values(given.result)
    if any(found.get(name) not in _NUMBERS for name in SCORES):
        return None
    return {name: int(found[name]) for name in SCORES}


def _row(given: Annotation, page: _Page, scores: Mapping[str, int], secret: bytes) -> PeopleScores:
    id_, arm, repeat = page.key
    return PeopleScores.model_validate(
        {
            "id": id_,
            "arm": arm,
            "repeat": repeat,
            "annotator": pseudonym(given.email, secret),
            "by": by(given.email),
            **scores,
            "seconds": given.seconds,
            "created_us": given.updated_us,
            "annotation_id": f"{page.uid}-{given.id}",
        }
    )
