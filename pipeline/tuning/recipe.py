"""From rows to a trained model: SFT, then GRPO from its model, each as the command that a person would type.

Each stage is a process of its own, which returns all of the GPU's memory, and with several GPUs one process for each.
"""

import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from pipeline.errors import UserError
from pipeline.tuning import grpo, presets, sft
from pipeline.tuning.runs import Run


@dataclass(frozen=True)
class Recipe:
    """What is trained: on which rows, with which preset and overrides, and where runs go."""

    rows: Sequence[Path]
    preset: str
    out: Path
    overrides: Sequence[str] = ()
    blind: bool = False

    def sft(self) -> Run:
        """Return the run of SFT."""
        loaded = presets.load(self.preset, self.overrides)
        return sft.job(self.rows, loaded, self.out, blind=self.blind).run

    def grpo(self, start: Run) -> Run:
        """Return the run of GRPO from a finished run of SFT."""
        loaded = presets.load(self.preset, self.overrides)
        return grpo.job(self.rows, loaded, self.out, start=start.folder, blind=self.blind).run

    def run(self) -> Iterator[str]:
        """Make both stages, and yield a line before each; raise UserError if one doesn't end well."""
        first = self.sft()
        yield from self._stage("sft")
        yield from self._stage("grpo", "--from", str(first.folder))

    def _stage(self, stage: str, *more: str) -> Iterator[str]:
        told = ["train", stage, *map(str, self.rows), *more, "--preset", self.preset]
        told += ["--out", str(self.out), *(["--blind"] if self.blind else [])]
        for override in self.overrides:
            told += ["--set", override]
        gpus = torch.cuda.device_count()
        launcher = ["-m", "accelerate.commands.launch", "--num_processes", str(gpus)]
        command = [sys.executable, *(launcher if gpus > 1 else []), "-m", "egost", *told]
        yield f"$ egost {shlex.join(told)}" + (f"  # on {gpus} GPUs" if gpus > 1 else "")
        done = subprocess.run(command, check=False)
        if done.returncode:
            what = f"ended with exit code {done.returncode}"
            raise UserError(
                f"train {stage}", what, "see above; run the same command again to go on"
            )
