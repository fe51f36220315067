"""Export a workspace as an immutable release version, after checking every gate."""

import json
import re
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import digest
from pipeline.engine.store import Store
from pipeline.errors import GateError, UserError
from pipeline.questions.rows import Item
from pipeline.releases.gates import Gate, check_gates
from pipeline.releases.harvest import Harvest
from pipeline.releases.leftout import LeftOut, taken_down
from pipeline.releases.publish import Issue, Release, publish
from pipeline.releases.rows import Looks
from pipeline.releases.settings import ExportSettings
from pipeline.releases.spanmap import record
from pipeline.releases.workspace_gates import Checked, Limits, check_workspace
from pipeline.review.accuracy import accuracy, by_people, judged, people
from pipeline.review.rows import Answer
from pipeline.review.settings import ReviewSettings

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def check_version(folder: WorkspaceFolder, version: str) -> Path:
    """Return the folder of a new version; raise UserError for an invalid or existing version."""
    if not _VERSION.fullmatch(version):
        raise UserError(
            f"version {version}", "not a version number", "write three numbers, such as 1.0.0"
        )
    target = folder.releases / f"v{version}"
    if target.exists():
        raise UserError(
            str(target),
            "this version exists already, and a release never changes",
            "choose the next version number",
        )
    return target


@dataclass(frozen=True)
class GateResults:
    """Every gate's result, and the items that an export leaves out."""

    gates: list[Gate]
    left_out: tuple[LeftOut, ...]

    def lines(self) -> Iterator[str]:
        """Yield every gate and the items left out as text to print, each with its fix."""
        results: tuple[Gate | LeftOut, ...] = (*self.gates, *self.left_out)
        for result in results:
            yield str(result)
            if result.fix:
                yield f"  fix: {result.fix}"

    def as_json(self) -> str:
        """Return all results as one JSON object that lists every row."""
        results = {
            "gates": [gate.model_dump() for gate in self.gates],
            "left_out": [{**asdict(one), "fix": one.fix} for one in self.left_out],
        }
        return json.dumps(results, ensure_ascii=False, indent=1)


def measure(store: Store, settings: ExportSettings, review: ReviewSettings) -> GateResults:
    """Return the result of every gate on the items that an export would release now."""
    harvest = _harvest(store, settings, review)
    return GateResults(_gates(store, harvest, settings), harvest.left_out)


def _gates(store: Store, harvest: Harvest, settings: ExportSettings) -> list[Gate]:
    limits = Limits(
        agreement=settings.min_agreement,
        flawed=settings.max_flawed,
        audited=settings.min_audited,
        blind=settings.blind_points,
        blind_within=settings.blind_task_points,
    )
    checked = Checked(
        harvest,
        store.folder,
        limits,
        settings.dataset,
        tuple(store.rows(Item)),
        tuple(store.rows(Answer)),
        tuple(store.rows(Looks)),
    )
    return [*check_gates(harvest.candidate), *check_workspace(checked)]


def _harvest(store: Store, settings: ExportSettings, review: ReviewSettings) -> Harvest:
    return Harvest(
        store,
        review,
        only_verified=settings.only_verified,
        min_verified=settings.min_verified,
        closed=settings.closed_licences,
    )


def export(
    store: Store,
    folder: WorkspaceFolder,
    version: str,
    settings: ExportSettings,
    review: ReviewSettings,
    recorded: Mapping[str, Any],
    *,
    allow_failing: bool = False,
) -> Release:
    """Write `releases/v<version>` completely or not at all.

    `review` decides which verdicts count; `recorded` holds all settings in effect, by section. Raises UserError for a version that exists,
    is invalid or does not follow from the change, and GateError for a gate that is not met (with
    `allow_failing`, the card and the manifest report it at the top instead).
    """
    check_version(folder, version)
    harvest = _harvest(store, settings, review)
    if not harvest.candidate.items:
        raise UserError(str(folder.root), *harvest.nothing())
    results = _gates(store, harvest, settings)
    failed = [gate for gate in results if gate.state == "failed"]
    if failed and not allow_failing:
        raise GateError(
            f"release {version}",
            "; ".join(str(gate) for gate in failed),
            "; ".join([*dict.fromkeys(gate.fix for gate in failed), ""])
            + "or use --allow-failing: the card then reports it",
        )
    items, answers = harvest.candidate.items, store.rows(Answer)
    issue = Issue(
        version=version,
        dataset=settings.dataset,
        said=harvest.said,
        canary=canary(folder),
        settings=recorded,
        entries=harvest.entries(settings.dataset, by_people(items, answers)),
        sources=harvest.sources(),
        gates=results,
        left_out={one.why: len(one.rows) for one in harvest.left_out},
        newest_verdict_us=max((one.created_us for one in harvest.verdicts), default=0),
        agreement={
            category: {"clips": one.clips, "percent": one.percent, "alpha": one.alpha}
            for category, one in harvest.counted.agreement().items()
        },
        human=accuracy(judged(items, people(answers))),
        closed=frozenset(licence.casefold() for licence in settings.closed_licences),
        media={name: folder.media_path(media) for name, media in harvest.media().items()},
        withheld=frozenset(settings.withhold),
        reasons=harvest.why_out,
        taken_down=len(taken_down(folder)),
        hydrate=harvest.hydrate(),
        embed=settings.embed,
    )
    return publish(
        folder.releases,
        folder.root / "sealed",
        issue,
        lambda: record(folder, harvest.released_spans(version)),
    )


def canary(folder: WorkspaceFolder) -> str:
    """Return the GUID that marks all releases of this workspace, the same in every version."""
    return str(
        uuid.UUID(digest("canary", folder.secret().hex()) + digest("guid", folder.secret().hex()))
    )
