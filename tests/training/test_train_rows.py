"""`egost train rows`: what becomes a row and what is left out, errors, kills, two at once, a full disk."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import cv2
import pyarrow.parquet as pq
import pytest
from filmed_release import BY, START, Filmed, filmed
from made_results import make_results
from small_release import MOVES, release, small_space, steps

from pipeline.cli.console import exit_code
from pipeline.cli.main import cli
from pipeline.engine.lock import locked
from pipeline.errors import UserError
from pipeline.evaluate.scoring import Question
from pipeline.models.settings import ThinkModel
from pipeline.questions.visible import sees
from pipeline.releases.reading import open_release
from pipeline.training.agreeing import disagreements
from pipeline.training.checking import check
from pipeline.training.make import Options, RowMaker
from pipeline.training.rows import TrainingRow
from pipeline.training.source import train_split
from pipeline.training.written import Writing, rejections
from tests.evaluate.judge_server import judge_server

ROOT = Path(__file__).parent.parent.parent
COIN = {"compose": {"mirror": "coin"}}


@pytest.fixture(scope="module")
def walks(tmp_path_factory: pytest.TempPathFactory) -> Filmed:
    return filmed(tmp_path_factory.mktemp("walks"), settings=COIN)


@pytest.fixture(scope="module")
def made(walks: Filmed, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows of an undisturbed run."""
    found = RowMaker(walks.released, Options([walks.videos]), tmp_path_factory.mktemp("rows"))
    return found.run().folder


def rows_in(folder: Path) -> list[TrainingRow]:
    return [
        TrainingRow.model_validate(row)
        for row in pq.read_table(folder / "rows.parquet").to_pylist()
    ]


def body_of(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "rows.json").read_text())
    return found


