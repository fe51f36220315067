"""Copies of modules in one file that others import without the project: its imports once, then the code. Pure."""

import ast
import inspect
import re
from collections.abc import Sequence
from types import ModuleType

_IMPORTS = (ast.Import, ast.ImportFrom)


def copied_imports(modules: Sequence[ModuleType]) -> str:
    """Return what modules import of the standard library, sorted as in every file."""
    lines = {
        ast.unparse(node)
        for module in modules
        for node in ast.parse(inspect.getsource(module)).body
        if isinstance(node, ast.Import)
        or (isinstance(node, ast.ImportFrom) and not str(node.module).startswith("pipeline"))
    }
    names: dict[str, set[str]] = {}
    for line in lines:
        start, _, imported = line.partition(" import ")
        names.setdefault(start, set()).update(filter(None, imported.split(", ")))
    return "\n".join(
        f"{start} import {', '.join(sorted(imported))}" if imported else start
        for start, imported in sorted(names.items(), key=lambda one: (bool(one[1]), one[0]))
    )


def copied_code(modules: Sequence[ModuleType]) -> str:
    """Return the code of modules after their imports, each after those that it imports.

    A private name that an earlier module has too gets the module's name, as in `_WORD_of_told`. Raise ValueError
    for a public name that two modules have.
    """
    taken: set[str] = set()
    parts = []
    for module in modules:
        code, own = _after_imports(module), _names(module)
        for name in sorted(own & taken):
            if not name.startswith("_"):
                raise ValueError(f"{module.__name__}: the name {name!r} is an earlier module's")
            code = re.sub(
                rf"(?<![\w.]){name}\b", f"{name}_of_{module.__name__.rpartition('.')[2]}", code
            )
        taken |= own
        parts.append(code)
    return "\n\n\n".join(parts)


def _after_imports(module: ModuleType) -> str:
    source = inspect.getsource(module)
    last = max(
        node.end_lineno or 0 for node in ast.parse(source).body if isinstance(node, _IMPORTS)
    )
    return "\n".join(source.splitlines()[last:]).strip()


def _names(module: ModuleType) -> set[str]:
    """Return the names that a module defines."""
    found: set[str] = set()
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return found
