"""What happens in a row's span as the lines of a list, and what its question makes of actions on the way back. Pure."""

from pipeline.questions.truth import split_names
from pipeline.routes.tasks import plain
from pipeline.training.lists import Event
from pipeline.training.rows import TrainingRow


def forward(row: TrainingRow) -> tuple[Event, ...]:
    """Return the forward list of a row, its names as options show them; what has no name is left out."""
    named = (
        Event(
            one.kind,
            one.what if one.kind == "turn" else plain(one.what),
            round(one.start, 6),  # the difference of two times isn't exact
            round(one.end, 6),
        )
        for one in row.happenings
    )
    return tuple(one for one in named if one.what)


def undone(row: TrainingRow) -> dict[str, str]:
    """Return what undoes each action, if the question has them undone on the way back; otherwise nothing.

    A question about actions on the way back names what undoes them, or the actions themselves. A
    description of the way back tells what is undone.
    """
    acts = [one for one in row.happenings if one.kind == "action"]
    if row.category != "route":
        names = {plain(one.what) for one in acts}
        asked = [fact.name for fact in row.facts if fact.name.startswith("action:")]
        themselves = any(
            names.issuperset(both) for name in asked for both in split_names(name.partition(":")[2])
        )
        if row.orientation == "forward" or not asked or themselves:
            return {}
    ways = {plain(one.what): plain(one.undo) for one in acts if one.undo}
    return {name: undo for name, undo in ways.items() if undo}
