import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import factories
import polars as pl
import pytest
from small_release import LENIENT, add_stills

import pipeline.releases.publish
from pipeline.engine.rows import Rejection
from pipeline.engine.run import run_stage
from pipeline.engine.settings import RunSettings
from pipeline.engine.store import Store
from pipeline.errors import GateError, UserError
from pipeline.flow import SECTIONS, STAGES
from pipeline.questions.rows import Item
from pipeline.releases.export import export, measure
from pipeline.releases.publish import Release
from pipeline.releases.settings import ExportSettings
from pipeline.releases.verify import verify
from pipeline.review.settings import ReviewSettings
from pipeline.routes.rows import Move
from pipeline.sources.rows import Video

SETTINGS = ExportSettings.model_validate(LENIENT)
CATEGORIES = ("route", "direction", "landmark", "action")
MOVES: dict[str, tuple[Move, ...]] = {
    "a": ("left", "right", "right", "left"),
    "b": ("right", "right", "left", "left"),
    "c": ("right", "left", "right", "left"),
}


def fill(store: Store, by: str | None = "person", names: str = "abc", **fields: Any) -> Store:
    """Add clips whose routes `by` has verified, and compose their items."""
    for name in names:
        split = {"a": "train", "b": "test", "c": "test"}[name]
        video = factories.video(name, split=split, **fields)
        draft = factories.route(name, MOVES[name])
        store.finish("split", name, "1", "done", [video])
        store.finish("frames", name, "1", "done", [factories.clip(name)])
        store.finish("draft", name, "1", "done", [draft])
        if by:
            verified = factories.route(name, MOVES[name], "verified", CATEGORIES)
            store.finish("review", name, "1", "done", [verified])
            store.finish("pull", name, "1", "done", [factories.verdict(draft, by)])
    compose(store)
    add_stills(store)
    return store


def items_of(store: Store, *names: str) -> int:
    """Return how many items were composed of these clips."""
    return sum(item.clip_id[2:] in names for item in store.rows(Item))


def counts(store: Store) -> dict[str, int]:
    """Return how many items each split has; there are multiple-choice ones among them."""
    assert {item.format for item in store.rows(Item)} == {"mcq", "open"}
    return {"train": items_of(store, "a"), "test": items_of(store, "b", "c")}


def compose(store: Store) -> None:
    (index,) = (index for index, stage in enumerate(STAGES) if stage.name == "compose")
    upstream = [stage.name for stage in STAGES[:index]]
    stage = STAGES[index]
    run_stage(stage, store, stage.settings(), RunSettings(workers=1), upstream)


def recorded() -> dict[str, Any]:
    return {name: kind().model_dump() for name, kind in SECTIONS.items()}


def release(store: Store, version: str = "1.0.0", **how: Any) -> Release:
    settings = how.pop("settings", SETTINGS)
    given = recorded() | {"export": settings.model_dump()}
    return export(store, store.folder, version, settings, ReviewSettings(), given, **how)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def head(folder: Path) -> str:
    """Return the first lines of the card's front matter and of its body."""
    card = (folder / "README.md").read_text(encoding="utf-8")
    _, front, body = card.split("---\n", 2)
    return "\n".join([*front.split("\n")[:3], *body.split("\n")[:6]])


@pytest.fixture
def filled(store: Store) -> Store:
    return fill(store)


def test_question_and_evidence_rows_have_the_same_ids(filled: Store) -> None:
    made = release(filled)
    assert dict(made.counts) == counts(filled)
    for split in ("train", "test"):
        name = f"{split}-00000-of-00001.parquet"
        data = pl.read_parquet(made.folder / "data" / name)
        evidence = pl.read_parquet(made.folder / "evidence" / name)
        assert data["id"].to_list() == evidence["id"].to_list()
        asked = data.filter(pl.col("format") == "mcq")
        letters = {letter: index for index, letter in enumerate("ABCD")}
        for row in asked.iter_rows(named=True):
            assert row["options"][letters[row["answer"]]] == row["answer_text"]
            assert row["ground_truth"] == row["answer"]
        assert evidence["verified_by"].to_list() == [["person"]] * evidence.height


