"""The folder of a run of training: what it is, its metrics, its checkpoints, and its finished model.

run.json       what is trained on what, with which settings, and how far it is
metrics.jsonl  one line per optimiser step; each step once, also after a kill
checkpoints/   until it is finished
model/         the whole model with its processor
"""

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.engine.folder import write_atomic
from pipeline.engine.lock import locked, now
from pipeline.errors import UserError

MODEL = "model"
_COMPLETE = "complete"  # a file in a checkpoint, written after everything else
_KEPT = 2  # whole checkpoints: the last one may turn out to be damaged


@dataclass(frozen=True)
class Run:
    """One run's folder."""

    folder: Path

    @classmethod
    def of(cls, out: Path, stage: str, preset: str, identity: Mapping[str, Any]) -> "Run":
        """Return the run of this identity: the same data, settings and model always have the same folder."""
        text = json.dumps(identity, sort_keys=True, ensure_ascii=False)
        return cls(out / f"{stage}-{preset}-{hashlib.sha256(text.encode()).hexdigest()[:12]}")

    @property
    def model(self) -> Path:
        """The folder of the finished model."""
        return self.folder / MODEL

    @property
    def making(self) -> Path:
        """Where the model is until all of it is written."""
        return self.folder / ".model"

    @property
    def metrics(self) -> Path:
        """The file of metrics."""
        return self.folder / "metrics.jsonl"

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "checkpoints"

    @property
    def record(self) -> dict[str, Any]:
        """What run.json says; empty if there is none."""
        path = self.folder / "run.json"
        if not path.is_file():
            return {}
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return found

    @property
    def finished(self) -> bool:
        """Whether its model is written, and still there."""
        return bool(self.record.get("finished")) and (self.model / "config.json").is_file()

    def write(self, **changed: Any) -> None:
        """Write run.json with these changes."""
        text = json.dumps({**self.record, **changed}, indent=1, ensure_ascii=False)
        write_atomic(self.folder / "run.json", text.encode() + b"\n")

    @contextmanager
    def locked(self, command: str) -> Iterator[None]:
        """Hold the run for this process; raise UserError if another one has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with locked(self.folder / ".lock", command):
            yield

    def checkpoint(self) -> Path | None:
        """Return the newest whole checkpoint."""
        return max((path.parent for path in self._whole()), key=step_of, default=None)

    def _whole(self) -> Iterator[Path]:
        return self.checkpoints.glob(f"checkpoint-*/{_COMPLETE}")

    def drop_broken(self) -> None:
        """Delete the checkpoints and the model that a kill or a full disk left half-written."""
        shutil.rmtree(self.making, ignore_errors=True)
        for path in self.checkpoints.glob("checkpoint-*"):
            if not (path / _COMPLETE).is_file():
                shutil.rmtree(path)

    def drop_old(self) -> None:
        """Delete all whole checkpoints but the newest ones."""
        whole = sorted((path.parent for path in self._whole()), key=step_of)
        for path in whole[:-_KEPT]:
            # The mark goes first: a kill in between must not leave a part that looks whole.
            (path / _COMPLETE).unlink()
            shutil.rmtree(path)

    def rewind(self, step: int) -> None:
        """Forget the metrics of steps after this one: they are made again."""
        if not self.metrics.is_file():
            return
        kept = []
        for line in self.metrics.read_bytes().splitlines(keepends=True):
            try:
                if json.loads(line)["step"] <= step:
                    kept.append(line)
            except ValueError:  # a kill in the middle of a line, which is the last
                break
        write_atomic(self.metrics, b"".join(kept))

    def last(self) -> dict[str, Any]:
        """Return the metrics of the last step; nothing if there is none."""
        lines = self.metrics.read_bytes().splitlines() if self.metrics.is_file() else []
        return dict(json.loads(lines[-1])) if lines else {}

    def interrupted(self, stage: str) -> str:
        """Return how far a run is that was interrupted, and where it goes on, in one line."""
        record, newest = self.record, self.checkpoint()
        if not record:
            return f"train {stage}: interrupted before the first step; run the same command again"
        far = f"train {stage}: interrupted at step {record['steps']} of {record.get('of_steps')}"
        where = f"goes on from step {step_of(newest)}" if newest else "starts again"
        return f"{far}; the same command {where}"

    def add(self, metrics: Mapping[str, Any]) -> None:
        """Add the metrics of one step."""
        with self.metrics.open("a", encoding="utf-8") as file:
            file.write(json.dumps(metrics, ensure_ascii=False) + "\n")


def complete(checkpoint: Path) -> None:
    """Mark a checkpoint as whole."""
    (checkpoint / _COMPLETE).write_bytes(b"")


def started_from(folder: Path) -> Run:
    """Return a finished run; raise UserError if the folder isn't one."""
    run = Run(folder)
    if not run.record:
        raise UserError(str(folder), "is no run of egost train", "name a folder in runs/")
    if run.record.get("finished") and not run.finished:
        raise UserError(
            str(run.model), "isn't there any more", "run the command again that trained it"
        )
    if not run.finished:
        what = f"isn't finished: step {run.record.get('steps')} of {run.record.get('of_steps')}"
        raise UserError(str(folder), what, "run the same command again that started it")
    return run


def start(run: Run, about: Mapping[str, Any]) -> None:
    """Note in run.json that a run starts or goes on."""
    was = {} if run.record.get("finished") else run.record  # finished, but its model is gone
    first = {"started": now(), "finished": None, "seconds": 0.0, "starts": 0, "steps": 0}
    run.write(**{**first, **was, **about, "starts": was.get("starts", 0) + 1})


def step_of(checkpoint: Path) -> int:
    """Return after which step a checkpoint was written."""
    return int(checkpoint.name.rpartition("-")[2])
