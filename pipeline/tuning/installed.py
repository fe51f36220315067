"""What this environment and machine have: the extra `train`, versions, processors."""

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from typing import Any

from pipeline import __version__
from pipeline.errors import UserError
from pipeline.tuning.presets import Preset

_NEEDED = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")


def check_installed() -> None:
    """Raise UserError if the extra `train` isn't installed here."""
    if missing := [name for name in _NEEDED if find_spec(name) is None]:
        raise UserError(
            "egost train",
            f"this environment has no {', '.join(missing)}",
            "run make .train/ready, then use .train/bin/egost; docs/train.md tells how else",
        )


def check_optional(stage: str, preset: Preset) -> None:
    """Raise UserError if a stage needs a package that the extra `train` doesn't bring, and that isn't here."""
    settings = preset.sft if stage == "sft" else preset.grpo
    needed = (
        ("bitsandbytes", f"{stage}.nf4", settings.nf4, "false"),
        ("deepspeed", "model.zero", bool(preset.model.zero), "0"),
        ("vllm", "grpo.vllm", stage == "grpo" and preset.grpo.vllm, "false"),
    )
    for package, setting, wanted, instead in needed:
        if wanted and find_spec(package) is None:
            what = f"needs {package}, which this environment doesn't have"
            fix = f"install it (docs/train.md), or --set {setting}={instead}"
            raise UserError(setting, what, fix)


def versions() -> dict[str, str]:
    """Return the versions of what training depends on."""
    found = {"python": platform.python_version(), "egost": __version__}
    for name in (*_NEEDED, "bitsandbytes", "vllm", "deepspeed"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def hardware() -> Mapping[str, Any]:
    """Return the processors and the memory: GPU names come from torch."""
    import psutil
    import torch

    gpus = torch.cuda.device_count()
    return {
        "cpu": platform.processor() or platform.machine(),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "gpu": torch.cuda.get_device_name(0) if gpus else None,
        "gpus": gpus,
    }
