"""Rows in each trainer's format: what their loaders read, and which rows are refused."""

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import made_rows
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipeline.engine.folder import write_atomic
from pipeline.errors import UserError
from pipeline.evaluate.prompting import load
from pipeline.evaluate.results import packed, unpacked
from pipeline.training.checking import check
from pipeline.training.formats import NAMES, ROWS_FILE, refusal, write, write_again
from pipeline.training.rows import TrainingRow
from pipeline.training.solution import solution

FILES = {
    "trl": ("grpo.jsonl", "grpo_words.jsonl", "sft_nothink.jsonl", "sft_think.jsonl"),
    "swift": ("grpo.jsonl", "grpo_words.jsonl", "sft_nothink.jsonl", "sft_think.jsonl"),
    "llamafactory": ("dataset_info.json", "sft_nothink.json", "sft_think.json"),
    "easyr1": ("grpo.jsonl", "grpo_words.jsonl"),
    "verl": ("grpo.parquet", "grpo_words.parquet", "sft_nothink.parquet", "sft_think.parquet"),
}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[TrainingRow]]:
    folder = tmp_path_factory.mktemp("a folder") / "rows"
    rows = made_rows.with_frames(made_rows.mixed(), folder)
    write_atomic(folder / ROWS_FILE, packed(TrainingRow, rows))
    write(rows, folder)
    return folder, rows


@pytest.fixture
def folder(original: tuple[Path, list[TrainingRow]], tmp_path: Path) -> Path:
    """A copy of the folder of rows, with its paths written again."""
    found = shutil.copytree(original[0], tmp_path / "rows")
    write_again(found)
    return found


