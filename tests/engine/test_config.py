import logging
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from pipeline.engine.config import Config, commented
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.settings import RunSettings, Settings
from pipeline.errors import UserError
from pipeline.flow import STAGES


class FramesSettings(Settings):
    budget: int = Field(16, ge=1, le=64, description="how many keyframes a clip gets.")
    lens: str = Field("", description="What to assume of the lens")
    share: float = Field(0.5, ge=0, le=1)
    names: list[str] = Field(["a", "b"])
    sparse: bool = Field(False)
    limit: float | None = Field(None, description="None means no limit")
    retired: ClassVar[Mapping[str, object]] = {"salt": "ab", "order": None}


KNOWN = {"frames": FramesSettings, "run": Settings}


def load(tmp_path: Path, text: str = "", *overrides: str) -> FramesSettings:
    path = tmp_path / "egost.toml"
    path.write_text(text, encoding="utf-8")
    return Config.load(path, KNOWN, overrides).settings("frames", FramesSettings)


def test_an_absent_file_means_all_defaults(tmp_path: Path) -> None:
    config = Config.load(tmp_path / "none.toml", KNOWN)
    assert config.settings("frames", FramesSettings) == FramesSettings()


def test_an_override_replaces_the_file_and_the_last_override_wins(tmp_path: Path) -> None:
    text = "[frames]\nbudget = 8\nsparse = true"
    found = load(tmp_path, text, "frames.budget=9", "frames.budget = 10")
    assert (found.budget, found.sparse) == (10, True)


@pytest.mark.parametrize(
    ("override", "name", "value"),
    [
        ("frames.lens=fisheye", "lens", "fisheye"),
        ('frames.lens="a = b"', "lens", "a = b"),
        ("frames.lens=http://127.0.0.1:8000/v1", "lens", "http://127.0.0.1:8000/v1"),
        ("frames.lens=", "lens", ""),
        ("frames.names=[]", "names", []),
        ("frames.limit=1", "limit", 1.0),
        ("frames.lens=8\nsparse = true", "lens", "8\nsparse = true"),
    ],
)
def test_an_override_is_toml_or_else_a_string(
    tmp_path: Path, override: str, name: str, value: object
) -> None:
    assert getattr(load(tmp_path, "", override), name) == value


@pytest.mark.parametrize(
    ("text", "override", "what", "fix"),
    [
        ("[frames", "", "not valid TOML", "fix that line"),
        ("[frame]\nbudget = 3", "", "unknown section [frame]", "frames, run"),
        ("frames = 3", "", "frames is a value, not a section", "write [frames]"),
        ("[frames]\nbudgett = 3", "", "unknown setting frames.budgett", "budget, lens"),
        ("[frames]\nbudget = 0", "", "frames.budget: ", "frames.budget"),
        ("[frames]\nbudget = 'x'", "", "frames.budget: ", "frames.budget"),
        ("[frames]\nnames = [1]", "", "frames.names.0: ", "frames.names.0"),
        ("", "frames.budget=65", "frames.budget: ", "frames.budget"),
        ("", "frame.budget=6", "unknown section [frame]", "frames, run"),
        ("", "frames.budget", "not of the form stage.name=value", "--set frames.budget=8"),
        ("", "budget=3", "not of the form", "--set frames.budget=8"),
        ("", ".budget=3", "not of the form", "--set frames.budget=8"),
        ("", "frames.=3", "not of the form", "--set frames.budget=8"),
    ],
)
def test_an_error_names_the_setting_and_the_fix(
    tmp_path: Path, text: str, override: str, what: str, fix: str
) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, text, *([override] if override else []))
    assert what in caught.value.what
    assert fix in caught.value.fix
    assert caught.value.where.startswith("--set") is bool(override)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(
    ("text", "override", "fix"),
    [
        ("[frames]\nbudget = 0", "frames.sparse=true", "change frames.budget, or delete the line"),
        ("frames = 3", "frames.budget=8", "write [frames], and its settings below it"),
        ("[frame]\nbudget = 8", "frame.budget=9", "use one of: frames, run"),
    ],
)
def test_a_mistake_in_the_file_is_not_blamed_on_an_override(
    tmp_path: Path, text: str, override: str, fix: str
) -> None:
    with pytest.raises(UserError) as caught:
        load(tmp_path, text, override)
    assert (caught.value.where, caught.value.fix) == (str(tmp_path / "egost.toml"), fix)


def test_a_retired_setting_is_ignored_with_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        found = load(tmp_path, "[frames]\nsalt = 'other'\nbudget = 8", "frames.order=3")
    assert found == FramesSettings(budget=8)
    assert sorted(caplog.messages) == [
        "--set: frames.order is no longer a setting and is ignored; leave it out",
        "egost.toml: frames.salt is no longer a setting and is ignored; delete the line",
    ]
    with pytest.raises(UserError, match="frames is a value, not a section"):
        load(tmp_path, "frames = 3", "frames.salt=3")


def test_retired_settings_stay_in_the_unit_keys_with_their_old_default() -> None:
    text = FramesSettings(names=[]).for_keys()
    assert text.endswith('"names":[],"sparse":false,"limit":null,"salt":"ab"}')
    assert RunSettings().for_keys() == "{}"


# Computed by the code of commit bd52d40, in which split.salt and faces.sureness were settings; that of draft by
# the code that has the move `stay`: drafts by motion are made again, with their stays, unless people judged them.
@pytest.mark.parametrize(
    ("name", "changed", "head"),
    [
        ("split", {}, "5ee93d1b5daef6bc"),
        ("split", {"train": 0.5, "validation": 0.25, "test": 0.25}, "ef537e45bacee167"),
        ("faces", {}, "81aebc8e86872ad5"),
        ("faces", {"smallest": 0.2, "look": False}, "90a5b4328255c116"),
        ("draft", {}, "8d09fbf3bccbd5c2"),
    ],
)
def test_the_keys_are_those_of_older_versions(
    tmp_path: Path, name: str, changed: dict[str, object], head: str
) -> None:
    stage = next(stage for stage in STAGES if stage.name == name)
    assert stage.key_head(stage.settings(**changed), WorkspaceFolder(tmp_path)) == head


def test_a_file_that_is_not_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "egost.toml"
    path.write_bytes(b"[frames]\nlens = '\xff'")
    with pytest.raises(UserError, match="not valid TOML"):
        Config.load(path, KNOWN)


def test_a_new_settings_file_lists_all_settings_and_changes_none(tmp_path: Path) -> None:
    text = commented({"frames": FramesSettings}, {})
    assert tomllib.loads(text) == {"frames": {}}
    assert "# How many keyframes a clip gets.\n# budget = 16\n" in text
    listed = text.replace("\n# limit =\n", "\n")  # has no default to list
    lines = [line.removeprefix("# ") for line in listed.split("\n") if " = " in line or "[" in line]
    assert load(tmp_path, "\n".join(lines)) == FramesSettings()


@given(st.text(st.characters(exclude_categories=["Cs"])), st.floats(0, 1), st.booleans())
def test_given_values_read_back(lens: str, share: float, sparse: bool) -> None:
    given_values = {"lens": lens, "share": share, "sparse": sparse, "names": [lens]}
    text = commented({"frames": FramesSettings}, {"frames": given_values})
    assert tomllib.loads(text)["frames"] == given_values


def test_settings_are_frozen_and_know_their_fields() -> None:
    with pytest.raises(ValueError, match="frozen"):
        FramesSettings().budget = 3  # type: ignore[misc]
