"""An unchanged release verifies, and every change to it is reported."""

import hashlib
import json
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_release import add_stills, edit, release, small_space

from pipeline.errors import GateError, UserError
from pipeline.questions.rows import Item
from pipeline.releases.gates import GATES
from pipeline.releases.reading import open_release
from pipeline.releases.verify import verify
from pipeline.routes.rows import Route


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, str]]:
    """One release and its root digest; tests that change it work on a copy."""
    with small_space(tmp_path_factory.mktemp("verify") / "workspace") as space:
        written = release(space)
        yield written.folder, written.root_digest


@pytest.fixture
def copy(made: tuple[Path, str], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[0], tmp_path / "copy"))


def resum(folder: Path) -> None:
    """Rewrite SHA256SUMS, as someone hiding a change would."""
    names = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "SHA256SUMS")
    lines = (
        f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder).as_posix()}\n"
        for p in names
    )
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def test_a_release_verifies_with_the_digest_that_export_printed(made: tuple[Path, str]) -> None:
    folder, digest = made
    found = verify(folder, digest)
    assert found.root_digest == digest
    assert found.items == sum(open_release(folder).manifest["items"].values()) > 0
    assert set(found.recomputed) >= {
        "schema",
        "four_options",
        "inverse_pairs",
        "no_true_distractor",
    }
    assert verify(folder).items == found.items


def test_gates_reported_as_failed_do_not_fail_verification(tmp_path: Path) -> None:
    with small_space(tmp_path / "workspace") as space:
        edit(
            space.store,
            lambda items: [item.model_copy(update={"status": "draft"}) for item in items],
        )
        found = verify(release(space).folder)
    assert "verified_by_people" in found.admitted


def test_every_flipped_bit_is_named_by_file(made: tuple[Path, str], copy: Path) -> None:
    digest = made[1]
    paths = sorted(path for path in copy.rglob("*") if path.is_file())
    draw = random.Random(6)
    for number in range(200):
        # By file first: drawing a byte would rarely hit the small files.
        path = paths[number % len(paths)]
        whole = path.read_bytes()
        place = draw.randrange(len(whole) * 8)
        changed = bytearray(whole)
        changed[place // 8] ^= 1 << place % 8
        path.write_bytes(changed)
        with pytest.raises(GateError, match=path.name.replace(".", r"\.")) as caught:
            verify(copy, digest)
        assert caught.value.exit_code == 3
        path.write_bytes(whole)
    verify(copy, digest)


def test_rewritten_sums_need_the_digest(made: tuple[Path, str], copy: Path) -> None:
    card = copy / "README.md"
    card.write_text(card.read_text(encoding="utf-8") + "All gates are met.\n", encoding="utf-8")
    resum(copy)
    verify(copy)
    with pytest.raises(GateError, match="SHA256SUMS: was changed"):
        verify(copy, made[1])


def test_lost_and_added_files_are_named(copy: Path) -> None:
    lost = next((copy / "data").glob("test-*"))
    lost.unlink()
    (copy / "data" / "train-00001-of-00001.parquet").write_bytes(b"more")
    (copy / "link").symlink_to("README.md")
    with pytest.raises(GateError) as caught:
        verify(copy)
    assert f"data/{lost.name} is missing" in caught.value.what
    assert "data/train-00001-of-00001.parquet is not part of the release" in caught.value.what
    assert "link is not part of the release" in caught.value.what


def test_a_listed_file_replaced_by_a_link_is_named(copy: Path) -> None:
    card = copy / "README.md"
    shutil.move(card, copy.parent / "elsewhere")
    card.symlink_to(copy.parent / "elsewhere")
    with pytest.raises(GateError, match=r"README\.md is a link"):
        verify(copy)


def change_manifest(folder: Path, change: Callable[[dict], None]) -> None:  # type: ignore[type-arg]
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    change(manifest)
    path.write_text(json.dumps(manifest), encoding="utf-8")
    resum(folder)


def test_an_embellished_figure_is_caught_by_recomputing(copy: Path) -> None:
    def prettier(manifest: dict) -> None:  # type: ignore[type-arg]
        (gate,) = (gate for gate in manifest["gates"] if gate["name"] == "verified_by_people")
        gate["figure"] = "999 of 999 items (100%)"

    change_manifest(copy, prettier)
    with pytest.raises(GateError, match="verified_by_people: the manifest says 999 of 999"):
        verify(copy)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ('"@id": "data-files"', '"@id": "nowhere"', "errors, such as: [Metadata(egost)"),
        ('"contentUrl"', '"url"', "contentUrl"),
        ("{", "[", "can't be read as Croissant: JSONDecodeError"),
    ],
)
def test_a_faulty_croissant_description_is_caught(
    copy: Path, old: str, new: str, what: str
) -> None:
    path = copy / "croissant.json"
    text = path.read_text(encoding="utf-8")
    head, found, tail = text.rpartition(old) if new == "nowhere" else text.partition(old)
    assert found
    path.write_text(head + new + tail, encoding="utf-8")
    resum(copy)
    with pytest.raises(GateError, match=re.escape(what)) as caught:
        verify(copy)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("text", ["", "[]", "{}", "3"])
