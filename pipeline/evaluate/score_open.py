"""Score descriptions that somebody made elsewhere: the rows of a prediction file whose items are answered in words."""

from collections import Counter
from collections.abc import Container, Sequence

from pipeline.errors import UserError
from pipeline.evaluate import described
from pipeline.evaluate.cells import LEAST_WITHHELD
from pipeline.evaluate.described import as_description
from pipeline.evaluate.open_items import OpenItems
from pipeline.evaluate.rows import Prediction


def score_open(
    made: Sequence[Prediction], items: OpenItems, withheld: Container[str], where: str
) -> list[str]:
    """Return the figures of descriptions as lines; raise UserError if one has no known answer.

    As with options, withheld items are scored without others, and there is no figure of fewer than 30 of them.
    """
    if not made:
        return []
    for (id_, arm, repeat), count in Counter((one.id, one.arm, one.repeat) for one in made).items():
        if count > 1:
            what = f"has two descriptions in arm {arm}, repeat {repeat}"
            raise UserError(id_, what, "keep one of them")
    ids = list(dict.fromkeys(one.id for one in made))
    if unknown := [id_ for id_ in ids if id_ not in items.known]:
        raise UserError(
            where,
            f"the answers of {len(unknown)} of its {len(ids)} items answered in words are withheld",
            "add --answers FOLDER if you have them, or leave these items out",
        )
    asked, notes, least = [items.known[id_] for id_ in ids], [], 0
    if held := [one for one in asked if one.split in withheld]:
        least = LEAST_WITHHELD
        if left_out := len(asked) - len(held):
            notes.append(
                f"note: {left_out} items answered in words with published answers are left out"
            )
        asked = held
    metrics = described.summarise(
        asked, [as_description(one) for one in made], items.vocabulary, least=least
    )
    return [*described.lines(metrics), *notes]
