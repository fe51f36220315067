"""The card of a run of training, its README.md: what was trained on what, how, at what cost, and how to use it. Needs no torch."""

import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jinja2

from pipeline.assets import asset
from pipeline.engine.folder import write_atomic
from pipeline.errors import UserError
from pipeline.tuning.diagnosis import diagnose
from pipeline.tuning.metrics import Metrics, mean, read_metrics

NAME = "README.md"
_TEMPLATE = Path(__file__).with_name("runcard.md.j2")
# owner/name, as hubs write it; a path of a folder has more parts, or none.
_HUB = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_LAST = 10  # steps whose mean is given: single ones are noise
_SHOWN = {
    "loss": "loss",
    "token_accuracy": "token accuracy",
    "reward": "reward, sum of all",
    "length": "length of completions (tokens)",
    "clipped": "completions cut at the limit",
    "ratio_clipped": "clipped ratios",
    "zero_variance": "groups without variance",
    "kl": "divergence (kl, nats a token)",
    "seconds": "seconds a step",
}
_MISSING = "not recorded"


def write_card(run: Path, preset: Mapping[str, Any] | None = None) -> Path:
    """Write README.md of a run's folder, finished or not, and return its path.

    `preset` holds all settings of the preset as it ships, in the form of run.json's `settings`; without it, those that the preset's
    file names are compared. Draw `curves.png` first: the card shows it if it is there. Raise UserError if the folder is no run.
    """
    record = _record(run)
    shipped = _preset(record.get("preset")) if preset is None else preset
    path = run / NAME
    write_atomic(path, card(run, record, read_metrics(run), shipped).encode())
    return path


def card(
    run: Path, record: Mapping[str, Any], metrics: Metrics, preset: Mapping[str, Any] | None
) -> str:
    """Return the card's text; `preset` as for `write_card`, None if it isn't known."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.filters["cell"] = _cell
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    rows, base = _mapping(record, "rows"), _base(record, run)
    text = template.render(
        name=run.resolve().name,
        stage=record.get("stage", "training"),
        blind=bool(record.get("blind")),
        finished=bool(record.get("finished")),
        steps=record.get("steps", len(metrics.steps)),
        of_steps=record.get("of_steps", _MISSING),
        base=base,
        hub=base if _HUB.fullmatch(base) else None,
        library="peft" if (run / "model" / "adapter_config.json").is_file() else "transformers",
        about=dict(_about(run, record)),
        rows={**rows, "name": _names(rows.get("folders"))},
        releases=_releases(rows),
        changed=None if preset is None else list(_changed(_mapping(record, "settings"), preset)),
        took=dict(_took(record)),
        versions=_mapping(record, "versions"),
        last=dict(_last(metrics)),
        last_steps=min(_LAST, len(metrics.steps)),
        gaps=list(_gaps(metrics)),
        curves=(run / "curves.png").is_file(),
        diagnosis=diagnose(metrics),
    )
    return text.rstrip("\n") + "\n"


def cost(record: Mapping[str, Any]) -> str:
    """Return what the run's training cost in US dollars, as text: price of an hour x hours x GPUs, or "not priced"."""
    price, seconds = _number(record.get("price_per_hour")), _number(record.get("seconds"))
    if price is None or seconds is None:
        return "not priced"
    gpus = int(_number(_mapping(record, "hardware").get("gpus")) or 0)
    hours = seconds / 3600
    what = f"{gpus} GPU{'s' if gpus > 1 else ''}" if gpus else "1 machine"
    total = price * hours * max(1, gpus)
    return f"{total:.2f} US$ ({what} x {hours:.2f} h x {price:.2f} US$ an hour)"


def _record(run: Path) -> Mapping[str, Any]:
    try:
        record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = None
    if not isinstance(record, dict):
        raise UserError(str(run), "is no run of egost train", "name a folder in runs/")
    return record


def _preset(name: object) -> Mapping[str, Any] | None:
    if not isinstance(name, str) or not re.fullmatch(r"[\w.-]+", name):
        return None
    try:
        return tomllib.loads(asset(f"presets/{name}.toml").read_text(encoding="utf-8"))
    except (UserError, OSError, ValueError):
        return None


def _changed(
    settings: Mapping[str, Any], preset: Mapping[str, Any]
) -> Iterator[tuple[str, str, str]]:
    """Yield each setting that isn't the preset's: its name, its value, the preset's."""
    for section in settings:
        used, shipped = _mapping(settings, section), _mapping(preset, section)
        for name in used:
            if name in shipped and used[name] != shipped[name]:
                yield f"{section}.{name}", json.dumps(used[name]), json.dumps(shipped[name])


