"""What the package imports is declared in pyproject.toml, and constraints.txt names its exact version."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAME = re.compile(r"[\w.-]+")
# Where what the extra `train` installs may be imported.
TUNING = "pipeline/tuning/"
# In whose process a function runs when it imports them: whoever calls it has them.
CALLERS = {
    "pipeline/training/signatures.py": {"swift"},
    "pipeline/tuning/fitting.py": {"deepspeed"},
}


def normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def imported_by(path: Path) -> set[str]:
    """Return each top-level module that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def imported() -> dict[str, str]:
    """Return each top-level module of other projects that `pipeline` imports, with one file that does."""
    found = {
        name: str(path.relative_to(ROOT))
        for path in (ROOT / "pipeline").rglob("*.py")
        for name in imported_by(path)
    }
    ours = {"pipeline", "__future__", *sys.stdlib_module_names}
    return {name: path for name, path in found.items() if name not in ours}


def declared(*extras: str) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["optional-dependencies"][extra] for extra in extras] or [
        project["dependencies"]
    ]
    names = [NAME.match(line) for lines in lists for line in lines]
    return {normalised(name[0]) for name in names if name}


def pinned(name: str) -> list[str]:
    """Return the lines of a file of constraints, each of which has to name an exact version."""
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in pins if not re.match(r"[\w.-]+==[\w.]+( ; .+)?$", line)] == []
    return [normalised(line.partition("==")[0]) for line in pins]


def test_every_import_is_a_declared_dependency() -> None:
    distributions, known, train = packages_distributions(), declared(), declared("train")
    missing = {
        name: path
        for name, path in imported().items()
        if not known & {normalised(one) for one in distributions.get(name, ())}
        and not (path.startswith(TUNING) and normalised(name) in train)
        and name not in CALLERS.get(path, ())
    }
    assert missing == {}


def test_torch_is_imported_in_one_package_alone() -> None:
    assert imported()["torch"].startswith(TUNING)
    heavy = declared("train") - declared() - declared("dev")
    found = {
        (name, str(path.relative_to(ROOT)))
        for path in (ROOT / "pipeline").rglob("*.py")
        for name in imported_by(path)
        if normalised(name) in heavy
    }
    assert len({name for name, _ in found}) > 4
    assert [one for one in found if not one[1].startswith(TUNING)] == []


def test_every_dependency_has_one_exact_version() -> None:
    pins = pinned("constraints.txt")
    assert declared() - {*pins} == set()
    train = pinned("constraints-train.txt")
    assert declared("train") - {*pins, *train} == set()
    assert {*pins} & {*train} == set()