def test_the_same_rows_give_the_same_bytes(filled: Store, tmp_path: Path) -> None:
    first = release(filled)
    kept = contents(first.folder.rename(tmp_path / "first"))
    second = release(filled)
    assert contents(second.folder) == kept
    assert second.root_digest == first.root_digest


def test_the_checksums_are_right_and_cover_every_file(filled: Store) -> None:
    made = release(filled)
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"],
        cwd=made.folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    sums = (made.folder / "SHA256SUMS").read_text(encoding="utf-8")
    assert {line.split("  ", 1)[1] for line in sums.splitlines()} == (
        contents(made.folder).keys() - {"SHA256SUMS"}
    )
    assert made.root_digest == hashlib.sha256(sums.encode()).hexdigest()


def test_a_version_never_changes(filled: Store) -> None:
    made = release(filled)
    before = contents(made.folder)
    with pytest.raises(UserError, match="this version exists") as told:
        release(filled)
    assert told.value.exit_code == 2
    assert contents(made.folder) == before


@pytest.mark.parametrize(
    "version", ["1", "1.0", "v1.0.0", "1.0.0-rc1", "01.0.0", "../1.0.0", "1.0.0\n", ""]
)
def test_a_version_must_be_three_numbers(filled: Store, version: str) -> None:
    with pytest.raises(UserError, match="not a version number"):
        release(filled, version)


def test_a_gate_that_is_not_met_stops_the_release(store: Store) -> None:
    fill(store, by="script")
    with pytest.raises(GateError, match="verified_by_people") as told:
        release(store)
    assert told.value.exit_code == 3
    assert "--allow-failing" in told.value.fix
    assert not store.folder.releases.exists()
    assert {
        gate.name
        for gate in measure(store, SETTINGS, ReviewSettings()).gates
        if gate.state == "failed"
    } == {"verified_by_people"}


def test_with_allow_failing_card_and_manifest_report_failed_gates_first(store: Store) -> None:
    fill(store, by="script")
    made = release(store, allow_failing=True)
    assert head(made.folder).count("No person verified this release.") == 2
    assert "# Gates not met: verified_by_people." in head(made.folder)
    assert "**Gate not met: verified_by_people:**" in head(made.folder)
    assert "A scripted reviewer, not a person, judged" in head(made.folder)
    manifest = json.loads((made.folder / "manifest.json").read_text(encoding="utf-8"))
    met = {gate["name"]: gate["met"] for gate in manifest["gates"]}
    assert not met.pop("verified_by_people")
    assert all(met.values())
    assert manifest["clips_judged_by_people"] == 0
    assert manifest["clips_judged_by_scripts"] == 3


def test_a_release_verified_by_people_has_no_such_warning(filled: Store) -> None:
    made = release(filled)
    assert "No person" not in head(made.folder)
    assert "not met" not in head(made.folder)


def test_the_card_tells_that_no_model_drafted_the_routes(filled: Store) -> None:
    card = (release(filled).folder / "README.md").read_text(encoding="utf-8")
    assert "Routes were drafted from the measured motion and narrations, without a model.\n" in card
    assert " USD" not in card


def test_without_verdicts_the_card_reports_that_no_person_verified_it(store: Store) -> None:
    made = release(fill(store, by=None), settings=SETTINGS.model_copy(update={"min_verified": 0}))
    assert head(made.folder).count("No person verified this release.") == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("config", ["default", "evidence"])
