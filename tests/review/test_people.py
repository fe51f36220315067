import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numbered
import pytest
from walked import clip, draft, rows, steps

from pipeline.cli.console import exit_code
from pipeline.cli.main import cli
from pipeline.engine.rows import Finding, Rows
from pipeline.engine.workspace import Workspace
from pipeline.errors import UserError
from pipeline.flow import make_workspace, open_workspace, stages_of
from pipeline.labelstudio.scripted import ScriptedClient
from pipeline.motion.rows import Clip
from pipeline.questions.rows import Item
from pipeline.review import people, review, verdictlog
from pipeline.review.held import judged_drafts
from pipeline.review.rows import Verdict
from pipeline.review.settings import ReviewSettings
from pipeline.review.verified import DIFFER
from pipeline.routes.rows import Route
from pipeline.sources.intake import take_in

SET = ["review.agree=1", "review.overlap=1", "review.planted=0", "audit.overlap=1"]
SHORT = "compose.apart_seconds=0"  # the walk's steps are a second long
WALK = [
    step.model_copy(update={"landmark": name})
    for step, name in zip(
        steps("left", "straight", "right"), ("the bin", "the door", "the lamp"), strict=True
    )
]


class Desk:
    """A workspace with one drafted clip, and a server that is played."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.root = folder, folder / "workspace"
        self.client = ScriptedClient()
        make_workspace(self.root)
        (self.root / "secret").write_bytes(b"the same every time")
        with self.open() as space:
            self.fill(space)

    @contextmanager
    def open(self) -> Iterator[Workspace]:
        with open_workspace(self.root, [*SET, SHORT]) as space:
            yield space

    def fill(self, space: Workspace) -> None:
        """Store the rows that ingest, frames and draft would have written."""
        made = rows(space.folder, self.folder, [draft(clip(), WALK)], ["walk"])
        stages = {"videos": "split", "routes": "draft"}
        for kind, found in made.seen.items():
            if found and kind.table != "findings":
                stage = stages.get(kind.table, "frames")
                space.store.finish(stage, kind.table, "k", "done", found)

    def accept(self, task: int, who: str = "ann") -> None:
        given = [{"from_name": "verdict", "value": {"choices": ["accept"]}}]
        self.client.answer(task, given, email=f"{who}@example.org")

    @property
    def log(self) -> Path:
        return self.root / "verdicts" / "egost-routes.jsonl"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    found = Desk(tmp_path)
    monkeypatch.setattr(people, "connect", lambda space: found.client)
    return found


def verified(space: Workspace) -> list[Route]:
    return [route for route in space.store.rows(Route) if route.origin == "verified"]


def test_pull_is_idempotent_in_the_workspace_and_in_the_log(desk: Desk):
    with desk.open() as space:
        assert people.push(space).new == 1
        desk.accept(1)
        assert (people.pull(space).new, len(verified(space))) == (1, 1)
        again = people.pull(space)
        assert (again.new, again.kept, again.restored) == (0, 1, 0)
        assert {item.status for item in space.store.rows(Item)} == {"verified"}
    assert len(desk.log.read_text().splitlines()) == 1


def test_a_clip_that_people_judged_keeps_its_span_and_its_verdict_when_settings_change(
    desk: Desk, tmp_path: Path
):
    (tmp_path / "videos").mkdir()
    times = [number * 100 for number in range(440)]
    numbered.write(tmp_path / "videos" / "long.mp4", times_ms=times, size=(160, 90))
    (tmp_path / "videos" / "long.csv").write_text("time,text,landmark\n12,a bin,the bin\n")

    def clips(seconds: int, *more: str) -> set[str]:
        longest = f"frames.max_clip_seconds={seconds}"
        with open_workspace(root, [*SET, longest, *more]) as space:
            list(take_in(space, [tmp_path / "videos"]))
            list(space.run(stages_of("frames") + stages_of("generate-qa")))
            routes = [route for route in space.store.rows(Route) if route.origin == "verified"]
            assert len(routes) == bool(desk.client.given)
            return {clip.clip_id for clip in space.store.rows(Clip)}

    root = tmp_path / "long"
    make_workspace(root)
    first = clips(11)
    assert len(first) == 4
    with open_workspace(root, [*SET, "frames.max_clip_seconds=11"]) as space:
        people.push(space)
        desk.accept(2)
        people.pull(space)
        (judged,) = space.store.rows(Verdict)
    longer, evenly = clips(3600), clips(20, "frames.motion=false")
    assert judged.clip_id in longer & evenly
    assert len(longer) <= 3
    assert clips(11) == first


def test_clips_that_were_recut_before_their_verdicts_came_are_cut_as_they_were_judged(
    desk: Desk, tmp_path: Path
):
    (tmp_path / "videos").mkdir()
    times = [number * 100 for number in range(440)]
    numbered.write(tmp_path / "videos" / "long.mp4", times_ms=times, size=(160, 90))
    (tmp_path / "videos" / "long.csv").write_text("time,text,landmark\n12,a bin,the bin\n")
    root = tmp_path / "long"
    make_workspace(root)

    @contextmanager
    def cut(seconds: int) -> Iterator[Workspace]:
        with open_workspace(root, [*SET, f"frames.max_clip_seconds={seconds}"]) as space:
            list(take_in(space, [tmp_path / "videos"]))
            list(space.run(stages_of("frames") + stages_of("generate-qa")))
            yield space

    with cut(11) as space:
        people.push(space)
    desk.accept(2)
    with cut(3600) as space:
        (whole,) = space.store.rows(Clip)
        pulled = people.pull(space)
        (judged,) = space.store.rows(Verdict)
        assert judged.clip_id != whole.clip_id
        assert "run egost frames and egost generate-qa" in " ".join(pulled.advice)
    for _ in range(2):
        with cut(3600) as space:
            assert len(space.store.rows(Clip)) in (2, 3)
            assert [route.clip_id for route in verified(space)] == [judged.clip_id]
            assert people.pull(space).advice == ()


def test_a_lost_workspace_and_a_lost_server_lose_no_verdict(desk: Desk):
    with desk.open() as space:
        people.push(space)
        desk.accept(1)
        people.pull(space)
        (before,) = space.store.rows(Verdict)
    for path in desk.root.glob("done.sqlite*"):
        path.unlink()
    desk.client = ScriptedClient()
    with desk.open() as space:
        desk.fill(space)
        assert people.push(space).new == 0
        assert space.store.rows(Verdict) == [before]
        assert len(verified(space)) == 1
        assert people.advice(space) == ()


def test_logged_verdicts_on_missing_clips_are_reported(desk: Desk):
    with desk.open() as space:
        people.push(space)
        desk.accept(1)
        people.pull(space)
    for path in desk.root.glob("done.sqlite*"):
        path.unlink()
    desk.client = ScriptedClient()
    with desk.open() as space:
        assert people.push(space).new == 0
        (note,) = people.pull(space).advice
        assert "1 verdicts are about clips that this workspace doesn't have" in note
        desk.fill(space)
        assert people.pull(space).advice == ()
        assert len(verified(space)) == 1


def test_a_pull_that_is_killed_after_writing_the_log_is_completed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    with desk.open() as space:
        people.push(space)
        desk.accept(1)
    append = verdictlog.append

    def killed(*arguments: Any) -> int:
        append(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, desk.open() as space:
        patch.setattr(verdictlog, "append", killed)
        with pytest.raises(KeyboardInterrupt):
            people.pull(space)
        assert space.store.rows(Verdict) == []
    with desk.open() as space:
        assert people.pull(space).restored == 1
        assert len(verified(space)) == 1
    assert len(desk.log.read_text().splitlines()) == 1


def test_verdicts_about_other_workspaces_clips_stay_in_the_log(desk: Desk):
    with desk.open() as space:
        people.push(space)
        desk.accept(1)
        people.pull(space)
        (known,) = space.store.rows(Verdict)
        strange = known.model_copy(update={"clip_id": "elsewhere", "annotation_id": "x"})
        verdictlog.append(desk.log, [strange])
        assert people.restore(space) == 0


def test_an_edit_adds_a_line_to_the_log(desk: Desk):
    with desk.open() as space:
        people.push(space)
        desk.accept(1)
        people.pull(space)
        given = [{"from_name": "verdict", "value": {"choices": ["reject"]}}]
        desk.client.answer(1, given, email="ann@example.org")
        assert people.pull(space).new == 1
        assert verified(space) == []
        assert {item.status for item in space.store.rows(Item)} == {"set_aside"}
    assert len(desk.log.read_text().splitlines()) == 2


def test_the_audit_sets_items_aside_and_reopens_their_clip(desk: Desk):
    with desk.open() as space:
        people.push(space)
        desk.accept(1)
        people.pull(space)
        pushed = people.audit_push(space)
        asked = [item for item in space.store.rows(Item) if item.format == "mcq"]
        assert pushed.new == len(asked) > 0

        def doubt(who: str) -> None:
            for number, task in list(desk.client.kept.items())[1:]:
                given = [{"from_name": "choice", "value": {"choices": ["none"]}}]
                assert "question" in task.data
                desk.client.answer(number, given, email=f"{who}@example.org")

        doubt("cat")
        pulled = people.audit_pull(space)
        assert (pulled.new, pulled.own, pulled.stale) == (len(asked), 0, 0)
        assert (people.audit_pull(space).new, people.audit_pull(space).kept) == (0, len(asked))
        assert "set_aside" not in {item.status for item in space.store.rows(Item)}
        assert people.audit_status(space).audit.doubted == {item.item_id for item in asked}
        assert people.push(space).reopened == 0
        doubt("dan")
        assert people.audit_pull(space).new == len(asked)
        aside = {
            item.item_id: item.status_reason
            for item in space.store.rows(Item)
            if item.format == "mcq"
        }
        assert all("no option is right" in str(reason) for reason in aside.values())
        found = people.audit_status(space)
        assert (found.tasks, found.done, found.audit.flawed.hits) == (len(asked),) * 3
        assert people.push(space).reopened == 1
        assert people.push(space).reopened == 0


def test_possible_synonyms_are_appended_to_the_vocabulary(tmp_path: Path):
    desk = Desk(tmp_path)
    with open_workspace(desk.root, ["review.planted=0"]) as space:
        settings = space.settings("review", ReviewSettings)
        seen = Rows({kind: tuple(space.store.rows(kind)) for kind in review.PUSH_READS})
        review.push(desk.client, seen, settings, space.folder)
        lines = desk.client.kept[1].data["steps"]
        for who, name in (("ann", "the box"), ("bob", "the basket")):
            edited = lines.replace("the bin", name)
            given = [
                {"from_name": "verdict", "value": {"choices": ["corrected"]}},
                {"from_name": "steps", "value": {"text": [edited]}},
            ]
            desk.client.answer(1, given, email=f"{who}@example.org")
    with pytest.MonkeyPatch.context() as patch, open_workspace(desk.root) as space:
        patch.setattr(people, "connect", lambda space: desk.client)
        assert "1 new pairs of names" in people.pull(space).advice[0]
        assert people.pull(space).advice == ()
        (differ,) = [one for one in space.store.rows(Finding) if one.kind == DIFFER]
        assert differ.message == "people disagree on: route, landmark"
        path = desk.root / "vocabulary.csv"
        path.write_text(path.read_text().replace("# ", ""))
        people.pull(space)
        assert [one for one in space.store.rows(Finding) if one.kind == DIFFER] == []


def test_pull_and_status_report_typed_work_and_foreign_tasks(
    desk: Desk, capsys: pytest.CaptureFixture[str]
):
    with desk.open() as space:
        people.push(space)
    data = desk.client.kept[1].data
    desk.client.add(1, [json.dumps({**data, "round": "first"}).encode()])
    desk.accept(2)
    for who, lines in (("ann", "0:00,0 turn rihgt"), ("bob", "0:00.0 walk on")):
        given = [
            {"from_name": "verdict", "value": {"choices": ["corrected"]}},
            {"from_name": "steps", "value": {"text": [lines]}},
        ]
        desk.client.answer(1, given, email=f"{who}@example.org")
    sets = [word for setting in SET for word in ("--set", setting)]
    assert exit_code(cli, ["-w", str(desk.root), *sets, "review", "pull"]) == 0
    told = capsys.readouterr().out
    assert "1 unreadable, to be judged again, 1 left out: not sent by this workspace" in told
    assert "line 1: '0:00,0 turn rihgt' was read as '0:00.0 turn right'" in told
    wrong = f"clip {clip().clip_id}, a-"
    assert wrong in told
    assert exit_code(cli, ["-w", str(desk.root), *sets, "review", "status"]) == 0
    told = capsys.readouterr().out
    assert f"not usable, kept as typed: {wrong}" in told
    assert "not 'walk on'" in told
    assert "1 tasks not sent by this workspace" in told
    with desk.open() as space:
        assert sorted(one.typed for one in space.store.rows(Verdict)) == [
            "0:00,0 turn rihgt",
            "0:00.0 walk on",
        ]
        assert judged_drafts(space.store) == {clip().clip_id}


def test_a_missing_server_is_an_error_with_a_fix(tmp_path: Path):
    with Desk(tmp_path).open() as space, pytest.raises(UserError, match="is not running") as caught:
        people.push(space)
    assert "label-studio start" in caught.value.fix


def test_an_external_server_needs_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("LABEL_STUDIO_API_KEY", raising=False)
    desk = Desk(tmp_path)
    with (
        open_workspace(desk.root, ["review.url=http://127.0.0.1:9"]) as space,
        pytest.raises(UserError, match="LABEL_STUDIO_API_KEY is not set"),
    ):
        people.pull(space)


def test_a_second_pull_at_the_same_time_is_refused(desk: Desk):
    with desk.open(), pytest.raises(UserError, match="another egost command"), desk.open():
        pass


def test_a_push_of_nothing_explains_why(desk: Desk, capsys: pytest.CaptureFixture[str]):
    assert exit_code(cli, ["-w", str(desk.root), "audit", "push"]) == 0
    assert "audit push: there are no verified multiple-choice items" in capsys.readouterr().out
    assert exit_code(cli, ["-w", str(desk.root), "review", "adjudicate"]) == 0
    assert "people disagree on no clip" in capsys.readouterr().out
    assert exit_code(cli, ["-w", str(desk.root), "review", "push"]) == 0
    assert "there are no" not in capsys.readouterr().out