@pytest.fixture
def rows(original: tuple[Path, list[TrainingRow]]) -> list[TrainingRow]:
    return original[1]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every loader runs in another folder."""
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))


def read(path: Path) -> list[Any]:
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()  # type: ignore[no-any-return]
    if path.suffix == ".json":
        return json.loads(path.read_text("utf-8"))  # type: ignore[no-any-return]
    return [json.loads(line) for line in path.read_text("utf-8").split("\n") if line]


def test_every_trainer_has_its_files_and_nothing_is_wrong_with_them(folder: Path) -> None:
    assert tuple(FILES) == NAMES
    for name, files in FILES.items():
        assert tuple(sorted(path.name for path in (folder / name).iterdir())) == files
    assert check(folder) == []


def test_a_prompt_is_that_of_evaluation_with_each_frame_after_its_time(
    folder: Path, rows: list[TrainingRow]
) -> None:
    prompt, row = load("ours"), rows[0]
    (first, *_) = read(folder / "trl" / "grpo.jsonl")
    assert first["id"] == row.id
    ((turn,), images) = first["prompt"], first["images"]
    parts = turn["content"]
    assert all(part.keys() == {"type", "text"} for part in parts)
    assert [part["text"] for part in parts[:-1:2]] == [
        prompt.label(number, at) for number, at in enumerate(row.frame_seconds, start=1)
    ]
    assert [part["type"] for part in parts[1::2]] == ["image"] * len(row.frames)
    assert parts[-1]["text"] == prompt.text(row.question, row.options, "frames")
    assert images == [str(folder.resolve() / name) for name in row.frames]
    # In the other formats the same text, with a placeholder where an image is.
    whole = "".join("<image>" if part["type"] == "image" else part["text"] for part in parts)
    assert read(folder / "swift" / "grpo.jsonl")[0]["messages"] == [
        {"role": "user", "content": whole}
    ]
    assert read(folder / "easyr1" / "grpo.jsonl")[0]["problem"] == whole
    assert read(folder / "verl" / "grpo.parquet")[0]["prompt"] == [
        {"role": "user", "content": whole}
    ]
    assert read(folder / "llamafactory" / "sft_think.json")[0]["messages"][0]["content"] == whole


def test_replies_are_with_and_without_thinking(folder: Path, rows: list[TrainingRow]) -> None:
    think = [
        f"<think>\n{row.think}\n</think>\n<answer>{row.answer or row.answer_text}</answer>"
        for row in rows
    ]
    plain = [f"<answer>{row.answer or row.answer_text}</answer>" for row in rows]
    for name, replies in {"sft_think": think, "sft_nothink": plain}.items():
        trl = read(folder / "trl" / f"{name}.jsonl")
        assert [row["completion"][0]["content"][0]["text"] for row in trl] == replies
        for path in (f"swift/{name}.jsonl", f"llamafactory/{name}.json", f"verl/{name}.parquet"):
            found = [row["messages"] for row in read(folder / path)]
            assert [turns[-1] for turns in found] == [
                {"role": "assistant", "content": one} for one in replies
            ]
            assert {len(turns) for turns in found} == {2}


def test_items_answered_in_words_have_prompts_of_their_own(
    folder: Path, rows: list[TrainingRow]
) -> None:
    words = [row.id for row in rows if row.format == "open"]
    assert [row["id"] for row in read(folder / "trl" / "grpo_words.jsonl")] == words
    assert {row["id"] for row in read(folder / "trl" / "grpo.jsonl")}.isdisjoint(words)
    assert (
        "<answer>...</answer>"
        in read(folder / "swift" / "grpo_words.jsonl")[0]["messages"][0]["content"]
    )


def test_rewards_find_the_solution_where_each_trainer_hands_it_on(
    folder: Path, rows: list[TrainingRow]
) -> None:
    known = [solution(row) for row in rows if row.format == "mcq"]
    for name, of in {
        "trl/grpo.jsonl": lambda row: row["solution"],
        "swift/grpo.jsonl": lambda row: row["solution"],
        "easyr1/grpo.jsonl": lambda row: row["answer"],
        "verl/grpo.parquet": lambda row: row["reward_model"]["ground_truth"],
    }.items():
        assert [json.loads(of(row)) for row in read(folder / name)] == known


def test_rows_without_think_text_are_in_all_other_files(
    tmp_path: Path, rows: list[TrainingRow]
) -> None:
    bare = [row.model_copy(update={"think": None, "think_source": "none"}) for row in rows]
    write([rows[0], *bare[1:]], tmp_path)
    assert len(read(tmp_path / "trl" / "sft_think.jsonl")) == 1
    assert len(read(tmp_path / "trl" / "sft_nothink.jsonl")) == len(rows)
    write(bare, tmp_path)
    assert not (tmp_path / "trl" / "sft_think.jsonl").exists()
    assert list(read(tmp_path / "llamafactory" / "dataset_info.json")) == ["egost_sft_nothink"]


def test_the_same_rows_give_the_same_bytes(folder: Path) -> None:
    def digests() -> dict[str, str]:
        paths = [path for path in folder.rglob("*") if path.is_file()]
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}

    before = digests()
    write_again(folder)
    assert digests() == before


def test_one_trainers_format_can_be_written_alone(tmp_path: Path, rows: list[TrainingRow]) -> None:
    write(rows, tmp_path, ["swift"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["egost_rewards.py", "swift"]
    with pytest.raises(UserError, match="there is no format 'axolotl'"):
        write(rows, tmp_path, ["axolotl"])


# ---- loaders -------------------------------------------------------------------------------------


def test_datasets_loads_json_lines_and_parquet_with_the_images(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL, EasyR1 and verl load their rows this way; ms-swift and the rest of them are tried in `make consumers`."""
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import Image, List, load_dataset

    for path in (
        folder / "trl" / "sft_think.jsonl",
        folder / "verl" / "grpo.parquet",
        folder / "easyr1" / "grpo.jsonl",
    ):
        kind = {".jsonl": "json", ".parquet": "parquet"}[path.suffix]
        found = load_dataset(
            kind, data_files=str(path), split="train", cache_dir=str(tmp_path / "cache")
        )
        assert len(found) == len(read(path))
        if path.parent.name == "trl":
            shown = found.cast_column("images", List(Image()))[0]["images"]
            assert {image.size for image in shown} == {(56, 28)}


def test_llamafactorys_documented_schema(folder: Path) -> None:
    """Checked against data/README.md and `_find_medias` (ff6d4d12e, 2026-08): it doesn't import on torch for CPUs."""
    place = folder / "llamafactory"
    info = read(place / "dataset_info.json")
    assert info.keys() == {"egost_sft_think", "egost_sft_nothink"}
    for known in info.values():
        assert known["formatting"] == "sharegpt"
        assert set(known["columns"]) <= {"messages", "images"}
        tags = known["tags"]
        for row in read(place / known["file_name"]):
            turns, images = row[known["columns"]["messages"]], row[known["columns"]["images"]]
            assert [turn[tags["role_tag"]] for turn in turns] == [
                tags["user_tag"],
                tags["assistant_tag"],
            ]
            text = "".join(turn[tags["content_tag"]] for turn in turns)
            assert text.count("<image>") == len(images)
            assert all(
                (place / image).is_file() for image in images
            )  # media_dir is dataset_dir by default


