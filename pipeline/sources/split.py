"""Merge the copies of videos and assign split groups: connected components of scene and wearer.

An assignment never changes: it is stored per label (`scene:office`), even for labels no longer in use.
"""

import logging
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows, digest
from pipeline.errors import RowError, plain
from pipeline.sources.copies import Content, merged, place
from pipeline.sources.rows import CopyConsent, Probe, Split, SplitLabel, Video
from pipeline.sources.settings import SALT, SplitSettings

log = logging.getLogger(__name__)

_LARGE_GROUP = 0.3  # of the footage: above it, one scene or wearer dominates a split
_FEW = 3  # with so few videos, each is more than that


def run(rows: Rows, settings: SplitSettings, folder: WorkspaceFolder) -> Iterator[Row]:
    """Yield a Video with a split for each Probe; duplicates and contradictions are rejections."""
    assigned = {label.label: label for label in rows.before(SplitLabel)}
    known = {video.video_id: video for video in rows.before(Video)}
    groups = _Groups(assigned)
    admitted: list[Content] = []
    before = rows.before(CopyConsent)
    here = {probe.video_id for probe in rows[Probe]}
    yield from (row for row in before if row.video_id not in here)
    for content in _contents(rows[Probe], known, before):
        yield from content.consents
        yield from content.rejections
        try:
            groups.join(content.labels(), content.probe.wanted_split)
            admitted.append(content)
        except RowError as error:
            unit = content.probe.path
            yield Rejection(stage="split", unit=unit, what=error.what, fix=error.fix)
    labels = _assign(groups, admitted, settings)
    yield from labels.values()
    _warn_of_large(admitted, labels)
    for content in admitted:
        label = labels[content.labels()[0]]
        fields = content.probe.model_dump(exclude={"wanted_split"})
        yield Video(**fields, split_group=label.split_group, split=label.split)


def _contents(
    probes: Sequence[Probe], known: dict[str, Video], before: Sequence[CopyConsent]
) -> Iterator[Content]:
    """Yield each content once, known videos first."""
    copies: dict[str, list[Probe]] = defaultdict(list)
    recorded: dict[str, list[CopyConsent]] = defaultdict(list)
    for probe in probes:
        copies[probe.video_id].append(probe)
    for row in before:
        recorded[row.video_id].append(row)
    for video_id, found in sorted(copies.items(), key=lambda one: (one[0] not in known, one[0])):
        missing = {
            place(probe)
            for probe in found
            if len(found) > 1 and not Path(probe.root, probe.path).exists()
        }
        # The file that was known first is kept, or a copy in a folder sorted earlier would replace it;
        # but an existing file replaces one that no longer exists, since its folder was moved.
        found.sort(key=lambda p: (place(p) in missing, not _is_known(p, known), p.root, p.path))
        yield merged(found, missing, recorded[video_id])


def _is_known(probe: Probe, known: dict[str, Video]) -> bool:
    video = known.get(probe.video_id)
    return video is not None and (video.root, video.path) == (probe.root, probe.path)


class _Groups:
    """Disjoint sets of labels, each with at most one assignment and at most one wanted split."""

    def __init__(self, assigned: dict[str, SplitLabel]) -> None:
        self.assigned = assigned
        self._parent = {label: f"group:{row.split_group}" for label, row in assigned.items()}
        self._group = {f"group:{row.split_group}": row for row in assigned.values()}
        self._wanted: dict[str, Split] = {}

    def root(self, label: str) -> str:
        while (parent := self._parent.get(label, label)) != label:
            label = parent
        return label

    def assignment(self, root: str) -> SplitLabel | None:
        return self._group.get(root)

    def wanted(self, root: str) -> Split | None:
        return self._wanted.get(root)

    def join(self, labels: list[str], wanted: Split | None) -> None:
        """Merge the labels' sets; raise RowError if that would change an assignment."""
        roots = sorted({self.root(label) for label in labels})
        found = [self._group[root] for root in roots if root in self._group]
        if len(found) > 1:
            names = " and ".join(f"{group.split_group} ({group.split})" for group in found)
            raise RowError(
                f"{', '.join(labels[1:])} would join two split groups, {names}",
                "give it another scene or wearer in manifest.csv, or remove the video",
            )
        splits = {group.split for group in found} | {
            self._wanted[r] for r in roots if r in self._wanted
        }
        if len(splits) > 1:
            raise RowError(
                f"{', '.join(labels[1:])} would join videos requested in {' and in '.join(sorted(splits))}",
                "make the lines of that scene and wearer in manifest.csv agree, or remove the video",
            )
        if wanted and splits - {wanted}:
            raise RowError(
                f"manifest.csv requests {wanted}, but its split group is in {splits.pop()}",
                "remove `split` from its line, or make the lines of that scene and wearer agree",
            )
        top = next((root for root in roots if root in self._group), roots[0])
        for root in roots:
            self._parent[root] = top
        for split in ({wanted} if wanted else splits) - {None}:
            self._wanted[top] = split


def _assign(
    groups: _Groups, contents: list[Content], settings: SplitSettings
) -> dict[str, SplitLabel]:
    """Return each label's group and split; a new group goes to the split that lacks most footage."""
    labels_of: dict[str, set[str]] = {}
    length: Counter[str] = Counter()
    for content in contents:
        root = groups.root(content.labels()[0])
        labels_of.setdefault(root, set()).update(content.labels())
        length[root] += content.probe.duration_us
    filled: Counter[Split] = Counter()
    for root, seconds in length.items():
        if label := groups.assignment(root):
            filled[label.split] += seconds
    name = {root: "g_" + digest("group", min(labels)) for root, labels in labels_of.items()}
    missing = {split: share * length.total() for split, share in settings.shares().items()}
    result = dict(groups.assigned)
    # Long groups first: short ones can then even out the shares.
    for root in sorted(labels_of, key=lambda r: (-length[r], digest(SALT, name[r]))):
        label = groups.assignment(root)
        split = groups.wanted(root) or _emptiest(missing, filled)
        if label is None:
            filled[split] += length[root]
            label = SplitLabel(label="", split_group=name[root], split=split)
        for text in labels_of[root]:
            result[text] = label.model_copy(update={"label": text})
    return result


def _emptiest(missing: dict[Split, float], filled: Counter[Split]) -> Split:
    return max(missing, key=lambda split: missing[split] - filled[split])


def _warn_of_large(contents: list[Content], labels: dict[str, SplitLabel]) -> None:
    members: dict[str, list[Content]] = {}
    for content in contents:
        members.setdefault(labels[content.labels()[0]].split_group, []).append(content)
    total = sum(content.probe.duration_us for content in contents)
    for group, inside in members.items():
        share = sum(content.probe.duration_us for content in inside) / total
        named = sorted({f"{kind} {name}" for content in inside for kind, name in content.named})
        unavoidable = not named and len(contents) <= _FEW
        if share <= _LARGE_GROUP or unavoidable:
            continue
        log.warning(
            "split group %s (%s) contains %.0f %% of the footage, so it dominates its split",
            group, plain(", ".join(named) or inside[0].probe.path), 100 * share,
        )  # fmt: skip