def test_datasets_reads_it_as_the_card_describes(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: str
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    from datasets import load_dataset

    settings = SETTINGS.model_copy(update={"dataset": "no"})  # a name that YAML would read as false
    made = release(filled, settings=settings)
    found = load_dataset(str(made.folder), config, cache_dir=str(tmp_path / "cache"))
    assert {name: part.num_rows for name, part in found.items()} == counts(filled)
    rows = pl.read_parquet(made.folder / ("data" if config == "default" else config) / "*.parquet")
    ids = [row["id"] for part in ("test", "train") for row in found[part]]
    assert sorted(ids) == sorted(rows["id"].to_list())


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_datasets_reads_embedded_frames_as_images(
    filled: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    from datasets import Image, List, load_dataset

    made = release(filled, settings=SETTINGS.model_copy(update={"embed": True}))
    found = load_dataset(str(made.folder), "with_frames", cache_dir=str(tmp_path / "cache"))
    plain = pl.read_parquet(made.folder / "data" / "*.parquet")
    assert {name: part.num_rows for name, part in found.items()} == counts(filled)
    for part in found.values():
        assert part.features["images"] == List(Image())
        assert {row["images"][1].size for row in part} == {(64, 48)}
        assert {len(row["images"]) for row in part} == {20}
        undecoded = part.cast_column("images", List(Image(decode=False)))
        for row in undecoded:
            files = [made.folder / name for name in row["frames"]]
            assert [one["bytes"] for one in row["images"]] == [file.read_bytes() for file in files]
            (same,) = plain.filter(id=row["id"]).to_dicts()
            assert {name: row[name] for name in same} == same
    verify(made.folder, made.root_digest)


def test_frames_of_a_closed_licence_are_not_embedded(store: Store) -> None:
    fill(store, names="ab", licence="proprietary")
    made = release(store, settings=SETTINGS.model_copy(update={"embed": True}))
    rows = pl.read_parquet(made.folder / "with_frames" / "*.parquet")
    assert rows["images"].list.len().to_list() == [0] * items_of(store, "a", "b")
    assert rows["frames"].list.len().to_list() == [20] * items_of(store, "a", "b")


@pytest.mark.parametrize("dataset", ["no", "1.0", "- a", "null", "x "])
def test_the_front_matter_is_read_as_strings(filled: Store, dataset: str) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with datasets")
    made = release(filled, settings=SETTINGS.model_copy(update={"dataset": dataset}))
    card = (made.folder / "README.md").read_text(encoding="utf-8")
    front = yaml.safe_load(card.split("---\n")[1])
    assert front["pretty_name"] == dataset
    assert front["language"] == ["en"]
    assert front["version"] == "1.0.0"


@pytest.mark.parametrize(
    ("licences", "known"),
    [
        (("CC-BY-4.0", "CC-BY-4.0", "CC0-1.0"), ["cc-by-4.0", "cc0-1.0"]),
        (("proprietary", "CC BY-NC-SA 4.0", None), ["cc-by-nc-sa-4.0", "other"]),
    ],
)
def test_the_front_matter_uses_the_hubs_licence_ids(
    store: Store, licences: tuple[str | None, ...], known: list[str]
) -> None:
    yaml = pytest.importorskip("yaml", reason="PyYAML comes with datasets")
    for name, licence in zip("abc", licences, strict=True):
        fill(store, names=name, licence=licence)
    card = (release(store).folder / "README.md").read_text(encoding="utf-8")
    assert yaml.safe_load(card.split("---\n")[1])["license"] == known


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::ResourceWarning")
def test_a_release_whose_answers_are_all_withheld_loads(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    from datasets import get_dataset_config_names, load_dataset

    made = release(
        fill(store), settings=SETTINGS.model_copy(update={"withhold": ["train", "test"]})
    )
    assert get_dataset_config_names(str(made.folder)) == ["default", "mcq"]
    found = load_dataset(str(made.folder), cache_dir=str(tmp_path / "cache"))
    assert {name: part.num_rows for name, part in found.items()} == counts(store)
    assert {row["answer"] for part in found.values() for row in part} == {None}
    assert verify(made.folder, made.root_digest).recomputed == (
        "four_options", "split_leak", "duplicates",
    )  # fmt: skip


@pytest.mark.parametrize("consent", ["local", "model"])
def test_nothing_is_released_without_consent(store: Store, consent: str) -> None:
    fill(store, names="a", consent=consent)
    with pytest.raises(UserError, match=r"\d+ items without consent to release") as told:
        release(store)
    assert "consent" in told.value.fix


def test_one_video_without_consent_is_left_out_and_counted(store: Store) -> None:
    fill(store, names="ab")
    fill(store, names="c", consent="model")
    made = release(store)
    shown = b"".join(contents(made.folder).values())
    assert b"v_c" not in shown
    assert b"c.mp4" not in shown
    assert f"Left out: {items_of(store, 'c')} items without consent to release." in (
        made.folder / "README.md"
    ).read_text(encoding="utf-8")


def test_items_that_are_set_aside_or_not_verified_are_left_out(store: Store) -> None:
    fill(store)
    fill(store, names="a", by=None)
    store.forget("review", ["a"])
    refused = Rejection(stage="review", unit="c_b", what="too dark", fix="film again")
    store.finish("review", "b", "2", "rejected", [refused])
    compose(store)
    made = release(store, settings=SETTINGS.model_copy(update={"only_verified": True}))
    assert dict(made.counts) == {"test": items_of(store, "c")}
    manifest = json.loads((made.folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["left_out"] == {
        "not verified": items_of(store, "a"),
        "set aside": items_of(store, "b"),
    }


def test_nothing_to_release_is_an_error(store: Store) -> None:
    with pytest.raises(UserError, match="nothing to release"):
        release(store)


def test_items_of_a_removed_video_are_left_out(filled: Store) -> None:
    filled.forget("split", ["a"])
    assert {video.video_id for video in filled.rows(Video)} == {"v_b", "v_c"}
    made = release(filled)
    assert dict(made.counts) == {"test": items_of(filled, "b", "c")}
    manifest = json.loads((made.folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["left_out"] == {
        "of a video, clip, span or route that is gone": items_of(filled, "a")
    }


def test_the_benchmark_writes_releases() -> None:
    script = Path(__file__).parents[2] / "benchmarks" / "export.py"
    done = subprocess.run(
        [sys.executable, script, "80"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert re.match(r" +80 rows: +[\d.]+ s, peak +\d+ MB, release +[\d.]+ MB\n", done.stdout)


def test_the_secret_and_the_machine_are_not_released(filled: Store) -> None:
    made = release(filled)
    shown = b"".join(contents(made.folder).values())
    assert filled.folder.secret() not in shown
    assert str(filled.folder.root).encode() not in shown
    assert b"root" not in pl.read_parquet(made.folder / "data" / "*.parquet").columns


def test_a_failed_write_leaves_nothing(filled: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(folder: Path) -> str:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pipeline.releases.publish, "write_sums", full)
    with pytest.raises(OSError, match="No space"):
        release(filled)
    assert list(filled.folder.releases.iterdir()) == []


def test_leftovers_of_a_killed_export_are_removed(filled: Store) -> None:
    left = filled.folder.releases / ".tmp-left"
    left.mkdir(parents=True)
    (left / "README.md").touch()
    made = release(filled)
    assert list(filled.folder.releases.iterdir()) == [made.folder]


def test_moves_are_the_reference_of_a_description(filled: Store) -> None:
    made = release(filled)
    evidence = pl.read_parquet(made.folder / "evidence" / "*.parquet")
    data = pl.read_parquet(made.folder / "data" / "*.parquet").join(evidence, on="id")
    told = dict(data.filter(clip_id="c_a").select("question_type", "reference_moves").rows())
    assert told["route_forward"] == list(MOVES["a"])
    assert told["route_reverse"] == ["right", "left", "left", "right"]
