"""What people have judged stays as it is, whatever changes, until the user asks to replace it."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from walked import clip, draft, rows, steps

from pipeline import __version__, flow
from pipeline.assets import asset
from pipeline.engine.database import FORMAT
from pipeline.engine.rows import Finding, Rejection
from pipeline.engine.workspace import Workspace
from pipeline.errors import GateError, UserError
from pipeline.flow import make_workspace, open_workspace
from pipeline.labelstudio.scripted import ScriptedClient
from pipeline.motion.rows import Clip, JudgedClip, Turn
from pipeline.questions import generate
from pipeline.questions.rows import Item
from pipeline.releases.gates import check_gates
from pipeline.releases.harvest import Harvest
from pipeline.review import people
from pipeline.review.audit import _uid
from pipeline.review.rows import Answer, Verdict
from pipeline.review.settings import ReviewSettings
from pipeline.routes import wording
from pipeline.routes.rows import Route
from pipeline.sources.rows import Narration, Video

SET = ["review.agree=1", "review.overlap=1", "review.planted=0", "audit.overlap=1"]
WALK = steps("left", "straight", "right", landmark="door")
NAMES = ("walk", "stroll", "tour")


class Desk:
    """A workspace with three drafted clips, whose stems and templates are the test's own."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "workspace"
        self.client = ScriptedClient()
        make_workspace(self.root)
        with self.open() as workspace:
            made = rows(
                workspace.folder, folder, [draft(clip(name), WALK) for name in NAMES], NAMES
            )
            for kind, found in made.seen.items():
                if kind is Turn:  # and a second one, or there is nothing to ask about
                    later = {"start_us": 2_100_000, "end_us": 2_900_000, "kind": "right"}
                    found = (*found, *(turn.model_copy(update=later) for turn in found))
                if found and kind.table not in ("findings", "routes"):
                    stage = "split" if kind is Video else "frames"
                    workspace.store.finish(stage, kind.table, "k", "done", found)
            # And a landmark: two turns alone are too little to describe.
            passed = [
                Narration(
                    video_id=clip(name).video_id, t_us=100_000, text="a door", landmark="door"
                )
                for name in NAMES
            ]
            workspace.store.finish("ingest", "narrations", "k", "done", passed)
            for _ in generate.generate(workspace):
                pass

    @contextmanager
    def open(self, *more: str) -> Iterator[Workspace]:
        with open_workspace(self.root, [*SET, *more]) as workspace:
            yield workspace

    def judge(self, task: int, verdict: str = "accept", **fields: str) -> None:
        given = [{"from_name": "verdict", "value": {"choices": [verdict]}}]
        given += [{"from_name": name, "value": {"text": [text]}} for name, text in fields.items()]
        self.client.answer(task, given, email="ann@example.org")

    def generate(self, *flags: str, settings: tuple[str, ...] = ()) -> str:
        with self.open(*settings) as workspace:
            return "\n".join(str(line) for line in generate.generate(workspace, set(flags)))

    def dry_run(self, *flags: str, settings: tuple[str, ...] = ()) -> str:
        with self.open(*settings) as workspace:
            return "\n".join(generate.estimate(workspace, set(flags)))