def maker(walks: Filmed, out: Path, **options: Any) -> RowMaker:
    return RowMaker(walks.released, Options(**{"videos": [walks.videos], **options}), out)


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file; of those with absolute paths, only whether they can be read as they are meant."""
    named = {path.relative_to(folder): path for path in folder.rglob("*") if path.is_file()}
    assert not check(folder)
    return {
        name.as_posix(): ""
        if name.parts[0] in ("trl", "swift", "verl")
        else sha256(path.read_bytes()).hexdigest()
        for name, path in named.items()
        if name.name != ".lock"
    }


def command(walks: Filmed, out: Path, *more: str) -> list[str]:
    words = ["train", "rows", str(walks.folder), "--videos", str(walks.videos), "--out", str(out)]
    return [sys.executable, "-m", "pipeline", *words, *more]


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


# ---- what is made ------------------------------------------------------------------------------------


def test_rows_are_those_of_the_train_split_alone(tmp_path: Path) -> None:
    splits = filmed(tmp_path, clips=8)  # all are train
    ids = {row.id for _, row in splits.released.questions()}
    rows = rows_in(maker(splits, tmp_path / "rows", contrast=()).run().folder)
    assert {row.id for row in rows} == ids
    assert {row.made for row in rows} == {"released"}
    assert [row.id for row in rows] == sorted(ids)


def test_each_frame_shows_its_time_and_the_side_of_its_span(walks: Filmed, made: Path) -> None:
    evidence = {one.id: one for one in walks.released.evidence()}
    ways = set()
    for row in rows_in(made):
        mirrored = evidence[row.item].mirrored != (row.made == "mirrored")
        ways.add((row.made, mirrored))
        start = evidence[row.item].span_start or 0.0
        assert 2 <= len(row.frames) / row.seconds <= 3
        assert row.frame_seconds == sorted(row.frame_seconds)
        for name, at in zip(row.frames, row.frame_seconds, strict=True):
            pixels = cv2.imread(str(made / name), cv2.IMREAD_GRAYSCALE)
            assert pixels is not None
            lit, dark = (pixels[:, :28].mean(), pixels[:, 36:].mean())[:: -1 if mirrored else 1]
            shown = start + (row.seconds - at if row.made == "rewound" else at)
            assert dark < 10
            # Levels are stored as 16 to 235; a brightness is one of whole seconds.
            assert lit == pytest.approx(START + BY * int(shown), abs=BY * 1.5)
    assert {("released", False), ("released", True), ("mirrored", False)} <= ways


def test_every_asked_fact_is_visible_in_the_frames(walks: Filmed, made: Path) -> None:
    items = {item.row.id: item for item in train_split(walks.released).items}
    rows = [row for row in rows_in(made) if row.made != "rewound"]
    for row in rows:
        moments = [round(at * 1e6) for at in row.frame_seconds]
        assert all(sees(row.facts, moments, items[row.item].turns, None))
    assert rows


def edit_evidence(walks: Filmed, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    for path in (walks.folder / "evidence").iterdir():
        table = pq.read_table(path)
        rows = [change(row) for row in table.to_pylist()]
        pq.write_table(type(table).from_pylist(rows, schema=table.schema), path)


def test_what_frames_are_too_far_apart_for_is_left_out(tmp_path: Path) -> None:
    # A video with a frame each second shows turns of 30 degrees a second, but not of 90.
    slow = filmed(tmp_path, clips=4, fps=1)
    edit_evidence(slow, lambda row: row | {"turn_end": [start + 1 for start in row["turn_start"]]})
    with pytest.raises(UserError, match="the frames don't show a fact that they ask about"):
        maker(slow, tmp_path / "rows").run()


def test_every_row_has_a_think_text_that_agrees_with_it(made: Path) -> None:
    for row in rows_in(made):
        assert row.think_source == "template"
        assert not disagreements(row, row.think or "")


def test_a_tag_in_a_question_costs_its_row_alone(tmp_path: Path) -> None:
    walks = filmed(tmp_path, clips=4)
    (path,) = (walks.folder / "data").iterdir()
    table = pq.read_table(path)
    texts = table["question"].to_pylist()
    texts[3] += " <image>"
    at = table.schema.get_field_index("question")
    pq.write_table(table.set_column(at, table.schema.field(at), [texts]), path)
    found = maker(walks, tmp_path / "rows", contrast=()).run()
    assert table["id"][3].as_py() not in {row.id for row in rows_in(found.folder)}
    assert sum(found.made.values()) == table.num_rows - 1
    assert any("left out: 1 items: their text contains a tag" in line for line in found.lines())


def test_formats_are_written_again_where_the_folder_was_moved_to(
    made: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    moved = tmp_path / "elsewhere"
    shutil.copytree(made, moved)
    lines = (moved / "trl" / "sft_think.jsonl").read_text()
    assert str(made) in lines
    assert exit_code(cli, ["train", "formats", str(moved)]) == 0
    assert "all of whose images are there" in capsys.readouterr().out
    lines = (moved / "trl" / "sft_think.jsonl").read_text()
    assert str(moved) in lines
    assert str(made) not in lines
    next((moved / "media").rglob("*.jpg")).unlink()
    assert exit_code(cli, ["train", "formats", str(moved)]) == 3
    assert "images aren't there" in capsys.readouterr().err
    assert exit_code(cli, ["train", "formats", str(tmp_path)]) == 2


def test_the_card_and_rows_json_tell_what_is_there(walks: Filmed, made: Path) -> None:
    body, rows, manifest = body_of(made), rows_in(made), walks.released.manifest
    assert body["rows"] == len(rows) == sum(body["made"].values())
    assert body["rows_sha256"] == sha256((made / "rows.parquet").read_bytes()).hexdigest()
    assert body["canary"] == manifest["canary"]
    assert body["licences"] == {"CC0-1.0": 6}
    assert body["frames"] == len(list((made / "media").rglob("*.jpg")))
    card = (made / "README.md").read_text()
    assert "**Unverified.**" not in card
    for text in (manifest["canary"], "CC0-1.0", body["release"], *body["prompts"].values()):
        assert text in card
    assert f"{len(rows)} rows" in card
    assert sum(row.weight for row in rows) / len(rows) == pytest.approx(1, abs=1e-5)


def test_a_second_run_does_nothing(walks: Filmed, made: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    again = maker(walks, made.parent).run()
    assert (again.folder, again.new) == (made, False)
    assert list(again.lines())[-1].startswith("train rows: nothing to do: ")
    after = {path: path.stat().st_mtime_ns for path in made.rglob("*")}
    assert {path for path in after if after[path] != before[path]} <= {made / ".lock"}


def test_rows_that_were_moved_or_copied_lead_to_their_own_frames(
    walks: Filmed, made: Path, tmp_path: Path
) -> None:
    shutil.copytree(made, tmp_path / made.name)
    again = maker(walks, tmp_path).run()
    assert (again.folder, again.new) == (tmp_path / made.name, True)
    for path in (again.folder / "swift" / "grpo.jsonl", again.folder / "trl" / "sft_think.jsonl"):
        for line in path.read_text().splitlines():
            assert all(one.startswith(f"{again.folder}/") for one in json.loads(line)["images"])
    assert not maker(walks, tmp_path).run().new


def test_a_lost_frame_is_cut_again(walks: Filmed, made: Path, tmp_path: Path) -> None:
    shutil.copytree(made, tmp_path / made.name)
    lost = tmp_path / made.name / rows_in(made)[0].frames[3]
    lost.unlink()
    assert maker(walks, tmp_path).run().new
    assert digests(tmp_path / made.name) == digests(made)


@pytest.mark.parametrize(
    "other",
    [{"fps": 2.0}, {"pixels": 64}, {"contrast": ()}, {"seed": 1}, {"mirror_text": True}],
)
def test_other_settings_go_to_another_folder(
    walks: Filmed, made: Path, other: dict[str, Any]
) -> None:
    assert maker(walks, made.parent, **other).folder != made
    assert maker(walks, made.parent).folder == made


def test_other_videos_go_to_another_folder(walks: Filmed, made: Path, tmp_path: Path) -> None:
    some = tmp_path / "some"
    some.mkdir()
    for path in sorted(walks.videos.iterdir())[:5]:
        shutil.copy(path, some / f"renamed {path.name}")
    found = maker(walks, made.parent, videos=[some])
    assert found.folder != made
    assert found.run().videos == 5
    lines = list(found.run().lines())
    assert any("their video isn't there" in line for line in lines)


def test_a_damaged_video_costs_its_own_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks = filmed(tmp_path)
    broken = sorted(walks.videos.iterdir())[0]
    finder = maker(walks, tmp_path / "rows")
    broken.write_bytes(broken.read_bytes()[:800])  # after it was found by its digest
    found = finder.run()
    assert found.videos == 5
    assert any("their video can't be read" in line for line in found.lines())


def test_a_dry_run_cuts_nothing(walks: Filmed, made: Path, tmp_path: Path) -> None:
    *_, last = maker(walks, tmp_path / "out").dry_run()
    assert last.startswith(f"would make {len(rows_in(made))} rows (")
    assert not (tmp_path / "out").exists()


# ---- think texts that a model writes --------------------------------------------------------------------


def test_a_model_writes_what_agrees_and_is_never_paid_twice(walks: Filmed, tmp_path: Path) -> None:
    plain = rows_in(maker(walks, tmp_path, contrast=(), seed=7).run().folder)
    texts = {(row.question, *row.options, row.answer_text): row for row in plain}
    bad = plain[2].id

    def reply(body: Mapping[str, Any]) -> str:
        said = body["messages"][-1]["content"]
        row = next(row for what, row in texts.items() if all(text in said for text in what))
        if row.id == bad:
            return "<answer>A</answer>"
        return f"{row.think}\n<answer>{row.answer or row.answer_text}</answer>"

    with judge_server() as server:
        server.reply = reply
        model = ThinkModel.model_validate({"model": "m", "base_url": server.url, "attempts": 1})
        writing = Writing(model, tries=1)
        found = maker(walks, tmp_path, contrast=(), writing=writing).run()
        asked = len(server.bodies)
        lost = sum(row.think_source == "template" for row in rows_in(found.folder))
        assert rejections(found.folder).total() == lost >= 1
        assert body_of(found.folder)["rejected"] == dict(rejections(found.folder))
        assert (
            sum(row.think_source == "model" for row in rows_in(found.folder)) == len(plain) - lost
        )
        (found.folder / "rows.json").unlink()  # as if it had been killed before its last write
        assert maker(walks, tmp_path, contrast=(), writing=writing).run().new
        assert len(server.bodies) == asked
        strict = Writing(model, tries=1, fall_back=False)
        alone = maker(walks, tmp_path, contrast=(), writing=strict).run()
    assert {row.id for row in rows_in(alone.folder) if row.think is None} >= {bad}
    assert body_of(alone.folder)["without_think"] == {"no text of the model could be kept": lost}


def test_a_server_that_is_gone_ends_the_run_without_rows(walks: Filmed, tmp_path: Path) -> None:
    fields = {"model": "m", "base_url": "http://127.0.0.1:9/v1", "attempts": 1}
    found = maker(walks, tmp_path, writing=Writing(ThinkModel.model_validate(fields)))
    with pytest.raises(UserError):
        found.run()
    assert not (found.folder / "rows.json").exists()


# ---- where frames come from ---------------------------------------------------------------------------


def test_without_a_video_dense_frames_of_the_release_are_used(tmp_path: Path) -> None:
    dense = filmed(
        tmp_path,
        settings={"compose": {"frames_per_second": 2.5, "least_frames": 32, **COIN["compose"]}},
    )
    found = maker(dense, tmp_path / "rows", videos=()).run()
    rows = rows_in(found.folder)
    assert {row.item for row in rows} == {row.id for _, row in dense.released.questions()}
    asked = {row.id: row for _, row in dense.released.questions()}
    for row in rows:
        assert 2 <= len(row.frames) / row.seconds <= 3
        if row.made != "released":
            continue
        for name, at in zip(row.frames, row.frame_seconds, strict=True):
            near = min(asked[row.id].frame_seconds, key=lambda one: abs(one - at))
            assert near == pytest.approx(at, abs=1e-5)
            own = asked[row.id].frames[asked[row.id].frame_seconds.index(near)]
            one, other = (
                cv2.imread(str(path)) for path in (found.folder / name, dense.folder / own)
            )
            assert one is not None
            assert other is not None
            assert abs(one.astype(int) - other.astype(int)).mean() < 20  # noise, compressed again


def test_frames_that_were_never_restored_are_not_used(tmp_path: Path) -> None:
    dense = filmed(tmp_path, settings={"compose": {"frames_per_second": 2.5, "least_frames": 32}})
    shutil.rmtree(dense.folder / "frames")
    with pytest.raises(UserError, match="none of the release's videos is there"):
        maker(dense, tmp_path / "rows", videos=())


# ---- what is refused ----------------------------------------------------------------------------------


def refusal(capsys: pytest.CaptureFixture[str], words: Sequence[str]) -> str:
    assert exit_code(cli, ["train", "rows", *words]) == 2
    told = capsys.readouterr().err
    assert told.count("error: ") == told.count("\n  fix: ") == 1
    return told


@pytest.mark.parametrize("split", ["test", "validation", "train,test", "all"])
def test_another_split_is_refused(
    walks: Filmed, tmp_path: Path, capsys: pytest.CaptureFixture[str], split: str
) -> None:
    words = [str(walks.folder), "--videos", str(walks.videos), "--out", str(tmp_path / "o")]
    told = refusal(capsys, [*words, "--split", split])
    assert "models are scored on the others" in told
    assert not (tmp_path / "o").exists()


def test_a_release_without_a_train_split_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    none = filmed(tmp_path, clips=4, split="test")
    assert "has no train split" in refusal(capsys, [str(none.folder), "--videos", str(none.videos)])


def test_a_train_split_of_three_videos_is_too_small_and_one_of_four_is_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    three = filmed(tmp_path / "three", clips=3)
    told = refusal(capsys, [str(three.folder), "--videos", str(three.videos)])
    assert "a train split of 3 videos; rows need at least 4" in told
    four = filmed(tmp_path / "four", clips=4)
    assert maker(four, tmp_path / "rows").run().videos == 4


def test_withheld_answers_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = filmed(tmp_path, clips=4, exported={"withhold": ["train"]})
    assert "withholds the answers" in refusal(
        capsys, [str(held.folder), "--videos", str(held.videos)]
    )


def test_missing_videos_are_refused(
    walks: Filmed, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    told = refusal(capsys, [str(walks.folder), "--videos", str(tmp_path / "empty")])
    assert "none of the release's videos is there" in told
    assert "no such file or folder" in refusal(
        capsys, [str(walks.folder), "--videos", str(tmp_path / "gone")]
    )


def test_a_release_without_facts_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    walks = filmed(tmp_path, clips=4)
    for path in (walks.folder / "evidence").iterdir():
        table = pq.read_table(path)
        pq.write_table(table.drop_columns(["facts", "visible"]), path)
    told = refusal(capsys, [str(walks.folder), "--videos", str(walks.videos)])
    assert "before items recorded the facts that they ask about: it lacks facts" in told


def test_unverified_items_are_used_only_on_request(tmp_path: Path) -> None:
    walks = filmed(tmp_path, clips=4)
    edit_evidence(walks, lambda row: row | {"status": "draft"})
    with pytest.raises(UserError, match="nobody has verified them"):
        maker(walks, tmp_path / "rows").run()
    assert not (tmp_path / "rows").exists()  # nothing is cut for rows that can't be
    made = maker(walks, tmp_path / "rows", unverified=True).run()
    assert made.new
    assert "**Unverified.**" in (made.folder / "README.md").read_text()


def test_what_frames_can_not_show_is_refused(tmp_path: Path) -> None:
    walks = filmed(tmp_path, clips=4, walk=lambda number: steps(MOVES[number % len(MOVES)]))

    def hidden(row: dict[str, Any]) -> dict[str, Any]:
        """Make turns take a hundredth of a second, and orders be seen for a millionth."""
        return row | {
            "turn_end": [start + 0.01 for start in row["turn_start"]],
            "facts": [
                fact | {"seen_us": [0, 1] * (len(fact["seen_us"]) // 2)} for fact in row["facts"]
            ],
            "steps": [step | {"end_us": step["start_us"] + 1} for step in row["steps"]],
        }

    edit_evidence(walks, hidden)
    with pytest.raises(
        UserError, match="gives rows of 0 videos, and at least 4 are needed"
    ) as error:
        maker(walks, tmp_path / "rows").run()
    assert "the frames don't show a fact that they ask about" in error.value.what


def test_something_else_is_no_release(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "is not a release" in refusal(capsys, [str(tmp_path)])


def test_a_rate_that_is_no_number_is_refused(
    walks: Filmed, capsys: pytest.CaptureFixture[str]
) -> None:
    told = refusal(capsys, [str(walks.folder), "--videos", str(walks.videos), "--fps", "nan"])
    assert "--fps" in told
    assert "nan is not a number" in told


def test_an_unknown_way_of_showing_frames_is_refused(
    walks: Filmed, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(walks.folder), "--videos", str(walks.videos), "--contrast"]
    assert "there is no 'backwards'" in refusal(capsys, [*words, "backwards"])
    assert "there is no 'none'" in refusal(capsys, [*words, "none,mirrored"])


# ---- what a model already knows -------------------------------------------------------------------------


def results_of(walks: Filmed, out: Path, right: Callable[[Question, int], bool]) -> Path:
    """Write results of four repeats; `right` says whether a reply is right."""
    wrong = {"A": "B", "B": "C", "C": "D", "D": "A"}
    released, said = walks.released, Counter4()

    def reply(question: Question, arm: str) -> dict[str, Any]:
        letter = question.answer or "A"
        number = said.next(question.id, arm)
        letter = letter if right(question, number) else wrong[letter]
        return {"reply": f"<answer>{letter}</answer>", "finish": "stop", "repeat": number}

    return make_results(
        out, released, reply=reply, arms=("frames",) * 4, splits=("train",), repeats=4
    )


class Counter4:
    """Counts the repeats of each item."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], int] = {}

    def next(self, *what: str) -> int:
        key = (what[0], what[1])
        self._seen[key] = self._seen.get(key, -1) + 1
        return self._seen[key]


