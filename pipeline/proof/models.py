"""The models of a proof: what is served for each, and the name that its results are kept under.

Results are kept by name, so the name of a model from a folder has the digest of its files and of its `run.json`: a run that
was trained again gets none of the replies of the earlier one. A bare name on a server is taken at its word.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pipeline.errors import UserError
from pipeline.models.journal import Reply
from pipeline.models.wire import Wire
from pipeline.releases.layout import file_digest

Role = Literal["base", "sft", "grpo"]
TITLES: Mapping[Role, str] = {"base": "base", "sft": "SFT", "grpo": "GRPO"}
LOCAL = "http://egost-train-serve.localhost/v1"
"""The address under which replies of models that are served here are kept: the real one has another port every time."""
_RECORD, _MODEL = "run.json", "model"
_WEIGHTS = ("config.json", "adapter_config.json")
_DIGITS = 12


@dataclass(frozen=True)
class ProofModel:
    """A model as it is asked and reported.

    `name` is what its results are kept under, `served` the server's name for it, and `folder` what is served here: a
    folder, or a name that transformers finds; None where a server is running. `run` is its training run, if it is known, and `record` that
    run's `run.json`.
    """

    role: Role
    given: str
    name: str
    served: str
    folder: Path | str | None = None
    run: Path | None = None
    record: Mapping[str, Any] | None = None

    @property
    def title(self) -> str:
        """What the report calls it."""
        return TITLES[self.role]


def proof_model(role: Role, given: str, *, on_server: bool) -> ProofModel:
    """Return what `--base`, `--sft` or `--grpo` names: NAME or NAME=RUN on a server, else a RUN or a model.

    Raise UserError for a run that is of another stage, isn't finished or isn't there.
    """
    if on_server:
        served, stated, run = given.rpartition("=")
        if not stated and given:
            return ProofModel(role, given, given, given)
        if not served or not run:
            raise UserError(f"--{role}", f"can't be read: {given}", "give NAME, or NAME=RUN")
        folder, record = _run(role, Path(run))
        name = f"{role}-{_digest(folder, record)}"
        return ProofModel(role, given, name, served, None, Path(run), record)
    path = Path(given)
    if (path / _RECORD).is_file():
        folder, record = _run(role, path)
        name = f"{role}-{_digest(folder, record)}"
        return ProofModel(role, given, name, name, folder, path, record)
    if any((path / name).is_file() for name in _WEIGHTS):
        name = f"{role}-{_digest(path, None)}"
        return ProofModel(role, given, name, name, path)
    if role != "base" or path.exists():
        what = f"is no run of egost train and no model: {given}"
        raise UserError(f"--{role}", what, "name the folder of a run, or of a model")
    name = f"{role}-{hashlib.sha256(given.encode()).hexdigest()[:_DIGITS]}"
    return ProofModel(role, given, name, name, given)


def _run(role: Role, path: Path) -> tuple[Path, dict[str, Any]]:
    """Return the folder with the model of a finished run, and what its run.json says."""
    where = path / _RECORD
    try:
        record = json.loads(where.read_text(encoding="utf-8"))
        stage, finished = record["stage"], record["finished"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        fix = f"name the folder of a run of egost train {role if role != 'base' else 'sft'}"
        raise UserError(str(where), f"can't be read: {error!r}", fix) from error
    if role != "base" and stage != role:
        raise UserError(f"--{role}", f"{path} is a run of the stage {stage}", f"use --{stage}")
    if not finished:
        what = "isn't finished: its model is not the one that will be trained"
        raise UserError(str(path), what, f"run egost train {stage} again: it goes on where it was")
    folder = path / _MODEL
    if not any((folder / name).is_file() for name in _WEIGHTS):
        raise UserError(str(folder), "has no model", f"run egost train {stage} again")
    return folder, record


def _digest(folder: Path, record: Mapping[str, Any] | None) -> str:
    """Return the digest of a model's files, by name and content, and of the record of its run."""
    files = sorted(
        one
        for one in folder.rglob("*")
        if one.is_file() and not one.relative_to(folder).as_posix().startswith(".")
    )
    lines = [f"{file_digest(one)}  {one.relative_to(folder).as_posix()}" for one in files]
    told = json.dumps(record, sort_keys=True)
    return hashlib.sha256("\n".join([told, *lines]).encode()).hexdigest()[:_DIGITS]


def chain_notes(models: Mapping[Role, ProofModel]) -> list[str]:
    """Return what is odd about the runs: another start than the models that they are compared with, training without pictures."""
    notes = []
    starts: tuple[tuple[Role, tuple[Role, ...]], ...] = (
        ("sft", ("base",)),
        ("grpo", ("sft", "base")),
    )
    for role, before in starts:
        one = models.get(role)
        if one is None or not one.record:
            continue
        if one.record.get("blind"):
            notes.append(f"{one.title} was trained without pictures (blind)")
        start = str(one.record.get("model", ""))
        named = next((models[each] for each in before if each in models), None)
        if start and named and not _same(start, named):
            notes.append(
                f"{one.title} started from {start}, which isn't what --{named.role} names"
                f" ({named.given}): the gain is not of this training alone"
            )
    return notes


def _same(start: str, model: ProofModel) -> bool:
    """Return whether what a run started from is a model; on a server, nothing tells."""
    if model.folder is None and model.run is None:
        return True
    known = [one for one in (model.folder, model.run, model.given) if one is not None]
    resolved = Path(start).resolve()
    return any(str(one) == start or Path(one).resolve() == resolved for one in known)


class Relay:
    """Passes requests on to a server, under its own name for the model; `open_` connects when the first one is sent.

    So a model whose replies are all there isn't loaded.
    """

    def __init__(self, served: str, open_: Callable[[], Wire]) -> None:
        self._served, self._open = served, open_
        self._wire: Wire | None = None

    async def send(self, body: Mapping[str, Any]) -> Reply:
        """Return the server's reply, or raise RequestError; UserError if it can't be reached at all."""
        self._wire = self._wire or self._open()
        return await self._wire.send({**body, "model": self._served})

    async def close(self) -> None:
        """Close the connection, if there is one."""
        if self._wire:
            await self._wire.close()