@pytest.fixture
def prompts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of prompts/ that the toolkit reads from, for the test to change."""
    copy = tmp_path / "assets" / "prompts"
    shutil.copytree(asset("prompts"), copy)
    monkeypatch.setattr("pipeline.assets._PACKAGE", tmp_path / "assets")
    shutil.copytree(Path(flow.__file__).parents[1] / "annotations", copy.parent / "annotations")
    return copy


@pytest.fixture
def desk(tmp_path: Path, prompts: Path, unguessable: None, monkeypatch: pytest.MonkeyPatch) -> Desk:
    found = Desk(tmp_path)
    monkeypatch.setattr(people, "connect", lambda workspace: found.client)
    with found.open() as workspace:
        people.push(workspace)
    return found


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def change_description_word(prompts: Path) -> None:
    replace(prompts / "stems.toml", 'past = "past {landmark}"', 'past = "by {landmark}"')
    replace(prompts / "stems.toml", 'then = ", then"', 'then = ", please"')


def change_stems(prompts: Path) -> None:
    """Change the wording of every English question."""
    english = wording.load("en")
    text = (prompts / "stems.toml").read_text(encoding="utf-8")
    for stems in english.stems.values():
        for stem in stems:
            text = text.replace(json.dumps(stem, ensure_ascii=False)[1:-1], f"Say: {stem}")
    (prompts / "stems.toml").write_text(text, encoding="utf-8")


def judged(desk: Desk) -> tuple[list[Verdict], list[Route], list[Item]]:
    with desk.open() as workspace:
        routes = [one for one in workspace.store.rows(Route) if one.origin == "verified"]
        items = [one for one in workspace.store.rows(Item) if one.status == "verified"]
        return workspace.store.rows(Verdict), routes, items


def test_a_changed_description_word_keeps_judged_routes_until_redraft(
    desk: Desk, prompts: Path
) -> None:
    desk.judge(1)
    desk.judge(2, "corrected", steps="0:00.0 go straight")
    with desk.open() as workspace:
        people.pull(workspace)
    before = judged(desk)
    assert (len(before[0]), len(before[1])) == (2, 2)
    assert len(before[2]) > 2

    change_description_word(prompts)
    dry = desk.dry_run()
    assert "2 would be kept because people have judged them" in dry
    assert all(f"draft: clip {verdict.clip_id}" in dry for verdict in before[0])
    assert judged(desk) == before

    printed = desk.generate()
    assert "draft: 3 clips: 1 new, 2 kept" in printed
    assert "people judged them, though out of date: 2 clips; --redraft" in printed
    assert "--redraft" in printed
    assert judged(desk) == before
    assert "out of date: 2 clips" in desk.generate(), "a second run reports it as well"
    assert judged(desk) == before

    assert "would be kept" not in desk.dry_run("--redraft")
    assert "out of date" not in desk.generate("--redraft")
    assert judged(desk)[1:] == ([], [])
    with desk.open() as workspace:
        assert all("please" in one.forward_description for one in workspace.store.rows(Route))
    assert "nothing new, 3 kept" in desk.generate("--redraft")


def test_another_prompt_or_provider_keeps_judged_routes(
    desk: Desk, prompts: Path, caplog: pytest.LogCaptureFixture
) -> None:
    desk.judge(1)
    with desk.open() as workspace:
        people.pull(workspace)
    before = judged(desk)
    (prompts / "describe.j2").write_text(
        (prompts / "describe.j2").read_text(encoding="utf-8") + "{# another prompt #}\n",
        encoding="utf-8",
    )
    desk.generate()
    assert judged(desk) == before

    model = ("draft.provider=openai", "draft.model=m", "draft.base_url=http://127.0.0.1:1/v1")
    with pytest.raises(UserError, match=r"drafted with draft\.provider = motion") as refused:
        desk.generate(settings=model)
    assert refused.value.exit_code == 2
    assert "draft.model = m" in refused.value.what
    assert "--redraft" in refused.value.fix
    with pytest.raises(UserError, match="drafted with"):
        desk.dry_run(settings=model)
    assert judged(desk) == before


def test_another_model_is_another_drafter(desk: Desk) -> None:
    with desk.open() as workspace:
        workspace.store.set_note("drafted_by", json.dumps(["openai", "small"]))
    model = ("draft.provider=openai", "draft.model=large", "draft.base_url=http://127.0.0.1:1/v1")
    with pytest.raises(UserError, match=r"draft\.model = small.*draft\.model = large"):
        desk.generate(settings=model)
    with pytest.raises(UserError, match=r"draft\.model = small.*draft\.provider = motion"):
        desk.generate()
    assert "nothing new" in desk.generate("--redraft")
    assert "nothing new" in desk.generate(), "the drafts are by motion, and it is noted again"


def test_a_workspace_without_drafts_has_no_drafter(tmp_path: Path) -> None:
    make_workspace(tmp_path / "w")
    with open_workspace(tmp_path / "w", []) as workspace:
        list(generate.generate(workspace))
        assert workspace.store.note("drafted_by") is None


def audit(desk: Desk, without: int = 0) -> list[Item]:
    """Answer all multiple-choice items of all clips correctly; return them."""
    for task in {1, 2, 3} - {without}:
        desk.judge(task)
    with desk.open() as workspace:
        people.pull(workspace)
        people.audit_push(workspace)
        secret = workspace.folder.secret()
        items = {_uid(secret, one, 1): one for one in workspace.store.rows(Item)}
        audited = []
        for number, task in list(desk.client.kept.items()):
            if item := items.get(str(task.data.get("uid"))):
                given = [{"from_name": "choice", "value": {"choices": [str(item.answer_index)]}}]
                desk.client.answer(number, given, email="cat@example.org")
                audited.append(item)
        assert people.audit_pull(workspace).new == len(audited) > 0
        return audited


def items_of(desk: Desk) -> dict[str, Item]:
    with desk.open() as workspace:
        return {one.item_id: one for one in workspace.store.rows(Item)}


def test_changed_stems_keep_audited_items_until_recompose(desk: Desk, prompts: Path) -> None:
    audited = audit(desk)
    before = items_of(desk)
    change_stems(prompts)
    dry = desk.dry_run()
    # The descriptions of an audited span stay, too.
    kept = len(before)
    assert len(audited) < kept
    assert (
        f"{kept} items would be kept because people have audited them, if their routes stay" in dry
    )
    assert all(f"compose: item {one.item_id}" in dry for one in audited)
    assert items_of(desk) == before

    printed = desk.generate()
    assert f"out of date: {kept} items; --recompose" in printed
    assert "--recompose" in printed
    after = items_of(desk)
    assert {one.item_id: after[one.item_id] for one in audited} == {
        one.item_id: before[one.item_id] for one in audited
    }
    assert all(not one.question.startswith("Say: ") for one in after.values()), (
        "a span is kept whole"
    )
    assert f"out of date: {kept} items" in desk.generate()
    assert f"{kept} items would be kept" in desk.dry_run()

    printed = desk.generate("--recompose")
    assert "out of date" not in printed
    assert all(one.question.startswith("Say: ") for one in items_of(desk).values())
    assert "nothing new" in desk.generate("--recompose")
    assert "would be kept" not in desk.dry_run()


def test_the_words_of_moves_and_a_stricter_setting_keep_audited_pairs_whole(
    desk: Desk, prompts: Path
) -> None:
    audited = audit(desk)
    before = items_of(desk)
    replace(prompts / "stems.toml", '"turn left"', '"go left"')
    desk.generate(settings=("compose.apart_seconds=60",))
    after = items_of(desk)
    assert {one.item_id: after[one.item_id] for one in audited} == {
        one.item_id: before[one.item_id] for one in audited
    }


def test_a_corrected_route_replaces_its_audited_items(desk: Desk, prompts: Path) -> None:
    audited = audit(desk)
    change_stems(prompts)
    desk.judge(1, "corrected", steps="0:00.0 turn right\n0:02.0 turn right")
    with desk.open() as workspace:
        people.pull(workspace)
        (corrected,) = [one for one in workspace.store.rows(Verdict) if one.verdict == "corrected"]
    after = items_of(desk)
    for item in audited:
        if item.clip_id == corrected.clip_id:
            assert item.item_id not in after or after[item.item_id].fingerprint != item.fingerprint
        else:
            assert after[item.item_id].question == item.question


def test_an_older_workspace_keeps_only_audited_items_of_unchanged_routes(
    desk: Desk, prompts: Path
) -> None:
    audited = audit(desk)
    old_format(desk)
    change_stems(prompts)
    desk.judge(1, "corrected", steps="0:00.0 turn right\n0:02.0 turn right")
    with desk.open() as workspace:
        people.pull(workspace)
        (corrected,) = [one for one in workspace.store.rows(Verdict) if one.verdict == "corrected"]
    after = items_of(desk)
    for item in audited:
        if item.clip_id == corrected.clip_id:
            assert item.item_id not in after or after[item.item_id].fingerprint != item.fingerprint
        else:
            assert after[item.item_id] == item


def test_a_redraft_that_fails_loses_no_judged_draft(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The routes that people verified are still there when a model may not see their videos."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-used-1234567890")
    desk.judge(1)
    with desk.open() as workspace:
        people.pull(workspace)
        videos = [
            one.model_copy(update={"consent": "local"}) for one in workspace.store.rows(Video)
        ]
        workspace.store.finish("split", "videos", "k", "done", videos)
    before = judged(desk)
    elsewhere = (
        "draft.provider=openai", "draft.model=m", "draft.base_url=http://elsewhere.invalid/v1",
        "draft.input_usd_per_million=1", "draft.output_usd_per_million=1",
    )  # fmt: skip
    printed = desk.generate("--redraft", settings=elsewhere)
    assert "draft: 3 clips: nothing new, 1 kept, 2 rejected, 1 other rejection" in printed
    assert judged(desk) == before
    with desk.open() as workspace:
        assert workspace.store.note("drafted_by") == json.dumps(["motion", None])
        assert len(workspace.store.rows(Rejection, ["draft"])) == 3
    assert "draft: 3 clips: 2 new, 1 kept" in desk.generate()
    assert judged(desk) == before


def counting_answers(desk: Desk) -> int:
    """How many answers are to an item in its current form."""
    with desk.open() as workspace:
        current = {(one.item_id, one.fingerprint) for one in workspace.store.rows(Item)}
        answers = workspace.store.rows(Answer)
    return sum((one.item_id, one.fingerprint) in current for one in answers)


def test_new_words_for_facts_apply_to_all_items_or_none_and_gates_hold(
    desk: Desk, prompts: Path
) -> None:
    audited = audit(desk)
    replace(prompts / "stems.toml", '"{nth} turn {side}"', '"{nth} bend {side}"')
    assert f"out of date: {len(audited)} items" in desk.generate()
    items = items_of(desk).values()
    assert not any("bend" in option for one in items for option in one.options)
    with desk.open() as workspace:
        harvest = Harvest(workspace.store, ReviewSettings(), only_verified=False, min_verified=1.0)
        gates = {one.name: one.met for one in check_gates(harvest.candidate)}
        assert gates["inverse_pairs"]
        assert gates["no_true_distractor"]
        kinds = {one.kind for one in workspace.store.rows(Finding)}
        assert "answer_not_borne_out" not in kinds
    desk.generate("--recompose")
    options = [option for one in items_of(desk).values() for option in one.options]
    assert any("bend" in option for option in options)
    assert not any("turn left" in option for option in options)


def test_a_video_that_is_away_for_a_while_keeps_its_judgements(desk: Desk, prompts: Path) -> None:
    audited = audit(desk)
    change_description_word(prompts)
    change_stems(prompts)
    desk.generate()
    before, items = judged(desk), items_of(desk)
    with desk.open() as workspace:
        clips = workspace.store.rows(Clip)
        workspace.store.finish("frames", "clips", "k", "done", clips[1:])
    desk.generate()
    assert len(judged(desk)[1]) == len(before[1]) - 1
    assert counting_answers(desk) < len(audited)
    with desk.open() as workspace:
        workspace.store.finish("frames", "clips", "k", "done", clips)
    desk.generate()
    assert judged(desk) == before
    assert items_of(desk) == items
    assert counting_answers(desk) == len(audited)


def test_an_annotator_who_is_excluded_for_a_while_costs_no_audited_item(
    desk: Desk, prompts: Path
) -> None:
    desk.judge(1, "corrected", steps="0:00.0 turn right\n0:01.0 turn right\n0:02.0 turn left")
    audited = audit(desk, without=1)
    change_stems(prompts)
    desk.generate()
    before = items_of(desk)
    with desk.open() as workspace:
        verdicts = {
            one.annotation_id: one
            for one in workspace.store.rows(Verdict)
            if one.verdict == "corrected"
        }
        for annotation_id, one in verdicts.items():
            skipped = one.model_copy(update={"verdict": "skip"})
            workspace.store.finish("pull", annotation_id, "k", "done", [skipped])
    desk.generate()
    assert counting_answers(desk) < len(audited)
    with desk.open() as workspace:
        for annotation_id, one in verdicts.items():
            workspace.store.finish("pull", annotation_id, "k", "done", [one])
    desk.generate()
    assert counting_answers(desk) == len(audited)
    assert items_of(desk) == before


def test_verdicts_on_drafts_that_were_replaced_before_the_pull_are_reported(
    desk: Desk, prompts: Path
) -> None:
    desk.judge(1)
    change_description_word(prompts)
    desk.generate()
    with desk.open() as workspace:
        pulled = people.pull(workspace)
    assert any("1 of these verdicts are about drafts" in line for line in pulled.advice)


def test_verdicts_restored_from_the_log_onto_other_drafts_are_reported(
    desk: Desk, prompts: Path
) -> None:
    desk.judge(1)
    with desk.open() as workspace:
        people.pull(workspace)
    change_description_word(prompts)
    with (
        desk.open() as workspace
    ):  # as after a database was lost: drafted again, verdicts in the log
        for unit in workspace.store.keys("pull"):
            workspace.store.forget("pull", [unit])
    desk.generate()
    with desk.open() as workspace:
        pulled = people.pull(workspace)
    assert pulled.restored == 1
    assert any("of these verdicts are about drafts" in line for line in pulled.advice)


def test_audited_clips_keep_their_spans(desk: Desk) -> None:
    audited = audit(desk)
    with desk.open() as workspace:
        kept = {one.clip_id for one in workspace.store.rows(JudgedClip)}
    assert {one.clip_id for one in audited} <= kept


def test_the_drafter_is_noted_even_if_too_many_clips_fail(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: Workspace, command: str, redo: set[str]) -> Iterator[object]:
        made = [
            one.model_copy(update={"provider": "openai", "model": "m"})
            for one in self.store.rows(Route, ["draft"])
        ]
        self.store.finish("draft", "made by m", "k", "done", made[:1])
        yield from ()
        raise GateError("draft", "1 of 3 clips failed", "try again")

    monkeypatch.setattr(Workspace, "run_command", failing)
    with pytest.raises(GateError):
        desk.generate("--redraft", settings=("draft.provider=openai", "draft.model=m"))
    with desk.open() as workspace:
        assert json.loads(workspace.store.note("drafted_by") or "") == ["openai", "m"]


def test_an_empty_database_beside_tables_is_refused(desk: Desk) -> None:
    (desk.root / "done.sqlite").write_bytes(b"")
    tables = {path: path.read_bytes() for path in (desk.root / "tables").iterdir()}
    assert tables
    with pytest.raises(UserError, match="is empty, although tables/ holds results"), desk.open():
        pass
    assert {path: path.read_bytes() for path in (desk.root / "tables").iterdir()} == tables


@pytest.mark.parametrize("body", [b"{not json", b"\x1f\x8b broken"])
def test_garbage_in_an_old_database_is_an_error_for_the_user(desk: Desk, body: bytes) -> None:
    old_format(desk)
    with closing(sqlite3.connect(desk.root / "done.sqlite")) as db, db:
        db.execute("UPDATE rows SET body = ? WHERE stage = 'draft' AND name = 'routes'", (body,))
    with pytest.raises(UserError, match="can't be opened"), desk.open():
        pass


def test_a_newer_workspace_is_refused_with_the_version_it_needs(desk: Desk) -> None:
    with closing(sqlite3.connect(desk.root / "done.sqlite")) as db, db:
        db.execute(f"PRAGMA user_version = {FORMAT + 1}")
        db.execute("UPDATE notes SET value = '9.9.9' WHERE name = 'written_by'")
    with pytest.raises(UserError, match=r"egost 9\.9\.9") as refused, desk.open():
        pass
    assert __version__ in refused.value.what
    assert refused.value.fix == "install egost 9.9.9 or later"


def old_format(desk: Desk) -> bytes:
    """Make the workspace one of format 0, as the toolkit left it before formats had numbers."""
    path = desk.root / "done.sqlite"
    with closing(sqlite3.connect(path)) as db, db:
        for name in ("notes", "archived_units", "archived_rows"):
            db.execute(f"DROP TABLE {name}")
        db.execute("DELETE FROM rows WHERE name IN ('composed_from', 'held', 'audited_before')")
        db.execute("PRAGMA user_version = 0")
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.read_bytes()


def test_an_older_workspace_is_copied_before_it_is_migrated(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    old_format(desk)
    before = items_of_file(desk.root / "done.sqlite")
    with desk.open() as workspace:
        assert json.loads(workspace.store.note("drafted_by") or "") == ["motion", None]
    copy = desk.root / "done.format-0.sqlite"
    assert copy.name in caplog.text
    assert items_of_file(copy) == before
    with closing(sqlite3.connect(copy)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (0,)
    copy.unlink()
    with desk.open():
        assert not copy.exists(), "a workspace of this format is not migrated again"
    assert "nothing new" in desk.generate()


def items_of_file(path: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT * FROM rows ORDER BY stage, unit, name").fetchall()


def test_a_migration_that_can_not_copy_changes_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = old_format(desk)
    (desk.root / "done.format-0.sqlite").mkdir()  # in the way of the copy
    with pytest.raises(OSError, match=r"done\.format-0"), desk.open():
        pass
    assert (desk.root / "done.sqlite").read_bytes()[: len(old)] == old
    with closing(sqlite3.connect(desk.root / "done.sqlite")) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (0,)