def test_what_a_model_always_or_never_gets_right_is_left_out(walks: Filmed, tmp_path: Path) -> None:
    mcq = sorted(row.id for _, row in walks.released.questions() if row.format == "mcq")
    always, never = {*mcq[:5]}, {*mcq[5:8]}

    def right(question: Question, repeat: int) -> bool:
        return question.id in always or (question.id not in never and repeat % 2 == 0)

    results = results_of(walks, tmp_path / "results", right)
    found = maker(walks, tmp_path / "rows", results=results, contrast=()).run()
    asked = {row.id for row in rows_in(found.folder) if row.format == "mcq"}
    assert asked == {*mcq} - always - never
    left_out = body_of(found.folder)["left_out"]
    assert left_out["the model gets them right every time"] == 5
    assert left_out["the model never gets them right"] == 3


def test_results_without_repeats_or_of_another_release_are_refused(
    walks: Filmed, tmp_path: Path
) -> None:
    once = make_results(tmp_path / "once", walks.released, splits=("train",))
    with pytest.raises(UserError, match="doesn't tell how often a model is right") as error:
        maker(walks, tmp_path / "rows", results=once)
    assert "--repeats" in error.value.fix
    with small_space(tmp_path / "other", 4, split="train") as space:
        other = make_results(
            tmp_path / "two", open_release(release(space).folder), splits=("train",)
        )
    with pytest.raises(UserError, match="is about another release"):
        maker(walks, tmp_path / "rows", results=other)


