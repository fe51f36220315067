"""From rows to a trained model and a proof, each step as the command that a person would type.

Each is a process of its own, which returns all of the GPU's memory, and with several GPUs one process for each.
"""

import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.engine.stopping import stoppable
from pipeline.errors import UserError
from pipeline.tuning import grpo, presets, sft
from pipeline.tuning.runs import Run

_GRACE_SECONDS = 5  # for a command that Ctrl-C has reached as well
_LONGEST_END_SECONDS = 60
_LEAST_TOKENS = 100  # fewer can't be asked for


@dataclass(frozen=True)
class Recipe:
    """What is trained: on which rows, with which preset and overrides, and where runs go."""

    rows: Sequence[Path]
    preset: str
    out: Path
    overrides: Sequence[str] = ()

    def sft(self) -> Run:
        """Return the run of SFT."""
        loaded = presets.load(self.preset, self.overrides)
        return sft.job(self.rows, loaded, self.out).run

    def grpo(self, start: Run) -> Run:
        """Return the run of GRPO from a finished run of SFT."""
        loaded = presets.load(self.preset, self.overrides)
        return grpo.job(self.rows, loaded, self.out, start=start.folder).run

    def run(self) -> Iterator[str]:
        """Make both stages, and yield a line before each; raise UserError if one doesn't end well."""
        first = self.sft()
        yield from self._stage("sft")
        yield from self._stage("grpo", "--from", str(first.folder))

    def _stage(self, stage: str, *more: str) -> Iterator[str]:
        told = ["train", stage, *map(str, self.rows), *more, "--preset", self.preset]
        told += ["--out", str(self.out)]
        for override in self.overrides:
            told += ["--set", override]
        yield from _called(told, torch.cuda.device_count())


def prove(recipe: Recipe, release: Path, out: Path, more: Sequence[str] = ()) -> Iterator[str]:
    """Ask the base and both trained models about the release's split test, and report whether the gain comes from seeing.

    Replies may be twice as long as those that GRPO rewarded. `more` are further arguments of `egost train report`.
    """
    first = recipe.sft()
    tokens = max(_LEAST_TOKENS, 2 * presets.load(recipe.preset, recipe.overrides).grpo.most_tokens)
    told = ["train", "report", str(release), "--base", first.record["model"]]
    told += [
        "--sft",
        str(first.folder),
        "--grpo",
        str(recipe.grpo(first).folder),
        "--out",
        str(out),
    ]
    told += ["--set", f"evaluate.max_completion_tokens={tokens}"]
    yield from _called([*told, *more])


def _called(told: Sequence[str], processes: int = 1) -> Iterator[str]:
    """Yield a command as a person would type it, then run it; raise UserError if it doesn't end well."""
    launcher = ["-m", "accelerate.commands.launch", "--num_processes", str(processes)]
    command = [sys.executable, *(launcher if processes > 1 else []), "-m", "egost", *told]
    yield f"$ egost {shlex.join(told)}" + (f"  # on {processes} GPUs" if processes > 1 else "")
    if code := _ended(command):
        what = f"ended with exit code {code}"
        raise UserError(
            f"egost {told[0]} {told[1]}", what, "see above; run the same command again to go on"
        )


@stoppable()
def _ended(command: Sequence[str]) -> int:
    """Run a command to its end and return its exit code; when this process is stopped, so is the command."""
    with subprocess.Popen(command) as child:
        try:
            return child.wait()
        except KeyboardInterrupt:
            # Several processes may follow a launcher: it has to end them itself, and not be killed at once.
            for seconds, stop in (
                (_GRACE_SECONDS, child.terminate),
                (_LONGEST_END_SECONDS, child.kill),
            ):
                try:
                    child.wait(seconds)
                    break
                except subprocess.TimeoutExpired:
                    stop()
            raise
