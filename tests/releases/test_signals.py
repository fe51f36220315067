"""Nothing public but the frames and the texts tells an answer, or which spans belong together."""

import random
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import combinations, pairwise
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import factories
import pytest
import worlds
from small_release import release, small_space

from pipeline.engine.rows import digest
from pipeline.engine.store import Store
from pipeline.engine.workspace import Workspace
from pipeline.motion.rows import Clip
from pipeline.questions.asking import Asking, Question
from pipeline.questions.choose import ClipSpan, candidates
from pipeline.questions.draw import Draw
from pipeline.questions.rows import Span
from pipeline.questions.spantext import SpanText
from pipeline.releases.harvest import Harvest
from pipeline.releases.layout import Evidence, QuestionRow, ReleaseItem
from pipeline.releases.leftout import TOLD_BY_TIMES
from pipeline.releases.reading import open_release
from pipeline.releases.rows import Still
from pipeline.releases.verify import verify
from pipeline.review.settings import ReviewSettings
from pipeline.routes.rows import Route, Step
from pipeline.routes.wording import load

SECOND = factories.SECOND
CATEGORIES = ("route", "direction", "landmark", "action")
CLIPS = 240


def walked(row: worlds.Route) -> list[Step]:
    """Return the steps of a route of a world."""
    found, at = [], 0
    for seconds, move, landmark, action, undo in row["steps"]:
        end = at + round(seconds * 1e6)
        found.append(
            Step(start_us=at, end_us=end, move=move, landmark=landmark, action=action, undo=undo)
        )
        at = end
    return found


def long_walks(count: int, seed: int) -> list[worlds.Route]:
    """Return walks that are long enough for several spans, six in each scene."""
    rows = worlds.routes("fair", 2 * count, seed)
    pairs = zip(rows[::2], rows[1::2], strict=True)
    return [
        {**one, "group": f"g_{number // 6}", "steps": one["steps"] + other["steps"]}
        for number, (one, other) in enumerate(pairs)
    ]


def footage(rows: Sequence[worlds.Route], **fields: Any) -> Iterator[tuple[Any, Clip, Route]]:
    for number, row in enumerate(rows):
        name, steps = f"{number:04}", walked(row)
        given = {"split_group": row["group"], "path": row["path"], "sha256": f"{number:064x}"}
        route = factories.route(name, (), "verified", CATEGORIES, steps=steps)
        clip = factories.clip(name).model_copy(update={"end_us": steps[-1].end_us})
        yield factories.video(name, **(given | fields)), clip, route


def compose(space: Workspace, made: Sequence[tuple[Any, Clip, Route]]) -> Store:
    """Compose clips whose routes people verified, and name frames that were never cut."""
    store, (videos, clips, routes) = space.store, zip(*made, strict=True)
    store.finish("split", "all", "made up", "done", list(videos))
    store.finish("frames", "all", "made up", "done", list(clips))
    store.finish("review", "all", "made up", "done", list(routes))
    list(space.run(["compose"]))
    stills = [
        Still(
            span_id=span.span_id, video_id=span.video_id, number=number, t_us=at, width=1, height=1,
            media=digest(span.clip_id, at), sha256="", look="0",
        )
        for span in store.rows(Span)
        for number, at in enumerate(span.frame_us)
    ]  # fmt: skip
    store.finish("stills", "all", "made up", "done", stills)
    return store


def harvest(store: Store, **how: Any) -> Harvest:
    return Harvest(store, ReviewSettings(), only_verified=False, min_verified=0.0, **how)


@cache
def released() -> tuple[ReleaseItem, ...]:
    """Return the rows of clips of several spans."""
    with TemporaryDirectory() as folder, small_space(Path(folder) / "w", clips=0) as space:
        made = list(footage(long_walks(CLIPS, 1)))
        return tuple(harvest(compose(space, made)).entries("signals"))


def choices() -> list[tuple[int, QuestionRow]]:
    return [
        (place, one.question)
        for place, one in enumerate(released())
        if one.question.format == "mcq"
    ]


# ---- answers -----------------------------------------------------------------------------------------