# ---- kills, two at once, a full disk ---------------------------------------------------------------------


def cut_files(out: Path) -> list[Path]:
    return sorted(out.glob("*/media/*/*.jpg"))


def killed_after(words: Sequence[str], out: Path, files: int) -> None:
    """Run a command, and kill it when so many frames are cut."""
    with subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL) as child:
        until = time.monotonic() + 120
        while len(cut_files(out)) < files and child.poll() is None and time.monotonic() < until:
            time.sleep(0.002)
        child.send_signal(signal.SIGKILL)


@pytest.mark.parametrize("files", [1, 150])
def test_a_killed_run_goes_on_and_ends_as_an_undisturbed_one(
    walks: Filmed, made: Path, tmp_path: Path, files: int
) -> None:
    killed_after(command(walks, tmp_path), tmp_path, files)
    folder = tmp_path / made.name
    assert not (folder / "rows.json").exists()
    before = {path: path.stat().st_mtime_ns for path in cut_files(tmp_path)}
    assert len(before) >= files
    assert all(cv2.imread(str(path)) is not None for path in before)  # no half files
    subprocess.run(command(walks, tmp_path), env=environment(), check=True, capture_output=True)
    assert digests(folder) == digests(made)
    assert {path: path.stat().st_mtime_ns for path in before} == before  # nothing is written twice