def test_easyr1s_documented_schema(folder: Path) -> None:
    """Checked against verl/utils/dataset.py (b44b311, 2026-07): EasyR1 isn't in the registry."""
    for name in FILES["easyr1"]:
        for row in read(folder / "easyr1" / name):
            assert row.keys() == {
                "problem",
                "answer",
                "images",
            }  # its default prompt_key, answer_key, image_key
            assert isinstance(row["answer"], str)
            assert len(row["problem"].split("<image>")) - 1 == len(row["images"])
            assert all((folder / image).is_file() for image in row["images"])  # image_dir


def test_verls_images_are_named(folder: Path) -> None:
    for name in FILES["verl"]:
        for row in read(folder / "verl" / name):
            assert all(
                image.keys() == {"image"} and Path(image["image"]).is_absolute()
                for image in row["images"]
            )
    row = read(folder / "verl" / "grpo.parquet")[3]
    assert row["data_source"] == "egost"
    assert row["reward_model"]["style"] == "rule"
    assert row["extra_info"]["index"] == 3


def test_a_folder_that_was_moved_is_named_and_can_be_written_again(
    folder: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    folder.rename(moved)
    wrong = check(moved)
    assert {problem.file.parent.name for problem in wrong} == {
        "trl",
        "swift",
        "verl",
    }  # the others are relative
    assert all(
        "images aren't there" in problem.what and "egost train formats" in problem.what
        for problem in wrong
    )
    write_again(moved)
    assert check(moved) == []


def test_a_folder_without_rows_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no rows\.parquet"):
        write_again(tmp_path)
    with pytest.raises(UserError, match="has no rows in a trainer's format"):
        check(tmp_path)


# ---- refused rows --------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["question", "options", "answer_text", "think"])
@pytest.mark.parametrize(
    "mark",
    ["<image>", "<video>", "<audio>", "< image >", "<IMAGE>", "<image/>", "</image>", "<|image_pad|>", "<|vision_start|>", "<|im_end|>",
     "<think>", "</think>", "<answer>", "</answer>", "<bbox>", "<ref-object>"],
)  # fmt: skip
def test_a_row_with_a_mark_in_its_texts_is_refused(
    field: str, mark: str, rows: list[TrainingRow], tmp_path: Path
) -> None:
    text = f"the sign {mark} at the door"
    bad = rows[0].model_copy(
        update={field: [text, *rows[0].options[1:]] if field == "options" else text}
    )
    assert mark in str(refusal(bad))
    written = write([bad, rows[1]], tmp_path, ["swift"])
    assert list(written.refused) == [bad.id]
    assert len(read(tmp_path / "swift" / "sft_nothink.jsonl")) == 1


@pytest.mark.parametrize(
    "text", ["the image <b>", "1 < 2 > 0", "images", "a <sign>", "|image|", "the imagery <x|y>"]
)
def test_other_texts_are_not_refused(text: str, rows: list[TrainingRow]) -> None:
    assert refusal(rows[0].model_copy(update={"question": text})) is None


def test_a_row_whose_frames_and_times_differ_in_number_is_refused(rows: list[TrainingRow]) -> None:
    row = rows[0]
    assert refusal(row) is None
    assert refusal(row.model_copy(update={"frames": row.frames[1:]})) == "has 3 frames and 4 times"
    assert refusal(row.model_copy(update={"frames": [], "frame_seconds": []})) == "has no frames"


def without_image(row: dict[str, Any]) -> None:
    row["images"].pop()


def with_image(row: dict[str, Any]) -> None:
    row["images"].append(row["images"][0])


def without_placeholder(row: dict[str, Any]) -> None:
    _edit(row, lambda text: text.replace("<image>", "", 1), lambda parts: parts.remove(parts[1]))


def with_placeholder(row: dict[str, Any]) -> None:
    _edit(
        row,
        lambda text: text + "<image>",
        lambda parts: parts.append({"type": "image", "text": None}),
    )


def with_words_for_an_image(row: dict[str, Any]) -> None:
    _edit(
        row,
        lambda text: text + "<image>",
        lambda parts: parts.append({"type": "text", "text": "see <image>"}),
    )


def with_video(row: dict[str, Any]) -> None:
    _edit(
        row,
        lambda text: text + "<video>",
        lambda parts: parts.append({"type": "text", "text": "<video>"}),
    )


def _edit(
    row: dict[str, Any], text: Callable[[str], str], parts: Callable[[list[Any]], Any]
) -> None:
    if "problem" in row:
        row["problem"] = text(row["problem"])
        return
    turn = (row.get("messages") or row["prompt"])[0]
    if isinstance(turn["content"], str):
        turn["content"] = text(turn["content"])
    else:
        parts(turn["content"])


def rewritten(path: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit the second row of a file."""
    found = read(path)
    edit(found[1])
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(found, pq.read_schema(path)), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(found), encoding="utf-8")
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in found), encoding="utf-8")


def of_all() -> Iterator[str]:
    for name, files in FILES.items():
        yield from (f"{name}/{file}" for file in files if file != "dataset_info.json")


@pytest.mark.parametrize(
    ("edit", "what"),
    [
        (without_image, "4 placeholders for 3 images"),
        (with_image, "4 placeholders for 5 images"),
        (without_placeholder, "3 placeholders for 4 images"),
        (with_placeholder, "5 placeholders for 4 images"),
        (with_words_for_an_image, "5 placeholders for 4 images"),
        (with_video, "<video>, and nothing to show there"),
    ],
)
def test_a_missing_or_surplus_placeholder_is_found_in_every_file(
    edit: Callable[[dict[str, Any]], None], what: str, folder: Path
) -> None:
    for name in of_all():
        rewritten(folder / name, edit)
    found = check(folder)
    assert {(problem.file, problem.row, problem.what) for problem in found} == {
        (folder / name, 2, what) for name in of_all()
    }


@pytest.mark.parametrize("damage", [b"", b"PAR1", b"PAR1" * 40])
def test_a_damaged_table_of_rows_is_named(folder: Path, damage: bytes) -> None:
    (folder / ROWS_FILE).write_bytes(damage)
    with pytest.raises(UserError, match=r"rows\.parquet: can't be read"):
        write_again(folder)


def test_a_users_own_files_are_neither_deleted_nor_read(folder: Path) -> None:
    (folder / "llamafactory" / "saves-1.0").mkdir()
    own = [
        folder / "llamafactory" / "sft_think.yaml",
        folder / "trl" / "train.py",
        folder / "verl" / "notes.json",
    ]
    for path in own:
        path.write_text("mine", encoding="utf-8")
    stale = folder / "swift" / "grpo_words.jsonl"
    assert stale.exists()
    (folder / ROWS_FILE).write_bytes(packed(TrainingRow, with_letters(folder)))
    write_again(folder)
    assert all(path.read_text(encoding="utf-8") == "mine" for path in own)
    assert not stale.exists()
    assert check(folder) == []


def with_letters(folder: Path) -> list[TrainingRow]:
    return [row for row in unpacked(folder / ROWS_FILE, TrainingRow) if row.format == "mcq"]


def test_files_that_are_no_rows_are_found(folder: Path) -> None:
    (folder / "media" / "0000-0.jpg").unlink()
    (folder / "swift" / "grpo.jsonl").write_text('{"messages": []}\n{"mess', encoding="utf-8")
    (folder / "easyr1" / "grpo.jsonl").write_text('[1]\n"x"\n', encoding="utf-8")
    (folder / "verl" / "grpo.parquet").write_bytes(b"PAR1")
    found = check(folder)
    told = [str(problem) for problem in found]
    assert any("swift/grpo.jsonl, row 1: isn't in this format" in one for one in told)
    assert any("swift/grpo.jsonl, row 2: can't be read" in one for one in told)
    assert sum("easyr1/grpo.jsonl" in one and "isn't in this format" in one for one in told) == 2
    assert any("verl/grpo.parquet, row 1: can't be read" in one for one in told)
    assert any("trl/sft_think.jsonl, row 1: 1 images aren't there" in one for one in told)