def test_a_croissant_file_that_is_no_dataset_is_caught(copy: Path, text: str) -> None:
    (copy / "croissant.json").write_text(text, encoding="utf-8")
    resum(copy)
    with pytest.raises(GateError, match=r"croissant\.json: can't be read as Croissant"):
        verify(copy)


def test_export_does_not_import_mlcroissant() -> None:
    code = (
        "import sys, pipeline.releases.export, pipeline.releases.verify; "
        "sys.exit('mlcroissant' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_wrong_count_is_caught(copy: Path) -> None:
    change_manifest(copy, lambda manifest: manifest["items"].update(test=1))
    with pytest.raises(GateError, match="the manifest counts"):
        verify(copy)


def test_a_gate_left_out_of_the_manifest_is_caught(copy: Path) -> None:
    change_manifest(copy, lambda manifest: manifest["gates"].pop(0))
    with pytest.raises(GateError, match="lacks this gate"):
        verify(copy)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("", "its end is missing"),
        ("no checksum\n", "line 1 is not a checksum"),
        (f"{'0' * 64}  ../outside\n", "line 1 is not a checksum"),
        (f"{'0' * 64}  /outside\n", "line 1 is not a checksum"),
        (f"{'0' * 64}  README.md", "its end is missing"),
    ],
)
def test_a_damaged_list_of_sums_is_named(copy: Path, text: str, what: str) -> None:
    (copy / "SHA256SUMS").write_text(text, encoding="utf-8")
    with pytest.raises(GateError, match=f"SHA256SUMS: was changed: {what}"):
        verify(copy)


def test_a_wrong_folder_or_digest_is_an_error(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a release"):
        verify(tmp_path)
    with pytest.raises(UserError, match="not 64 hex digits"):
        verify(copy, "abc")


@pytest.fixture
def withheld(tmp_path: Path) -> Path:
    """A release with withheld test answers and published train answers."""
    with small_space(tmp_path / "workspace", clips=8) as space:
        return release(space, withhold=["test"]).folder


def test_with_withheld_answers_every_gate_is_recomputed_on_some_rows(withheld: Path) -> None:
    found = verify(withheld)
    assert set(found.recomputed) == {"four_options", "split_leak", "duplicates"}
    assert {*found.recomputed, *found.partly} == {gate.__name__ for gate in GATES}
    assert "3 gates recomputed, 6 more on rows with published answers" in str(found)


def change_rows(
    folder: Path,
    name: str,
    change: Callable[[dict[str, Any]], None],
    which: Callable[[dict[str, Any]], bool] | None = None,
) -> None:
    """Change rows of a Parquet file, the first multiple-choice one by default, and the sums."""
    (path,) = (folder / "data").glob(name)
    table = pq.read_table(path)
    rows = table.to_pylist()
    first = next(row for row in rows if row["format"] == "mcq")
    for row in filter(which, rows) if which else [first]:
        change(row)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path, write_page_checksum=True)
    resum(folder)


