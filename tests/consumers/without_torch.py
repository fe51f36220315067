"""Stand-ins for torch and what needs it, so that what doesn't use them loads without 2 GB of them."""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any
from unittest.mock import MagicMock

_NAMES = ("torch", "torchvision", "accelerate", "transformers")


class _Empty:
    """A class of a package that isn't there: it can be made and asked for anything."""

    def __init__(self, *_: Any, **__: Any) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        return MagicMock(name=name)


class _Module(ModuleType):
    __version__ = "0"
    __path__: Sequence[str] = ()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (_Empty,), {}) if name[0].isupper() else MagicMock(name=name)


class _Finder:
    def __init__(self, names: Sequence[str]) -> None:
        self._names = names

    def find_spec(self, name: str, *_: Any) -> ModuleSpec | None:
        return (
            ModuleSpec(name, self, is_package=True) if name.split(".")[0] in self._names else None
        )

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Module(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


def stand_in(names: Sequence[str] = _NAMES) -> bool:
    """Put stand-ins for packages in place if the first isn't installed; return whether that was so."""
    missing = find_spec(names[0]) is None
    if missing:
        sys.meta_path.insert(0, _Finder(names))
    return missing
