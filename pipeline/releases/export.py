"""Release what a workspace holds: the gates first, then an immutable version, or a reason why not."""

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
from pipeline.releases.harvest import Harvest, LeftOut, taken_down
from pipeline.releases.publish import Issue, Release, publish
from pipeline.releases.settings import ExportSettings
from pipeline.releases.workspace_gates import Checked, Limits, check_workspace
from pipeline.review.accuracy import accuracy, by_people, judged, people
from pipeline.review.agreement import agreement
from pipeline.review.rows import Answer

_VERSION = re.compile(r"(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)")


def check_version(folder: WorkspaceFolder, version: str) -> Path:
    """Return the folder of a new version; raise UserError if it is none or exists."""
    if not _VERSION.fullmatch(version):
        raise UserError(
            f"version {version}", "not a version number", "write three numbers, such as 1.0.0"
        )
    target = folder.releases / f"v{version}"
    if target.exists():
        raise UserError(
            str(target),
            "this version exists, and a release never changes",
            "choose the next number",
        )
    return target


@dataclass(frozen=True)
class GateResults:
    """What an export would be measured by: every gate's result, and the items that stay at home."""

    gates: list[Gate]
    left_out: tuple[LeftOut, ...]

    def lines(self) -> Iterator[str]:
        """Yield every gate for people, and what is left out, each with what would mend it."""
        all_told: tuple[Gate | LeftOut, ...] = (*self.gates, *self.left_out)
        for told in all_told:
            yield str(told)
            if told.fix:
                yield f"  fix: {told.fix}"

    def as_json(self) -> str:
        """Return the same as one JSON object, every row in it."""
        told = {
            "gates": [gate.model_dump() for gate in self.gates],
            "left_out": [{**asdict(one), "fix": one.fix} for one in self.left_out],
        }
        return json.dumps(told, ensure_ascii=False, indent=1)


def measure(store: Store, settings: ExportSettings) -> GateResults:
    """Return the result of every gate on what an export would release now."""
    harvest = _harvest(store, settings)
    return GateResults(_gates(store, harvest, settings), harvest.left_out)


def _gates(store: Store, harvest: Harvest, settings: ExportSettings) -> list[Gate]:
    limits = Limits(
        agreement=settings.min_agreement,
        flawed=settings.max_flawed,
        audited=settings.min_audited,
        blind=settings.blind_points / 100,
        blind_within=settings.blind_task_points / 100,
    )
    checked = Checked(
        harvest,
        store.folder,
        limits,
        settings.dataset,
        tuple(store.rows(Item)),
        tuple(store.rows(Answer)),
    )
    return [*check_gates(harvest.candidate), *check_workspace(checked)]


def _harvest(store: Store, settings: ExportSettings) -> Harvest:
    return Harvest(store, only_verified=settings.only_verified, min_verified=settings.min_verified)


def export(
    store: Store,
    folder: WorkspaceFolder,
    version: str,
    settings: ExportSettings,
    recorded: Mapping[str, Any],
    *,
    allow_failing: bool = False,
) -> Release:
    """Write `releases/v<version>` whole or not at all.

    `recorded` holds all settings in force, by section. Raises UserError for a version that exists,
    is none or does not follow from the change, GateError for a gate that is not met (unless
    `allow_failing`: then the card and the manifest say so first).
    """
    check_version(folder, version)
    harvest = _harvest(store, settings)
    if not harvest.candidate.items:
        raise UserError(str(folder.root), *harvest.nothing())
    results = _gates(store, harvest, settings)
    failed = [gate for gate in results if not gate.met]
    if failed and not allow_failing:
        raise GateError(
            f"release {version}",
            "; ".join(str(gate) for gate in failed),
            "; ".join([*dict.fromkeys(gate.fix for gate in failed), ""])
            + "or --allow-failing, and the card says so",
        )
    closed = frozenset(licence.casefold() for licence in settings.closed_licences)
    agreed = agreement(harvest.verdicts)
    asked, answers = harvest.candidate.items, store.rows(Answer)
    issue = Issue(
        version=version,
        dataset=settings.dataset,
        language=harvest.language,
        words=harvest.words,
        canary=canary(folder),
        settings=recorded,
        entries=harvest.entries(settings.dataset, by_people(asked, answers)),
        sources=harvest.sources(),
        gates=results,
        left_out={one.why: len(one.rows) for one in harvest.left_out},
        newest_verdict_us=max((one.created_us for one in harvest.verdicts), default=0),
        agreement={
            category: {"clips": one.clips, "percent": one.percent, "alpha": one.alpha}
            for category, one in agreed.items()
        },
        human=accuracy(judged(asked, people(answers))),
        closed=closed,
        media={name: folder.media_path(media) for name, media in harvest.media(closed).items()},
        withheld=frozenset(settings.withhold),
        reasons=harvest.why_out,
        taken_down=len(taken_down(folder)),
        embed=settings.embed,
    )
    return publish(folder.releases, folder.root / "sealed", issue)


def canary(folder: WorkspaceFolder) -> str:
    """Return the GUID that marks this workspace's releases, the same in every version."""
    return str(
        uuid.UUID(digest("canary", folder.secret().hex()) + digest("guid", folder.secret().hex()))
    )