COLUMNS: Mapping[str, Callable[[int, QuestionRow], object]] = {
    "row number": lambda place, row: place % 16,
    "place among the rows": lambda place, row: place // 100,
    "id": lambda place, row: row.id[2],
    "span": lambda place, row: row.video[2],
    "split group": lambda place, row: row.split_group[2],
    "question": lambda place, row: row.question,
    "length": lambda place, row: int(row.end // 2),
    "fraction of a second": lambda place, row: int(row.end * 10) % 10,
    "number of frames": lambda place, row: len(row.frames),
    "first frame": lambda place, row: row.frames[0][7],
    "time of the first frame": lambda place, row: round(row.frame_seconds[0], 2),
    "length of the options": lambda place, row: max(map(len, row.options)) % 8,
}
TARGETS: Mapping[str, Callable[[QuestionRow], int]] = {
    "letter": lambda row: "ABCD".index(row.answer or ""),
    "place among the sorted options": lambda row: sorted(row.options).index(row.answer_text or ""),
}


def guessed(
    rows: Sequence[tuple[int, QuestionRow]],
    column: Callable[[int, QuestionRow], object],
    target: Callable[[QuestionRow], int],
) -> float:
    """Return how often the most frequent target of a column's value, in other scenes, is right."""
    sides = defaultdict[bool, list[tuple[object, int]]](list)
    for place, row in rows:
        side = int(digest(row.split_group), 16) % 2 == 0
        sides[side].append((column(place, row), target(row)))
    right = 0
    for side in (False, True):
        seen = defaultdict[object, Counter[int]](Counter)
        for value, truth in sides[not side]:
            seen[value][truth] += 1
        for value, truth in sides[side]:
            right += bool(seen[value]) and seen[value].most_common(1)[0][0] == truth
    return right / len(rows)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("column", COLUMNS)
def test_no_public_column_tells_the_answer(column: str, target: str) -> None:
    rows = choices()
    assert len(rows) > 500
    found = guessed(rows, COLUMNS[column], TARGETS[target])
    assert found < 0.25 + 4 * sqrt(0.25 * 0.75 / len(rows))


def test_the_attack_finds_a_signal_that_is_planted() -> None:
    rows = choices()
    planted = guessed(rows, lambda place, row: row.answer, TARGETS["letter"])
    assert planted > 0.9


# ---- which spans belong together ---------------------------------------------------------------------


@cache
def spans() -> dict[str, tuple[list[int], QuestionRow, Evidence]]:
    """Return by span the numbers of its rows, one of them, and its evidence."""
    found: dict[str, tuple[list[int], QuestionRow, Evidence]] = {}
    for place, one in enumerate(released()):
        found.setdefault(one.question.video, ([], one.question, one.evidence))[0].append(place)
    return found


def apart(one: str, other: str) -> Mapping[str, float]:
    """Return how far two spans of a scene are apart by what is public."""
    (places, row, _), (others, second, _) = spans()[one], spans()[other]
    return {
        "id": abs(int(one[2:], 16) - int(other[2:], 16)),
        "rows": min(abs(a - b) for a in places for b in others),
        "items": abs(len(places) - len(others)),
        "length": abs(row.end - second.end),
        "fraction": abs(row.end % 1 - second.end % 1),
        "frames": abs(len(row.frames) - len(second.frames)),
        "names of frames": abs(int(row.frames[0][7:11], 16) - int(second.frames[0][7:11], 16)),
    }


def area(near: Sequence[float], far: Sequence[float], rng: random.Random) -> float:
    """Return how often a pair of one clip is nearer than a pair of two clips; a tie counts half."""
    drawn = [(rng.choice(near), rng.choice(far)) for _ in range(20_000)]
    return sum((a < b) + (a == b) / 2 for a, b in drawn) / len(drawn)


def test_nothing_hints_at_which_spans_are_of_one_clip() -> None:
    """Some clips are cut into parts of similar length, some into parts of different lengths."""
    groups = defaultdict[str, list[str]](list)
    for span, (_, row, _) in spans().items():
        groups[row.split_group].append(span)
    near, far = defaultdict[str, list[float]](list), defaultdict[str, list[float]](list)
    for group in groups.values():
        for one, other in combinations(sorted(group), 2):
            same = spans()[one][2].clip_id == spans()[other][2].clip_id
            for name, value in apart(one, other).items():
                (near if same else far)[name].append(value)
    rng = random.Random(1)
    found = {name: area(near[name], far[name], rng) for name in near}
    assert len(near["id"]) > 400
    bound = 4 / sqrt(12 * len(near["id"]))
    assert bound < 0.06
    length = found.pop("length")
    assert abs(length - 0.5) < 0.12  # 0.73 if all clips were cut evenly
    assert {name: value for name, value in found.items() if abs(value - 0.5) > bound} == {}


def test_nothing_tells_which_of_two_spans_of_a_clip_comes_first() -> None:
    clips = defaultdict[str, list[str]](list)
    for span, (_, _, evidence) in spans().items():
        clips[evidence.clip_id].append(span)
    pairs = [
        pair
        for found in clips.values()
        for pair in pairwise(sorted(found, key=lambda one: spans()[one][2].span_start or 0.0))
    ]
    assert len(pairs) > 200
    keys: Mapping[str, Callable[[str], float]] = {
        "id": lambda one: int(one[2:], 16),
        "row": lambda one: spans()[one][0][0],
        "length": lambda one: spans()[one][1].end,
        "frames": lambda one: len(spans()[one][1].frames),
        "first frame": lambda one: int(spans()[one][1].frames[0][7:11], 16),
        "items": lambda one: len(spans()[one][0]),
    }
    for name, key in keys.items():
        first = sum((key(a) < key(b)) + (key(a) == key(b)) / 2 for a, b in pairs) / len(pairs)
        assert abs(first - 0.5) < 2 / sqrt(len(pairs)), name


# ---- two versions of a withheld split -----------------------------------------------------------------


@cache
def versions() -> tuple[tuple[ReleaseItem, ...], tuple[ReleaseItem, ...], frozenset[str]]:
    """Return the rows before and after one turn of every third clip is corrected, and the clips."""
    rows = long_walks(CLIPS, 2)
    with TemporaryDirectory() as folder, small_space(Path(folder) / "w", clips=0) as space:
        made = list(footage(rows))
        before = tuple(harvest(compose(space, made)).entries("signals"))
        fixed = [
            (video, clip, corrected(route, number) if number % 3 == 0 else route)
            for number, (video, clip, route) in enumerate(made)
        ]
        after = tuple(harvest(compose(space, fixed)).entries("signals"))
    return before, after, frozenset(clip.clip_id for _, clip, _ in made[::3])


def corrected(route: Route, seed: int) -> Route:
    """Return a route in which one turn goes to the other side."""
    turns = [index for index, step in enumerate(route.steps) if step.move in ("left", "right")]
    chosen = random.Random(seed).choice(turns)
    steps = [
        step.model_copy(update={"move": "left" if step.move == "right" else "right"})
        if index == chosen
        else step
        for index, step in enumerate(route.steps)
    ]
    return route.model_copy(update={"steps": steps})


def test_a_corrected_clip_changes_its_own_items_alone() -> None:
    before, after, clips = versions()
    for one, others in ((before, after), (after, before)):
        known = {item.question.id: item.question for item in others}
        new = [item for item in one if known.get(item.question.id) != item.question]
        assert new
        assert {item.evidence.clip_id for item in new} <= clips


def again() -> Iterator[tuple[QuestionRow, QuestionRow]]:
    """Yield the items that ask the same of a corrected span in both versions: the texts match."""
    before, after, _ = versions()
    gone, new = (
        {
            (row.split_group, row.orientation, frozenset(row.options)): row
            for row in (item.question for item in one)
            if row.format == "mcq" and row.id not in {item.question.id for item in other}
        }
        for one, other in ((before, after), (after, before))
    )
    yield from ((gone[key], new[key]) for key in gone.keys() & new.keys())


def test_what_is_asked_again_is_a_new_item() -> None:
    pairs = list(again())
    assert pairs
    for old, new in pairs:
        assert (old.id, old.video) != (new.id, new.video)
        assert old.id != new.id
        assert old.video != new.video


def worded(draw: Draw, version: str, seed: int) -> Iterator[tuple[tuple[str, ...], Question]]:
    """Yield a question about each pair of facts of 300 walks, as a version with these span ids words it."""
    asking, wording = Asking(draw), load("en")
    for number, row in enumerate(worlds.routes("fair", 300, seed)):
        route = factories.route(steps=walked(row))
        steps = route.steps if version == "1.0.0" else corrected(route, number).steps
        span = f"s_{version} {number}"
        known = ClipSpan(str(number), row["group"], SpanText(span, tuple(steps)))
        for pair in candidates([known], draw, 0):
            twin = f"{span} {' '.join(pair.names)}"
            said = asking.word(pair, twin, "forward", "test", wording.stems, wording.facts)
            yield (str(number), *pair.names), said


def test_two_versions_of_a_withheld_split_cannot_be_subtracted() -> None:
    """Letters that stayed while the orders of options changed gave .50 in an earlier construction."""
    draw = Draw(b"two versions")
    before, after = (dict(worded(draw, version, 5)) for version in ("1.0.0", "2.0.0"))
    pairs = [(before[key], after[key]) for key in before.keys() & after.keys()]
    assert len(pairs) > 150
    states = [
        [[frozenset(one) for one in question.statements] for question in pair] for pair in pairs
    ]
    letters = [(old.answer_index, new.answer_index) for old, new in pairs]
    same_answer = sum(
        old[one] == new[other] for (old, new), (one, other) in zip(states, letters, strict=True)
    )
    assert 0 < same_answer < len(pairs)  # corrections change some of the answers
    found = [sum(one == other for one, other in letters)]
    # Readers who guess an option that has the same letter in both versions, or a different one.
    for same in (True, False):
        kept = [[(a == b) is same for a, b in zip(old, new, strict=True)] for old, new in states]
        guesses = [places.index(True) if any(places) else 0 for places in kept]
        found.append(sum(one == new for one, (_, new) in zip(guesses, letters, strict=True)))
    for count in found:
        assert abs(count / len(pairs) - 0.25) < 4 * sqrt(0.25 * 0.75 / len(pairs))


def test_what_an_item_that_disappears_reveals() -> None:
    """Its answer stays at chance for a reader who learns from half of the items that disappear."""
    before, after, _ = versions()
    left = {item.question.id for item in after}
    gone = [
        (place, item.question)
        for place, item in enumerate(before)
        if item.question.format == "mcq" and item.question.id not in left
    ]
    asked = {old.id for old, _ in again()}
    for target in TARGETS.values():
        for rows in (gone, [row for row in gone if row[1].id not in asked]):
            found = guessed(rows, lambda place, row: row.question_type, target)
            assert found < 0.25 + 4 * sqrt(0.25 * 0.75 / len(rows))


# ---- spans whose times are public ---------------------------------------------------------------------


@pytest.mark.usefixtures("unguessable")
def test_a_name_is_asked_about_in_one_span_of_a_scene_with_public_times(tmp_path: Path) -> None:
    with small_space(tmp_path / "w", clips=0) as space:
        store = compose(space, list(footage(long_walks(40, 3), licence="Proprietary")))
        shared, locked = harvest(store), harvest(store, closed=["proprietary"])
    assert {one.why for one in shared.left_out} == set()
    (left,) = locked.left_out
    assert (left.why, bool(left.fix)) == (TOLD_BY_TIMES, True)
    assert f"left out: {len(left.rows)} items {TOLD_BY_TIMES} (" in str(left)
    kept = locked.candidate.items
    assert len(kept) + len(left.rows) == len(shared.candidate.items)
    holders = defaultdict[tuple[str, str], set[str]](set)
    for item in kept:
        for fact in item.facts:
            kind, _, subject = fact.name.partition(":")
            for name in subject.split("|") if kind != "turn" else ():
                group = locked.videos[item.video_id].split_group
                holders[group, f"{kind} {name}"].add(item.span_id or "")
    assert max(map(len, holders.values())) == 1
    twins = Counter(item.twin for item in kept)
    assert set(twins.values()) == {2}
    assert locked.hydrate().keys() == {item.span_id for item in kept}
    assert not locked.media()
    assert not shared.hydrate()


def test_spans_that_are_whole_videos_have_no_order_to_tell(tmp_path: Path) -> None:
    with small_space(tmp_path / "w", clips=0) as space:
        short = [
            {**row, "group": "g", "steps": row["steps"][:6]} for row in worlds.routes("fair", 30, 4)
        ]
        store = compose(space, list(footage(short, licence="Proprietary")))
        assert harvest(store, closed=["proprietary"]).left_out == ()


# ---- files ---------------------------------------------------------------------------------------------


def test_names_order_and_times_of_files_follow_from_their_digests(tmp_path: Path) -> None:
    with small_space(tmp_path / "w") as space:
        folder = release(space).folder
        rows = [row for _, row in open_release(folder).questions()]
        videos = space.store.rows(Span)
    for split in ("train", "test"):
        ids = [row.id for name, row in open_release(folder).questions() if name == split]
        assert ids == sorted(ids)
    frames = sorted((folder / "frames").glob("*/*"))
    times = [path.stat().st_mtime_ns for path in frames]
    assert times == sorted(times)
    shown = b"".join(path.read_bytes() for path in folder.glob("data/*"))
    shown += (folder / "adapters" / "ego_st" / "test.json").read_bytes()
    for span in videos:
        for secret in (span.clip_id, span.video_id):
            assert secret.encode() not in shown
    assert all((row.start, row.video_sha256, row.scene_name) == (0, None, None) for row in rows)
    assert {row.video for row in rows} <= {span.span_id for span in videos}
    manifest = (folder / "manifest.json").read_text(encoding="utf-8")
    assert not [row.video for row in rows if row.video in manifest]
    verify(folder)