@pytest.mark.parametrize(
    ("name", "change", "gate"),
    [
        ("test-*", lambda row: row["options"].pop(), "four_options"),
        ("train-*", lambda row: row.update(question=" "), "schema"),
        (
            "train-*",
            lambda row: row.update(
                answer="ABCD"["BCDA".index(row["answer"])],
                answer_text=row["options"]["BCDA".index(row["answer"])],
            ),
            "(inverse_pairs|no_true_distractor)",  # the answer and its inverse are published or not
        ),
    ],
)
def test_rows_that_contradict_their_gate_are_caught_despite_withheld_answers(
    withheld: Path, name: str, change: Callable[[dict[str, Any]], None], gate: str
) -> None:
    change_rows(withheld, name, change)
    with pytest.raises(GateError, match=f"^error: {gate}: the manifest"):
        verify(withheld)


def test_a_group_in_two_splits_is_caught_despite_withheld_answers(withheld: Path) -> None:
    rows = list(open_release(withheld).questions())
    span = rows[-1][1].video
    (group, *_) = (row.split_group for split, row in rows if split == "train")

    def moved(row: dict[str, Any]) -> None:
        row.update(split_group=group)

    change_rows(withheld, "test-*", moved, lambda row: row["video"] == span)
    with pytest.raises(GateError, match=r"^error: split_leak: the manifest"):
        verify(withheld)


def test_rows_of_one_span_that_contradict_each_other_are_caught(withheld: Path) -> None:
    change_rows(withheld, "test-*", lambda row: row.update(split_group="g_other"))
    with pytest.raises(GateError, match=r"contradicts earlier rows of the same span"):
        verify(withheld)


def test_rows_of_a_failed_gate_are_compared_with_those_found(tmp_path: Path) -> None:
    with small_space(tmp_path / "workspace", clips=8) as space:
        edit(
            space.store,
            lambda items: [item.model_copy(update={"status": "draft"}) for item in items],
        )
        folder = release(space, withhold=["test"]).folder
    assert "verified_by_people" in verify(folder).partly

    def fewer(manifest: dict) -> None:  # type: ignore[type-arg]
        (gate,) = (gate for gate in manifest["gates"] if gate["name"] == "verified_by_people")
        train = {row.id for split, row in open_release(folder).questions() if split == "train"}
        gate["rows"].remove(min(train))

    change_manifest(folder, fewer)
    with pytest.raises(GateError, match="verified_by_people: the manifest lists"):
        verify(folder)


def test_a_skewed_letter_does_not_reveal_withheld_answers(tmp_path: Path) -> None:
    def all_a(item: Item) -> Item:
        split = {"split": ("test", "train")[int(item.clip_id[2:]) % 2]}  # half of the clips each
        if item.answer_index is None:
            return item.model_copy(update=split)
        options = [item.answer_text, *(one for one in item.options if one != item.answer_text)]
        return item.model_copy(update={"options": options, "answer_index": 0, **split})

    with small_space(tmp_path / "workspace", clips=24) as space:
        items = [all_a(item) for item in space.store.rows(Item)]
        edit(space.store, lambda _: items)
        folder = release(space, withhold=["test"]).folder
    (letters,) = (one for one in open_release(folder).manifest["gates"] if one["name"] == "letters")
    told = {item.item_id: item.split for item in items}
    assert not letters["met"]
    assert {told[row] for row in letters["rows"]} == {"train"}
    assert "letters" in verify(folder).partly


EARLIER = Path(__file__).parents[1] / "data" / "bd52d40" / "workspace" / "releases" / "v1.0.0"