def _base(record: Mapping[str, Any], run: Path) -> str:
    """Return the name of the model that the first stage started from: of a run of GRPO, that of its SFT."""
    model = str(record.get("model") or "")
    for _ in range(10):  # stages that follow one another; a chain that is longer is a loop
        before = Path(model).parent if Path(model).name == "model" else Path(model)
        places = (run.parent / before.name, before)  # runs may have moved together
        found = next((place for place in places if (place / "run.json").is_file()), None)
        if found is None or not model:
            break
        try:
            model = str(_record(found).get("model") or "")
        except UserError:
            break
    return model if _HUB.fullmatch(model) and not Path(model).exists() else _name(model)


def _about(run: Path, record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    model = Path(str(record.get("model") or _MISSING))
    yield "stage", str(record.get("stage", _MISSING))
    yield "preset", str(record.get("preset", _MISSING))
    yield "started from", _name(model.parent if model.name == "model" else record.get("model"))
    yield "base model", _base(record, run)
    yield "family", str(record.get("family", _MISSING))
    whole, trained = (_number(record.get(name)) for name in ("parameters", "trained_parameters"))
    yield "parameters", _MISSING if whole is None else f"{whole:,.0f}"
    yield "trained parameters", _MISSING if trained is None else f"{trained:,.0f}"
    yield "seed", str(record.get("seed", _MISSING))


def _took(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    hardware = _mapping(record, "hardware")
    gpus = _number(hardware.get("gpus")) or 0
    memory = f", {hardware['memory_gib']} GiB" if hardware.get("memory_gib") else ""
    processor = f"{hardware.get('cpu', 'CPU')}, {hardware.get('cores', '?')} cores{memory}"
    yield "GPU", f"{gpus:.0f} x {hardware.get('gpu')}" if gpus else "none"
    yield "processor", processor if hardware else _MISSING
    peak = _number(record.get("peak_gib"))
    yield "most GPU memory (measured)", _MISSING if peak is None else f"{peak:.1f} GiB"
    seconds = _number(record.get("seconds"))
    yield "time of training", _MISSING if seconds is None else _duration(seconds)
    yield "cost", cost(record)
    starts = int(_number(record.get("starts")) or 1)
    resumed = {1: "1", 2: "2 (resumed once)"}.get(starts, f"{starts} (resumed {starts - 1} times)")
    yield "starts", resumed
    yield "first started", str(record.get("started") or _MISSING)
    yield "finished", str(record.get("finished") or "no")


def _last(metrics: Metrics) -> Iterator[tuple[str, str]]:
    for name, title in _SHOWN.items():
        value = mean(metrics.values(name)[-_LAST:])
        if not math.isnan(value):
            yield title, f"{value:.4g}"
        if name == "reward":
            found = {one: mean(metrics.reward(one)[-_LAST:]) for one in metrics.rewards}
            for one, number in found.items():
                yield f"reward `{one}`", "undefined" if math.isnan(number) else f"{number:.4g}"


def _gaps(metrics: Metrics) -> Iterator[str]:
    for name, title in _SHOWN.items():
        if steps := metrics.broken(name):
            many = (
                f"{len(steps)} steps, the first is {steps[0]}"
                if len(steps) > 1
                else f"step {steps[0]}"
            )
            yield f"{title}: not a number ({many}); a gap in the curve"
    if metrics.unreadable:
        yield f"metrics.jsonl: {metrics.unreadable} lines that are no step"


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _name(path: object) -> str:
    """Return the last part of a path: where it is on this machine is nobody's business."""
    return Path(str(path)).name if path else _MISSING


def _names(folders: object) -> str:
    found = folders if isinstance(folders, list) else []
    return " and ".join(_name(folder) for folder in found) or _MISSING


def _releases(rows: Mapping[str, Any]) -> list[str]:
    """Return the releases that the rows are of; none if those of a folder aren't known."""
    found = rows.get("releases")
    known = isinstance(found, list) and all(isinstance(one, str) for one in found)
    return list(dict.fromkeys(found)) if found and known else []


def _mapping(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _cell(value: object) -> str:
    """Return a text that fits into a table's cell."""
    return re.sub(r"\s+", " ", str(value)).replace("|", "\\|").strip() or "-"
