"""What the package imports is declared in pyproject.toml, and constraints.txt names its exact version."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

ROOT = Path(__file__).parent.parent
NAME = re.compile(r"[\w.-]+")
# In whose process a function runs when it imports them: whoever calls it has them.
CALLERS = {"pipeline/training/signatures.py": {"swift"}}


def normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def imported() -> dict[str, str]:
    """Return each top-level module of other projects that `pipeline` imports, with one file that does."""
    found = {}
    for path in (ROOT / "pipeline").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            else:
                continue
            found |= {name.partition(".")[0]: str(path.relative_to(ROOT)) for name in names}
    ours = {"pipeline", "__future__", *sys.stdlib_module_names}
    return {name: path for name, path in found.items() if name not in ours}


def declared() -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = [NAME.match(line) for line in project["dependencies"]]
    return {normalised(name[0]) for name in names if name}


def test_every_import_is_a_declared_dependency() -> None:
    distributions, known = packages_distributions(), declared()
    missing = {
        name: path
        for name, path in imported().items()
        if not known & {normalised(one) for one in distributions.get(name, ())}
        and name not in CALLERS.get(path, ())
    }
    assert missing == {}


def test_every_dependency_has_one_exact_version() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert [line for line in pins if not re.match(r"[\w.-]+==[\w.]+( ; .+)?$", line)] == []
    assert declared() - {normalised(line.partition("==")[0]) for line in pins} == set()