def test_a_release_of_an_earlier_version_verifies_without_what_it_lacks() -> None:
    """Its evidence names no facts, so it isn't known whether the frames show them."""
    found = verify(EARLIER)
    assert found.omitted == ("visible_facts",)
    assert "visible_facts" not in found.recomputed
    assert {"inverse_pairs", "no_true_distractor"} <= {*found.recomputed}
    assert "made before there was what these need: visible_facts" in str(found)
    (entry, *_) = open_release(EARLIER).entries()
    assert (entry.evidence.facts, entry.evidence.twin, entry.question.language) == ([], None, None)
    assert entry.evidence.video_sha256 == entry.question.video_sha256
    assert (entry.evidence.span_start, entry.evidence.span_end) == (
        entry.question.start,
        entry.question.end,
    )


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A release without frames, whose spans are cut from the users' own copies."""
    root = tmp_path_factory.mktemp("closed") / "workspace"
    with small_space(root, licence="proprietary") as space:
        yield release(space).folder


def test_times_of_spans_are_public_only_where_frames_are_not(
    closed: Path, made: tuple[Path, str]
) -> None:
    spans = {row.video for _, row in open_release(closed).questions()}
    assert open_release(closed).manifest["hydrate"].keys() == spans
    assert not list(closed.glob("frames/*/*"))
    verify(closed)
    assert open_release(made[0]).manifest["hydrate"] == {}


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda cuts: cuts.popitem(), "has neither frames nor a place"),
        (lambda cuts: next(iter(cuts.values())).update(start_us=7), "cuts its frames from another"),
        (lambda cuts: next(iter(cuts.values())).update(video="0" * 64), "from another place"),
    ],
)
def test_a_wrong_place_to_cut_frames_from_is_caught(
    closed: Path, tmp_path: Path, change: Callable[[dict[str, Any]], None], what: str
) -> None:
    folder = Path(shutil.copytree(closed, tmp_path / "copy"))
    change_manifest(folder, lambda manifest: change(manifest["hydrate"]))
    with pytest.raises(GateError, match=what):
        verify(folder)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (lambda row: row.update(start=1.0), "doesn't start at 0"),
        (lambda row: row.update(end=row["end"] + 1), r"lasts \d+ s, but \d+ s in its evidence"),
        (lambda row: row.update(options=row["options"][::-1]), "^error: schema: the manifest"),
    ],
)
def test_rows_that_contradict_their_evidence_are_caught(
    copy: Path, change: Callable[[dict[str, Any]], None], what: str
) -> None:
    change_rows(copy, "test-*", change)
    with pytest.raises(GateError, match=what):
        verify(copy)


def test_facts_that_are_not_true_of_the_steps_are_caught(copy: Path) -> None:
    (path,) = (copy / "evidence").glob("test-*")
    table = pq.read_table(path)
    rows = table.to_pylist()
    for row in rows:
        for step in row["steps"]:
            step["move"] = {"left": "right", "right": "left"}.get(step["move"], step["move"])
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path, write_page_checksum=True)
    resum(copy)
    with pytest.raises(GateError, match="no_true_distractor: the manifest says 0"):
        verify(copy)


def test_items_of_two_languages_are_recomputed_by_their_own_words(tmp_path: Path) -> None:
    with small_space(tmp_path / "workspace", clips=8) as space:
        for stage in ("draft", "review"):
            routes = [
                route.model_copy(update={"language": ("en", "de")[int(route.clip_id[2:]) % 2]})
                for route in space.store.rows(Route, [stage])
            ]
            space.store.finish(stage, "all", "edited", "done", routes)
        list(space.run(["compose"]))
        add_stills(space.store)
        made = release(space)
    assert [gate.name for gate in made.gates if gate.state == "failed"] == []
    found = open_release(made.folder)
    assert {row.language for _, row in found.questions()} == {"en", "de"}
    assert found.manifest["languages"].keys() == {"en", "de"}
    assert "no_true_distractor" in verify(made.folder).recomputed

    def english_alone(manifest: dict) -> None:  # type: ignore[type-arg]
        del manifest["languages"]["de"]

    change_manifest(made.folder, english_alone)
    with pytest.raises(GateError, match="no_true_distractor"):
        verify(made.folder)