KILLED_WRITING = """
import os, signal, sys
from pathlib import Path
from pipeline.cli.main import cli

def fused(function):
    def call(*arguments):
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        found = function(*arguments)
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return found
    return call

if __name__ == "__main__":  # not in the processes that cut
    left = [int(sys.argv.pop(1))]
    Path.replace, Path.unlink = fused(Path.replace), fused(Path.unlink)
    cli(sys.argv[1:])
"""


def test_a_run_killed_at_any_write_of_its_own_goes_on(
    walks: Filmed, made: Path, tmp_path: Path
) -> None:
    script = tmp_path / "killed_writing.py"
    script.write_text(KILLED_WRITING)
    shutil.copytree(made / "media", tmp_path / "out" / made.name / "media")  # so that this is quick
    kills = 0
    for at in (1, 4, 60):
        words = [sys.executable, str(script), str(at), *command(walks, tmp_path / "out")[3:]]
        done = subprocess.run(words, env=environment(), capture_output=True, check=False)
        if done.returncode == 0:
            break
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
        assert not (tmp_path / "out" / made.name / "rows.json").exists()
        kills += 1
    assert kills
    subprocess.run(command(walks, tmp_path / "out"), env=environment(), check=True)
    assert digests(tmp_path / "out" / made.name) == digests(made)


