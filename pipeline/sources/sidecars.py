"""Deciding which narration files of a folder belong to which of its videos. Pure."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from pipeline.sources.names import VIDEO_SUFFIXES, Names, folded

_CAPTIONS = (".srt", ".vtt")
# `walk.en`, `walk.pt-BR`, `walk.en-orig` (yt-dlp), `walk.eng.forced` (players)
_LANGUAGE = re.compile(
    r"\.(?P<tag>[a-z]{2,3}(?:[-_][a-z0-9]+)*)(?:\.(?:forced|sdh|cc|default|auto|orig))?$", re.I
)


@dataclass(frozen=True)
class Match:
    """A narration file and how its name leads to a video: 0 is the video's own stem."""

    file: str
    distance: int
    language: str = ""


@dataclass
class Assigned:
    """The narration files of each video, and those that are not read with the reason."""

    of: dict[str, list[str]] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)


def assign(videos: Sequence[str], files: Iterable[str], language: str | None) -> Assigned:
    """Match the names of narration files with those of the videos in the same folder.

    A file has the stem of its video, or its full name, in any spelling, and captions perhaps a
    language tag: of these, the closest name is read. `language` chooses between languages.
    """
    result = Assigned()
    matches: dict[str, list[Match]] = defaultdict(list)
    names = _VideoNames(videos)
    for file in files:
        match, meant = names.match(file)
        if len(meant) > 1 and match.distance:
            result.unread[file] = f"it could be for {' or '.join(meant)}"
            continue
        for video in meant:
            matches[video].append(match)
        if not meant and (likely := names.likely(file)):
            result.unread[file] = f"is it for {likely}? Then give it the same stem"
    for video, found in matches.items():
        closest = min(match.distance for match in found)
        nearest = [match for match in found if match.distance == closest]
        chosen = _in_language(nearest, language)
        result.of[video] = sorted(match.file for match in chosen)
        for match in found:
            if match in chosen:
                continue
            result.unread[match.file] = (
                f"{result.of[video][0]} is read for {video}"
                if chosen
                else f"{video} has narrations in several languages; remove all but one"
            )
    read = {file for found in result.of.values() for file in found}
    result.unread = {file: why for file, why in result.unread.items() if file not in read}
    return result


class _VideoNames:
    """The videos of a folder by their stems and names, as written and in any spelling."""

    def __init__(self, videos: Sequence[str]) -> None:
        self._names = Names(videos)
        self._stems: dict[str, list[str]] = defaultdict(list)
        self._folded: dict[str, list[str]] = defaultdict(list)
        self._videos = set(videos)
        for video in videos:
            stem = PurePosixPath(video).stem
            self._stems[stem].append(video)
            self._folded[folded(stem)].append(video)

    def match(self, file: str) -> tuple[Match, list[str]]:
        """Return how this file's name leads to videos, and which."""
        path = PurePosixPath(file)
        for distance, meant in enumerate(self._named(path.stem)):
            if meant:
                return Match(file, distance), meant
        tag = _LANGUAGE.search(path.stem)
        is_tag = tag and f".{tag['tag'].lower()}" not in VIDEO_SUFFIXES
        if tag and is_tag and path.suffix.lower() in _CAPTIONS:
            for meant in self._named(path.stem[: tag.start()]):
                if meant:
                    return Match(file, 3, tag["tag"].lower().replace("_", "-")), meant
        return Match(file, 4), []

    def _named(self, stem: str) -> tuple[list[str], list[str], list[str]]:
        other = self._folded.get(folded(stem)) or self._names.spelled(stem)
        return self._stems.get(stem, []), [stem] if stem in self._videos else [], other

    def likely(self, file: str) -> str | None:
        """Return the video that an unmatched file is probably for."""
        path = PurePosixPath(file)
        stem = folded(path.stem)
        for separator in reversed(list(re.finditer(r"[\W_]", stem))):
            if videos := self._folded.get(stem[: separator.start()]):
                # walk_imu.csv holds other data, but captions and walk.en.csv are narrations.
                rest = stem[separator.start() :]
                named = path.suffix.lower() in _CAPTIONS or re.fullmatch(r"\.[a-z]{2}", rest)
                return videos[0] if named else None
        return self._names.likely(stem)


def _in_language(found: list[Match], language: str | None) -> list[Match]:
    """Return the matches in one language: the only one, or the given one; none if that is open."""
    tags = {match.language for match in found}
    if len(tags) > 1 and language:
        # `en` also chooses `eng` and `en-US`, unless `en` itself is there.
        tags = {language} & tags or {tag for tag in tags if tag.split("-")[0][:2] == language[:2]}
    return [match for match in found if match.language in tags] if len(tags) == 1 else []
