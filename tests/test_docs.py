"""README, --help, Makefile and the file tree agree with each other."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from pipeline.cli.main import cli
from pipeline.engine.stage import LazyFunction, Stage
from pipeline.engine.tables import TABLES
from pipeline.flow import SECTIONS, STAGES

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def commands(group: click.Group, path: str = "egost") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


COMMANDS = dict(commands(cli))


def make_targets() -> set[str]:
    phony = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert phony
    return set(phony[1].split())


def test_readme_names_every_command() -> None:
    missing = [path for path in COMMANDS if f"`{path}" not in README]
    assert not missing


def test_readme_names_no_command_that_is_not_there() -> None:
    told = re.findall(r"(?:`|^ {4})(egost(?: [a-z][a-z-]*)+)", README, re.MULTILINE)
    assert told
    for words in told:
        assert any(f"{words} ".startswith(f"{path} ") for path in COMMANDS), words


def test_every_command_says_what_it_does() -> None:
    for path, command in COMMANDS.items():
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{path} {parameter.name}"


def test_readme_and_makefile_name_the_same_targets() -> None:
    told = set(re.findall(r"make ([a-z]+(?:-[a-z]+)*)", README))
    assert told <= make_targets()
    helped = set(re.findall(r"make ((?:[a-z-]+ )+)", MAKEFILE.split("help:")[1].split("setup:")[0]))
    names = {name for words in helped for name in words.split()}
    assert make_targets() - names <= {"help", "constraints", "clean"}


def test_every_phony_target_has_a_rule() -> None:
    rules = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    assert make_targets() <= rules


def test_tree_in_readme_exists() -> None:
    tree = re.search(r"## Layout of the code\n\n((?: {4}.*\n)+)", README)
    assert tree
    folder = ROOT
    seen = 0
    for line in tree[1].splitlines():
        indent = len(line) - len(line.lstrip()) - 4
        names = re.split(r"\s{3,}", line.strip())[0]
        for name in names.split():
            if indent == 0 and name.endswith("/") and (ROOT / name).is_dir():
                folder = ROOT / name
            base = ROOT if indent == 0 else folder
            if re.fullmatch(r"[\w.-]+/?", name) and ("." in name or name.endswith("/")):
                assert (base / name).exists(), f"{base.name}/{name}"
                seen += 1
    assert seen > 15


@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.name)
def test_tree_names_the_package_of_every_stage(stage: Stage) -> None:
    assert isinstance(stage.run, LazyFunction)
    package = stage.run.module.split(".")[1]
    assert re.search(rf"^ {{6}}{package}/ ", README, re.MULTILINE)


def test_tables_in_readme_exist() -> None:
    line = re.search(
        r"The workspace's tables are Parquet files under `workspace/tables/`: (.*?)\. Times",
        README,
        re.DOTALL,
    )
    assert line
    named = set(re.findall(r"`(\w+)`", line[1]))
    assert len(named) >= 11
    assert named <= set(TABLES)


def test_every_setting_is_explained() -> None:
    for section, kind in SECTIONS.items():
        for name, info in kind.model_fields.items():
            assert info.description, f"{section}.{name}"


def test_settings_named_in_readme_exist() -> None:
    named = set(re.findall(r"`?\b((?:" + "|".join(SECTIONS) + r")\.\w+)\b", README))
    named = {text for text in named if text.split(".")[1] not in ("py", "toml")}
    for text in named:
        section, name = text.split(".")
        assert name in SECTIONS[section].model_fields, text
    assert "draft.provider" in named


def test_changelog_knows_this_version() -> None:
    from pipeline import __version__

    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
