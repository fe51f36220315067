"""Units whose rows people have judged: kept when their key changes, replaced on request, never lost."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import pytest

from pipeline.engine.rows import Rejection, Row, Rows
from pipeline.engine.run import pending, run_stage
from pipeline.engine.settings import RunSettings, Settings
from pipeline.engine.stage import SCAN, Stage, Summary
from pipeline.engine.store import Store
from pipeline.errors import GateError, RowError
from pipeline.motion.rows import Clip
from pipeline.sources.rows import Narration


class WordSettings(Settings):
    """A word that enters the keys."""

    word: str = "one"


def clip(name: str) -> Clip:
    return Clip(clip_id=name, video_id="v", start_us=0, end_us=1)


def write(rows: Rows, settings: WordSettings, folder: object) -> Iterator[Row]:
    yield Narration(video_id=rows.one(Clip).clip_id, t_us=0, text=settings.word)


def failing(again: bool) -> Callable[..., Iterable[Row]]:
    def fail(rows: Rows, settings: WordSettings, folder: object) -> Iterable[Row]:
        raise RowError("the server stalled", "try again", again=again)

    return fail


STAGE = Stage(
    name="words", does="write a word", reads=(Clip,), writes=(Narration,), settings=WordSettings,
    run=write, per=Clip, light=True, judged=lambda store: {"b"}, redo="--rewrite",
)  # fmt: skip


def run(store: Store, word: str = "one", stage: Stage = STAGE, *, redo: bool = False) -> Summary:
    how = RunSettings(workers=1, max_failed=0.4)
    return run_stage(stage, store, WordSettings(word=word), how, (), redo=redo)


def words(store: Store) -> dict[str, str]:
    return {one.video_id: one.text for one in store.rows(Narration)}


@pytest.fixture(autouse=True)
def clips(store: Store) -> None:
    for name in ("a", "b", "c"):
        store.finish(SCAN, name, "k", "done", [clip(name)])


def test_a_judged_unit_keeps_its_rows_until_the_user_asks(store: Store) -> None:
    assert run(store).held == 0
    summary = run(store, "two")
    assert (summary.new, summary.kept, summary.held) == (2, 1, 1)
    assert words(store) == {"a": "two", "b": "one", "c": "two"}
    assert "out of date: 1 clip; --rewrite" in str(summary)
    assert "--rewrite" in str(summary)
    assert run(store, "two").held == 1
    assert run(store, "one").held == 0, "the old settings are back: nothing is out of date"

    run(store, "two")
    assert run(store, "two", redo=True).new == 1
    assert words(store)["b"] == "two"
    assert (run(store, "two", redo=True).new, run(store, "two").held) == (0, 0)


def test_a_judged_unit_that_is_gone_is_dropped(store: Store) -> None:
    run(store)
    store.forget(SCAN, ["b"])
    assert run(store, "two").held == 0
    assert words(store) == {"a": "two", "c": "two"}


@pytest.mark.parametrize("again", [True, False])
def test_a_failed_replacement_keeps_the_judged_rows(store: Store, again: bool) -> None:
    run(store)
    broken = replace(STAGE, run=failing(again))
    if again:
        with pytest.raises(GateError, match="3 of 3 clips failed"):
            run(store, "two", broken, redo=True)
    else:
        summary = run(store, "two", broken, redo=True)
        assert (summary.kept, summary.rejected, summary.other_rejections) == (1, 2, 1)
    assert words(store) == {"b": "one"}
    assert [one.unit for one in store.rows(Rejection)] == ["a", "b", "c"]

    assert run(store, "two").held == 1
    # What failed is tried again; what was rejected is not, until it changes.
    others = {"a": "two", "c": "two"} if again else {}
    assert words(store) == {"b": "one"} | others
    run(store, "two", redo=True)
    assert words(store) == {"b": "two"} | others
    assert [one.unit for one in store.rows(Rejection)] == ([] if again else ["a", "c"])


def test_judged_units_of_a_stage_that_is_no_longer_wanted_are_kept(store: Store) -> None:
    stage = replace(STAGE, wanted=lambda settings: settings.word != "none")
    run(store, stage=stage)
    before = words(store)
    summary = run(store, "none", stage)
    assert (summary.kept, summary.held) == (1, 1)
    assert words(store) == {"b": before["b"]}
    (unit,) = pending(stage, store, WordSettings(word="none"), ()).held
    assert unit.id == "b"
    assert run(store, "one", stage).new == 2
    assert words(store) == before
    run(store, "none", stage, redo=True)
    assert words(store) == {}


def test_a_judged_unit_that_was_away_returns_with_its_rows(store: Store) -> None:
    run(store)
    store.forget(SCAN, ["a", "b"])
    run(store, "two")
    assert words(store) == {"c": "two"}
    for name in ("a", "b"):
        store.finish(SCAN, name, "k", "done", [clip(name)])
    summary = run(store, "two")
    assert (summary.new, summary.held) == (1, 1)
    assert words(store) == {"a": "two", "b": "one", "c": "two"}
    assert run(store, "two", redo=True).new == 1


def test_the_reason_of_a_failed_replacement_is_deleted_by_the_next_run(store: Store) -> None:
    run(store)
    run(store, "two", replace(STAGE, run=failing(again=False)), redo=True)
    assert "b" in {one.unit for one in store.rows(Rejection)}
    assert run(store, "one").held == 0, "the old settings are back"
    assert "b" not in {one.unit for one in store.rows(Rejection)}
