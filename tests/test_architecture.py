"""Imports point one way, and no module grows beyond what one can hold in mind."""

import ast
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from pipeline.engine.stage import Later
from pipeline.flow import STAGES

PACKAGE = Path(__file__).parent.parent / "pipeline"

# From below to above. A package stands on one line as a whole, and what stands on one line may import
# its neighbours, but never in a circle. Below all of them are the rows and settings of every part:
# a store reads and writes all tables, so it needs their types.
LEVELS = (
    "errors assets times",
    "*.rows *.settings",
    "engine",
    "models labelstudio",
    "video",
    "sources manifest narrations scan",
    "motion keyframes pose turns",
    "routes route tasks templates wording motion_draft",
    "questions balance draw order",
    "gates looks blind clients stages review releases report glance",
    "flow",
    "intake modelwork people",
    "demo",
    "cli cli_people cli_release console",
    "__main__",
)
LEVEL = {name: level for level, names in enumerate(LEVELS) for name in names.split()}
PURE = [
    "questions.balance",
    "questions.draw",
    "questions.order",
    "releases.gates",
    "motion.keyframes",
    "sources.manifest",
    "motion.tracking",
    "routes.motion_draft",
    "sources.narrations",
    "motion.pose",
    "releases.layout",
    "routes.route",
    "routes.tasks",
    "routes.templates",
    "motion.turns",
    "routes.wording",
]


def name_of(path: Path, package: Path = PACKAGE) -> str:
    parts = path.relative_to(package).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


@cache
def imports(package: Path = PACKAGE) -> dict[str, set[str]]:
    """Return what each module imports of the package, inside functions as well."""
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
        found[name] = {
            target.removeprefix("pipeline.") for target in wanted if target.startswith("pipeline.")
        } - {name}
    return found


def level_of(name: str) -> int | None:
    """Return the level of a module: its package's, or that of all rows and settings."""
    package, _, module = name.partition(".")
    return LEVEL.get(f"*.{module}" if module in ("rows", "settings") else package)


def wrong_ways(found: dict[str, set[str]]) -> list[str]:
    """Name every import that points upwards, and every module without a level."""
    level = {name: level_of(name) for name in found if name != "__init__"}
    wrong = [f"{name} has no level" for name, height in level.items() if height is None]
    for name, targets in found.items():
        for target in targets:
            here, there = level.get(name), level.get(target)
            if here is not None and there is not None and there > here:
                wrong.append(f"{name} imports {target}")
    return wrong


def test_no_import_points_upwards() -> None:
    assert wrong_ways(imports()) == []


def test_an_upward_import_is_found(tmp_path: Path) -> None:
    (tmp_path / "stages").mkdir()
    (tmp_path / "flow.py").write_text("x = 1")
    (tmp_path / "stages" / "draft.py").write_text("def f():\n    from pipeline import flow")
    (tmp_path / "helpers.py").write_text("")
    assert sorted(wrong_ways(imports(tmp_path))) == [
        "helpers has no level",
        "stages.draft imports flow",
    ]


def test_no_import_goes_in_a_circle() -> None:
    TopologicalSorter(imports()).prepare()


@pytest.mark.parametrize("name", PURE)
def test_pure_modules_touch_no_workspace_and_no_outside_world(name: str) -> None:
    reached = {
        target
        for target in imports()[name]
        if target.partition(".")[0] in ("engine", "clients", "stages")
        and target not in ("engine.rows", "engine.arrow")
    }
    assert reached == set()


def test_stages_do_not_import_one_another() -> None:
    found = imports()
    stages = {
        stage.run.module.removeprefix("pipeline.")
        for stage in STAGES
        if isinstance(stage.run, Later)
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
