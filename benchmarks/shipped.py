"""Fit the prior that ships with the toolkit, `pipeline/blind/shipped.json`: python benchmarks/shipped.py

Its weights are those of conditional logits on small sets of clips, one on all worlds of `tests/worlds.py` at
once and one on those in which most is predictable: how far a lookup in 24 clips can be trusted when nothing is
known about the place, and at most. Its words are those of
everyday sequences. The same code gives the same file.
"""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
from worlds import read_routes, worlds

from pipeline.blind import shipped
from pipeline.blind.prior import Cell
from pipeline.blind.weighing import fit
from pipeline.questions.candidates import ClipSpan, candidates
from pipeline.questions.choose import read
from pipeline.questions.composition import spans_of
from pipeline.questions.draw import Draw
from pipeline.questions.settings import ComposeSettings

_CLIPS, _SEEDS, _RIDGE = 24, range(3), 30.0
_PREDICTABLE = {"office", "geometry", "long_tail", "kitchens", "aisles", "loops", "right_streets"}
_STEEP = 1.2  # half the log odds of the first of a sequence
_EVERYDAY = {
    "landmark": (
        "street pavement gate entrance lobby reception hall lift stairs corridor door room desk window",
        "kerb crossing path garden porch mat hallway mirror kitchen fridge stove sink table bedroom bed",
        "road car park bicycle bus stop sign building foyer counter shelf till exit",
    ),
    "action": (
        "unlock enter hang switch sit type drink stand leave lock",
        "open take cut pour stir cook taste eat rinse dry wipe put close",
        "fetch fill boil wash clean tidy throw",
    ),
}


def early() -> dict[str, dict[str, float]]:
    """Return half the log odds that a word comes early, for each kind of name."""
    found: dict[str, dict[str, float]] = {}
    for kind, sequences in _EVERYDAY.items():
        words = [sequence.split() for sequence in sequences]
        found[kind] = {
            word: round(_STEEP * (1 - 2 * at / (len(some) - 1)), 3)
            for some in words
            for at, word in enumerate(some)
        }
    return found


def weights() -> dict[str, list[list[float]]]:
    """Return the weights of the experts for each two kinds of facts, of each reader."""
    settings = ComposeSettings()
    rows, truth, predictable = defaultdict(list), defaultdict(list), defaultdict(list)
    for world in worlds().WORLDS:
        for seed in _SEEDS:
            draw = Draw(f"shipped:{seed}".encode())
            made = worlds().routes(world, _CLIPS, seed)
            cut = [span for route in read_routes(made) for span in spans_of(route, settings, draw)]
            spans = [ClipSpan(one.route.clip_id, one.route.scene, one.text) for one in cut]
            offered = candidates(spans, draw, round(settings.apart_seconds * 1e6))
            cells = list(dict.fromkeys(one.cell for one in offered))
            reader, pairs = read(spans, offered, cells, draw)
            for cell in range(len(cells)):
                some = pairs[np.flatnonzero(pairs.cell == cell)]
                kinds = " ".join(reader.kinds(some))
                rows[kinds].append(Cell(reader, some).rows())
                truth[kinds].append(some.truth)
                predictable[kinds].append(np.full(len(some.truth), world in _PREDICTABLE))
    found = {}
    for kinds in sorted(rows):
        every, true = np.concatenate(rows[kinds]), np.concatenate(truth[kinds])
        some = np.concatenate(predictable[kinds])
        fits = fit(every, true, _RIDGE), fit(every[some], true[some], _RIDGE)
        found[kinds] = [one.round(4).tolist() for one in fits]
    return found


def main() -> None:
    """Write the file: first the words, then the weights that count on them."""
    path = Path(shipped.__file__).with_suffix(".json")
    found: dict[str, object] = {"early": early(), "weights": {}}
    path.write_text(json.dumps(found) + "\n", encoding="utf-8")
    found["weights"] = weights()
    path.write_text(json.dumps(found) + "\n", encoding="utf-8")
    print(f"{path}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