def test_of_two_runs_at_once_one_is_refused(walks: Filmed, made: Path) -> None:
    with (
        locked(made / ".lock", "egost train rows"),
        pytest.raises(UserError, match=r"another egost command is running here: egost train rows"),
    ):
        maker(walks, made.parent).run()


def test_a_full_disk_is_told_and_the_run_goes_on_later(
    walks: Filmed, made: Path, tmp_path: Path
) -> None:
    def small() -> None:  # no file may be larger than this: some frames are
        resource.setrlimit(resource.RLIMIT_FSIZE, (700, 700))

    done = subprocess.run(
        command(walks, tmp_path),
        env=environment(),
        capture_output=True,
        text=True,
        preexec_fn=small,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "free some space" in done.stderr
    subprocess.run(command(walks, tmp_path), env=environment(), check=True, capture_output=True)
    assert digests(tmp_path / made.name) == digests(made)


def test_the_command_ends_with_one_line_of_what_is_there(walks: Filmed, tmp_path: Path) -> None:
    words = command(walks, Path("here"), "--contrast", "none")

    def run() -> str:
        done = subprocess.run(
            words, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
        )
        assert not done.stderr
        return done.stdout.splitlines()[-1]

    first, second = run(), run()
    (folder,) = (tmp_path / "here").iterdir()
    rows = body_of(folder)["rows"]
    shown = f"{rows} rows ({rows} released) of 6 videos: here/{folder.name}"
    assert first == f"train rows: {shown}"
    assert second == f"train rows: nothing to do: {shown}"
    assert not check(folder)
