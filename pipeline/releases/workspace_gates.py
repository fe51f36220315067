"""The gates that need the workspace: consent, frames, near-identical clips, people, blind accuracy."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import itemgetter

from pipeline.engine.folder import WorkspaceFolder
from pipeline.questions.rows import Item
from pipeline.releases import blindgate
from pipeline.releases.candidate import place_of
from pipeline.releases.gates import Gate, met_if, no_faults
from pipeline.releases.harvest import Harvest
from pipeline.releases.leftout import NO_CONSENT
from pipeline.releases.looks import EVERY_US, Footage, near_identical
from pipeline.releases.rows import Looks
from pipeline.releases.stills import whole
from pipeline.review.accuracy import judged, people
from pipeline.review.rows import Answer


@dataclass(frozen=True)
class Limits:
    """The limits of these gates: shares (0 to 1), a number of audited items, and points above chance."""

    agreement: float
    flawed: float
    audited: int
    blind: float
    blind_within: float


@dataclass(frozen=True)
class Checked:
    """The input of these gates."""

    harvest: Harvest
    folder: WorkspaceFolder
    limits: Limits
    dataset: str
    items: tuple[
        Item, ...
    ]  # all items of the workspace: the audit also counts items that it excluded
    answers: tuple[Answer, ...]
    looks: tuple[Looks, ...]


def check_workspace(checked: Checked) -> list[Gate]:
    """Run every gate that needs the workspace."""
    return [gate(checked) for gate in WORKSPACE_GATES]


def consent(checked: Checked) -> Gate:
    """Require the owner's consent to release every video."""
    harvest = checked.harvest
    faults = [
        item.item_id
        for item in harvest.candidate.items
        if harvest.videos[item.video_id].consent != "release"
    ]
    kept = sum(len(one.rows) for one in harvest.left_out if one.why == NO_CONSENT)
    what = "items without consent to release" + (f" ({kept} are left out)" if kept else "")
    return no_faults(
        "consent",
        sorted(faults),
        what,
        "set consent to release in manifest.csv, or leave the video out",
    )


def media(checked: Checked) -> Gate:
    """Require exactly the frames that each span shows, with their original bytes."""
    harvest, complete = checked.harvest, dict[str, bool]()
    places = {place_of(item) for item in harvest.candidate.items}
    # The clips of an earlier version's items all have the same number of frames.
    most = max(
        (len(harvest.stills.get(one, ())) for one in places - harvest.spans.keys()), default=0
    )
    for place in places:
        stills = harvest.stills.get(place, ())
        count = len(harvest.spans[place].frame_us) if place in harvest.spans else most
        complete[place] = (
            count > 0
            and [still.number for still in stills] == [*range(count)]
            and all(whole(checked.folder, still) for still in stills)
        )
    faults = [item.item_id for item in harvest.candidate.items if not complete[place_of(item)]]
    return no_faults(
        "media",
        sorted(faults),
        "items whose frames are missing or changed",
        "run egost export, which extracts them again; egost rejections lists the videos where it can't",
    )


def near_identical_clips(checked: Checked) -> Gate:
    """Require that no two spans of different splits show the same footage, even re-encoded or mirrored."""
    harvest = checked.harvest
    sides = {place_of(item): item.split for item in harvest.candidate.items}
    alike = near_identical(_footage(checked, sides), sides)
    faults = [item.item_id for item in harvest.candidate.items if place_of(item) in alike]
    return no_faults(
        "near_identical_clips",
        sorted(faults),
        "items of clips that are near-identical to a clip of another split",
        "give their videos the same scene in manifest.csv, or leave one of the videos out",
    )


def _footage(checked: Checked, places: Iterable[str]) -> dict[str, Footage]:
    """Return the looks of each place; those of its stills alone, where an earlier version cut them."""
    looks = {one.span_id: Footage.of(one.looks, one.flipped) for one in checked.looks}
    found = {}
    for place in places:
        stills = checked.harvest.stills.get(place, ())
        if place in looks:
            found[place] = looks[place]
        elif stills:
            apart_us = (stills[-1].t_us - stills[0].t_us) // max(len(stills) - 1, 1)
            found[place] = Footage.of_stills(
                "".join(still.look for still in stills), max(apart_us, EVERY_US)
            )
    return found


def agreement_of_people(checked: Checked) -> Gate:
    """Require inter-annotator agreement in every category; `rows` are clips, not items."""
    counted = checked.harvest.counted
    found = counted.agreement()
    worst = min(found.items(), key=lambda pair: pair[1].percent, default=None)
    limit = checked.limits.agreement
    figure = "no clip was judged by two people"
    met = limit == 0
    rows = sorted({item.clip_id for item in checked.harvest.candidate.items})
    if worst:
        category, one = worst
        figure = f"{one.percent:.0%} on {one.clips} clips ({category}, the lowest of {len(found)})"
        met = one.percent >= limit
        rows = counted.differing()[category]
    return Gate(
        name="agreement_of_people",
        state=met_if(met),
        figure=figure,
        limit=f"{limit:.0%}",
        rows=() if met else tuple(rows),
        fix=""
        if met
        else "have a second person review some clips, and settle disagreements with egost review adjudicate",
    )


def audit(checked: Checked) -> Gate:
    """Require enough items audited by people, of which few are flawed; one person's doubt counts, too."""
    found = judged(checked.items, people(checked.answers))
    limits = checked.limits
    enough, share = (
        found.flawed.total >= limits.audited,
        found.flawed.hits / max(found.flawed.total, 1),
    )
    met = enough and share <= limits.flawed
    alone = f"; {len(found.doubted)} of them by one person alone" if found.doubted else ""
    return Gate(
        name="audit",
        state=met_if(met),
        figure=f"flawed items in the sample: {found.flawed}{alone}",
        limit=f"at most {limits.flawed:.0%} of at least {limits.audited} audited",
        rows=() if met else tuple(sorted(found.reasons)),
        fix=""
        if met
        else "fix the flaws that the audit found: egost audit status lists them"
        if enough
        else "audit more items: egost audit push, pull",
    )


def blind(checked: Checked) -> Gate:
    """Require near-chance accuracy on the multiple-choice items without the video."""
    entries = checked.harvest.entries(checked.dataset)
    # In the order of the released files: some readers use it, and `egost verify` measures those rows.
    questions = sorted(((one.split, one.question) for one in entries), key=itemgetter(0))
    rows = (question for _, question in questions)
    return blindgate.blind(rows, checked.limits.blind, checked.limits.blind_within)


WORKSPACE_GATES: tuple[Callable[[Checked], Gate], ...] = (
    consent,
    media,
    near_identical_clips,
    agreement_of_people,
    audit,
    blind,
)
