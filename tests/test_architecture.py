"""Imports go one way between packages, pure logic stays pure, and no module outgrows a reader."""

import ast
import re
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from pipeline.engine.stage import LazyFunction
from pipeline.flow import STAGES

PACKAGE = Path(__file__).parent.parent / "pipeline"

# From the bottom to the top. A package has one level, with all its modules, whether they are imported
# at once or later; packages on one line don't import one another. The rows and settings of every
# part stand below the engine: a store reads and writes all tables, so it needs their types.
LEVELS = (
    "errors assets times",
    "*.rows *.settings",
    "engine",
    "models labelstudio video",
    "sources",
    "motion",
    "routes",
    "blind",
    "questions",
    "review",
    "releases",
    "evaluate",
    "training",
    "report",
    "proof",
    "tuning",
    "flow",
    "demo",
    "cli",
    "__main__",
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names.split()}
ROWS = LEVEL["*.rows"]
PURE = re.compile(r"\bPure\.|\bpure but\b")


def name_of(path: Path, package: Path = PACKAGE) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


@cache
def imports(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Return what each module imports of the package, inside functions and by `LazyFunction` as well."""
    paths = {name_of(path, package): path for path in package.rglob("*.py")}
    found: dict[str, set[str]] = {}
    for name, path in paths.items():
        wanted = set()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                for alias in node.names:
                    whole = f"{node.module}.{alias.name}"
                    known = whole.removeprefix("pipeline.") in paths
                    wanted.add(whole if known else str(node.module))
            elif isinstance(node, ast.Constant) and str(node.value).startswith("pipeline."):
                wanted |= {str(node.value)} & {f"pipeline.{one}" for one in paths}  # Later("...")
        found[name] = {
            target.removeprefix("pipeline.") for target in wanted if target.startswith("pipeline.")
        } - {name}
    return found


def package_of(name: str) -> str:
    return name.partition(".")[0]


def level_of(name: str) -> int | None:
    """Return the level of a module: its package's, or that of all rows and settings."""
    _, _, module = name.partition(".")
    return LEVEL.get(f"*.{module}" if module in ("rows", "settings") else package_of(name))


def wrong_ways(found: dict[str, set[str]]) -> list[str]:
    """Name every import that points upwards, and every module without a level."""
    level = {name: level_of(name) for name in found if name != "__init__"}
    wrong = [f"{name} has no level" for name, height in level.items() if height is None]
    for name, targets in found.items():
        for target in targets:
            here, there = level.get(name), level.get(target)
            if here is None or there is None:
                continue
            aside = here == there and package_of(name) != package_of(target) and here > ROWS
            if there > here or aside:
                wrong.append(f"{name} imports {target}")
    return wrong


def test_no_import_points_upwards() -> None:
    assert wrong_ways(imports()) == []


def test_an_upward_import_is_found(tmp_path: Path) -> None:
    for name in ("motion", "models", "engine", "video"):
        (tmp_path / name).mkdir()
    (tmp_path / "flow.py").write_text("x = 1")
    (tmp_path / "motion" / "frames.py").write_text("def f():\n    from pipeline import flow")
    (tmp_path / "models" / "llm.py").write_text("from pipeline.video import reader")
    (tmp_path / "engine" / "run.py").write_text('x = Later("pipeline.motion.frames", "run")')
    (tmp_path / "video" / "reader.py").write_text("from pipeline.motion import rows")
    (tmp_path / "motion" / "rows.py").write_text("")
    (tmp_path / "helpers.py").write_text("")
    assert sorted(wrong_ways(imports(tmp_path))) == [
        "engine.run imports motion.frames",
        "helpers has no level",
        "models.llm imports video.reader",
        "motion.frames imports flow",
    ]


def test_no_import_goes_in_a_circle() -> None:
    TopologicalSorter(imports()).prepare()


def docstring(name: str) -> str:
    path = PACKAGE.joinpath(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    return ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""


def pure_modules() -> set[str]:
    return {name for name in imports() if name != "__init__" and PURE.search(docstring(name))}


def test_pure_modules_import_pure_modules_and_rows_alone() -> None:
    pure = pure_modules()
    assert len(pure) > 20
    # Templates and wordings read the project's own text files, which are part of the code.
    allowed = pure | {"errors", "assets", "times", "routes.templates", "routes.wording"}
    impure = {
        f"{name} imports {target}"
        for name in pure
        for target in imports()[name]
        if target not in allowed and target.rpartition(".")[2] not in ("rows", "settings")
    }
    assert impure == set()


@pytest.mark.parametrize("package", ["motion", "routes", "questions", "review", "releases"])
def test_each_part_has_pure_logic(package: str) -> None:
    assert [name for name in pure_modules() if name.startswith(f"{package}.")]


def test_stages_do_not_import_one_another() -> None:
    found = imports()
    stages = {
        stage.run.module.removeprefix("pipeline.")
        for stage in STAGES
        if isinstance(stage.run, LazyFunction)
    }
    assert len(stages) >= 8
    assert {(name, target) for name in stages for target in found[name] & stages} == set()


def test_no_module_is_longer_than_400_lines() -> None:
    lengths = {
        name_of(path): len(path.read_text(encoding="utf-8").splitlines())
        for path in PACKAGE.rglob("*.py")
    }
    assert {name: length for name, length in lengths.items() if length > 400} == {}


def test_modules_are_named_for_what_they_own() -> None:
    vague = {"base", "common", "helpers", "manager", "misc", "util", "utils"}
    names = {part for path in PACKAGE.rglob("*.py") for part in name_of(path).split(".")}
    assert names & vague == set()
