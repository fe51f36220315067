"""The dataset card of a release, and its plots."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jinja2

from pipeline.releases.plots import bars, blind_bars, grouped, standalone
from pipeline.releases.tally import Tally

# The licence ids of the Hugging Face hub that are used for videos.
_HUB_LICENCE = re.compile(
    r"cc0-1\.0|cc-by(-nc)?(-sa|-nd)?-[234]\.0|mit|apache-2\.0|odbl|odc-by|pddl"
)
_CARD = Path(__file__).with_name("card.md.j2")


def card(manifest: Mapping[str, Any], example: Any) -> str:
    """Return the text of README.md; `example` is a question row."""
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    licences: dict[str, list[str]] = {}
    for video in manifest["videos"]:
        licences.setdefault(video["licence"] or "not stated", []).append(
            video["source"] or video["path"]
        )
    text = environment.from_string(_CARD.read_text(encoding="utf-8")).render(
        manifest=manifest,
        doubts=[gate for gate in manifest["gates"] if gate["state"] != "met"],
        example=example,
        licences={name: sorted(set(sources)) for name, sources in sorted(licences.items())},
        hub_licences=_hub_licences(licences),
        closed=sum(not video["pictures_included"] for video in manifest["videos"]),
    )
    return text.rstrip("\n") + "\n"


def _hub_licences(licences: Iterable[str]) -> list[str]:
    """Return the licences as Hugging Face hub ids: lower case, or `other`."""
    named = {name.casefold().replace(" ", "-") for name in licences}
    return sorted({name if _HUB_LICENCE.fullmatch(name) else "other" for name in named})


def write_plots(folder: Path, tally: Tally, gates: list[dict[str, Any]]) -> None:
    """Write the SVG files that the card shows into a new folder."""
    folder.mkdir()
    letters = {
        task: {letter: float(counts[letter]) for letter in "ABCD"}
        for task, counts in sorted(tally.letters.items())
    }
    for name, plot in {
        "tasks": bars("Items by task", dict(sorted(tally.tasks.items())), kind="plain"),
        "letters": grouped("Letters of the correct answers", letters, chance=0.25),
        "contrasts": bars(
            "Kinds of the two facts", dict(sorted(tally.contrasts.items())), kind="plain"
        ),
    }.items():
        (folder / f"{name}.svg").write_text(standalone(plot), encoding="utf-8")
    for plot in blind_bars(gates):
        (folder / "blind.svg").write_text(standalone(plot), encoding="utf-8")
