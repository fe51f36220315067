"""What a trained model already gets right every time or never: it learns nothing from such rows."""

from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from pipeline.errors import UserError
from pipeline.evaluate.arms import FRAMES
from pipeline.evaluate.results import read_results, release_digest
from pipeline.evaluate.scoring import REVERSED, scored
from pipeline.releases.reading import Released
from pipeline.training.rows import Made
from pipeline.training.source import SPLIT

_LEAST_REPEATS = 2
_ARMS: Mapping[str, Made] = {FRAMES: "released", REVERSED: "rewound"}
ALWAYS = "the model gets them right every time"
NEVER = "the model never gets them right"


def settled(folder: Path, released: Released) -> dict[tuple[str, Made], str]:
    """Return by item, and by what was shown of it, whether a model is always or never right; nothing for the others.

    `folder` holds results of `egost evaluate --split train --repeats N` on this release: its arm `frames` tells of
    the released frames, and `reversed`, if it was asked, of rewound ones. Raise UserError for results of another
    release or without repeats.
    """
    results = read_results(folder)
    if results.identity.release != release_digest(released):
        what = f"is about another release: {results.identity.dataset} {results.identity.version}"
        raise UserError(str(folder), what, "give results on the release that rows are made of")
    questions = [one for one in results.questions if one.split == SPLIT]
    known = {one.id for one in questions}
    told: dict[tuple[str, Made], list[bool]] = defaultdict(list)
    made = [one for one in results.predictions if one.id in known and one.arm in _ARMS]
    for one in scored(questions, made):
        if one.outcome != "failed":
            told[one.question.id, _ARMS[one.arm]].append(one.outcome == "right")
    repeated = {key: right for key, right in told.items() if len(right) >= _LEAST_REPEATS}
    if not repeated:
        what = f"doesn't tell how often a model is right on the split {SPLIT}"
        fix = f"egost evaluate {released.folder} --model NAME --split {SPLIT} --repeats 8"
        raise UserError(str(folder), what, fix)
    return {
        key: ALWAYS if all(right) else NEVER
        for key, right in repeated.items()
        if all(right) or not any(right)
    }
