"""Common tools read a release without conversion."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest
from small_release import release, small_space

from pipeline.releases.reading import Released, open_release


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Released]:
    with small_space(tmp_path_factory.mktemp("consumers") / "workspace", clips=8) as space:
        yield open_release(release(space, "1.0.0").folder)


def total(made: Released) -> int:
    return sum(made.manifest["items"].values())


def choices(made: Released) -> int:
    return sum(made.manifest["multiple_choice_items"].values())


def test_polars_pyarrow_and_duckdb_read_the_same_rows(made: Released) -> None:
    pattern = str(made.folder / "data" / "*.parquet")
    ids = sorted(row.id for _, row in made.questions())
    assert sorted(pl.read_parquet(pattern)["id"].to_list()) == ids
    read = [pq.read_table(path)["id"].to_pylist() for path in made.files("data")]
    assert sorted(one for some in read for one in some) == ids
    found = duckdb.sql(f"select id, options[1] from '{pattern}' order by id").fetchall()
    assert [unit for unit, _ in found] == ids


def test_every_parquet_file_names_dataset_version_and_canary(made: Released) -> None:
    paths = sorted(made.folder.glob("*/*.parquet"))
    assert len(paths) > 4
    for path in paths:
        metadata = pq.read_schema(path).metadata
        assert metadata[b"version"] == b"1.0.0"
        assert metadata[b"canary"].decode() == made.manifest["canary"]
    assert made.manifest["canary"] in (made.folder / "README.md").read_text(encoding="utf-8")


def test_datasets_loads_every_config(
    made: Released, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from datasets import load_dataset

    folder = shutil.copytree(made.folder, tmp_path / "release")
    for config, count in (
        ("default", total(made)),
        ("mcq", choices(made)),
        ("evidence", total(made)),
    ):
        read = load_dataset(str(folder), config, cache_dir=str(tmp_path / "cache"))
        assert sum(split.num_rows for split in read.values()) == count


@pytest.mark.filterwarnings("ignore:ConjunctiveGraph is deprecated:DeprecationWarning")
def test_croissant_is_valid_and_yields_the_rows(made: Released) -> None:
    import mlcroissant

    path = made.folder / "croissant.json"
    described = mlcroissant.Dataset(str(path))
    assert not described.metadata.ctx.issues.errors
    assert described.metadata.data_collection
    records = list(described.records("questions"))
    assert sorted(record["questions/id"].decode() for record in records) == sorted(
        row.id for _, row in made.questions()
    )


def test_every_span_has_a_frame_for_each_second(made: Released) -> None:
    rows = [row for _, row in made.questions()]
    assert all(len(row.frames) == len(row.frame_seconds) == row.end for row in rows)
    assert all(row.frame_seconds == [at + 0.5 for at in range(int(row.end))] for row in rows)
    assert all((made.folder / name).is_file() for row in rows for name in row.frames)


def test_the_first_ego_st_format_has_options_inside_the_question(made: Released) -> None:
    rows = json.loads((made.folder / "adapters" / "ego_st" / "test.json").read_text("utf-8"))
    assert len(rows) == made.manifest["multiple_choice_items"]["test"]
    known = {row.id: row for _, row in made.questions()}
    for row in rows:
        asked = known[row["question_id"]]
        assert row["answer"] == asked.answer
        assert all(
            f"{name}. {text}" in row["question"]
            for name, text in zip("ABCD", asked.options, strict=True)
        )
