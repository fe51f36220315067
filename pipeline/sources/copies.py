"""Merging what the copies of one video give: the strictest consent, all labels, and what they contradict. Pure."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.engine.rows import Rejection
from pipeline.sources.rows import Consent, CopyConsent, Probe

_STRICTEST: tuple[Consent, ...] = ("local", "model", "release")
_OF_FILE = {
    *("video_id", "root", "path", "sha256", "bytes", "container", "codec", "width", "height"),
    *("rotation", "fps_num", "fps_den", "duration_us", "has_audio"),
}
# What a manifest gives, in the order of the table's columns.
_GIVEN = tuple(name for name in Probe.model_fields if name not in {*_OF_FILE, "consent"})
_LABELS = ("scene", "wearer")

Place = tuple[str, str]
"""The root and the path of a file."""


@dataclass(frozen=True)
class Content:
    """One video, of which there may be several copies.

    `probe` is the file that is used, with what applies to all copies; `named` are the kinds and names
    of everything that the content shares with others.
    """

    probe: Probe
    named: tuple[tuple[str, str], ...]
    consents: tuple[CopyConsent, ...] = ()
    rejections: tuple[Rejection, ...] = ()

    def labels(self) -> list[str]:
        """Return the labels of a video: the video itself first, then what it shares with others."""
        return [f"video:{self.probe.video_id}", *(f"{kind}:{name}" for kind, name in self.named)]


def place(row: Probe | CopyConsent) -> Place:
    """Return where this copy is."""
    return row.root, row.path


def merged(
    probes: Sequence[Probe], missing: Collection[Place], before: Sequence[CopyConsent]
) -> Content:
    """Merge the copies of one content; the first is the file to use.

    `missing` are the places whose file isn't there now, and `before` what the last run recorded. The
    consent of a copy that is gone stays in force until that of one that is there changes: deleting a
    file must not allow more.
    """
    there = [probe for probe in probes if place(probe) not in missing] or list(probes)
    kept = there[0]
    consents = _consents(probes, there, before)
    values = {name: _values(there, name) for name in _GIVEN}
    named = {(kind, str(value)): None for kind in _LABELS for value in values[kind]}
    consent = strictest([kept.consent, *(row.consent for row in consents)])
    given = {name: found[0] for name, found in values.items() if found}
    # A rotation that only one copy's line gives comes with the frame size that follows from it.
    turned = next((probe for probe in there if probe.manifest_rotation), kept)
    given |= {name: getattr(turned, name) for name in ("manifest_rotation", "width", "height")}
    return Content(
        kept.model_copy(update={**given, "consent": consent}),
        tuple(named),
        consents,
        tuple(_rejections(probes, there, consents)),
    )


def differ(probes: Sequence[Probe]) -> bool:
    """Return whether these copies give different consents, labels or other values."""
    names = ("consent", *_GIVEN)
    return len({tuple(getattr(probe, name) for name in names) for probe in probes}) > 1


def _values(probes: Sequence[Probe], name: str) -> list[object]:
    """Return the different values of a column, without empty ones."""
    return list(dict.fromkeys(value for probe in probes if (value := getattr(probe, name))))


def strictest(consents: Sequence[Consent]) -> Consent:
    """Return the consent that allows least."""
    return min(consents, key=_STRICTEST.index)


def _consents(
    probes: Sequence[Probe], there: Sequence[Probe], before: Sequence[CopyConsent]
) -> tuple[CopyConsent, ...]:
    """Return the consents in force, by place; none where there has only been one copy."""
    earlier = {place(row): row.consent for row in before}
    known = {place(probe): probe.consent for probe in probes}
    changed = any(earlier.get(place(p), p.consent) != p.consent for p in there)
    in_force = known if changed else earlier | known
    if len(in_force) < 2:
        return ()
    video_id = there[0].video_id
    return tuple(
        CopyConsent(video_id=video_id, root=root, path=path, consent=consent)
        for (root, path), consent in sorted(in_force.items())
    )


def _rejections(
    probes: Sequence[Probe], there: Sequence[Probe], consents: Sequence[CopyConsent]
) -> Iterator[Rejection]:
    kept = there[0]
    consent = strictest([kept.consent, *(row.consent for row in consents)])
    present = strictest([probe.consent for probe in there])
    if present != consent:
        stricter = next(row for row in consents if row.consent == consent)
        fix = (
            f"to allow {present}, write another consent for it in manifest.csv, run egost frames, "
            f"then write {present} and run it again"
        )
        if place(stricter) in map(place, probes):
            fix = f"make {stricter.root} available and change the consent of that copy"
        what = f"its consent stays {consent}, that of a copy which is gone: {stricter.path}"
        yield Rejection(stage="split", unit=kept.path, what=what, fix=fix)
    for copy in there[1:]:
        more = [
            f"its {kind} {value} counts as well"
            for kind in _LABELS
            if (value := getattr(copy, kind)) and value != getattr(kept, kind)
        ]
        if copy.consent != kept.consent:
            more.append(f"of the consents {kept.consent} and {copy.consent}, {consent} applies")
        more += (
            f"its {name.removeprefix('wanted_')} {getattr(copy, name)} contradicts {getattr(kept, name)}, which is used"
            for name in _GIVEN
            if name not in _LABELS and len(_values([kept, copy], name)) > 1
        )
        fix = "nothing to do; delete one of the two to remove this line"
        if more:
            fix = "make the lines of the two in manifest.csv agree"
        same = kept.path if copy.root == kept.root else str(Path(kept.root, kept.path))
        what = "; ".join([f"same content as {same}", *more])
        yield Rejection(stage="ingest", unit=copy.path, what=what, fix=fix)
