"""Modules are copied into one file: imports once, and names that two of them have are told apart."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from pipeline.releases.copies import copied_code, copied_imports


def module(folder: Path, name: str, text: str) -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec
    assert spec.loader
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


def run(modules: list[ModuleType]) -> dict[str, object]:
    names: dict[str, object] = {}
    exec(f"{copied_imports(modules)}\n{copied_code(modules)}", names)
    return names


def test_private_names_of_two_modules_stay_apart(tmp_path: Path) -> None:
    first = module(
        tmp_path,
        "first",
        '"""One."""\nimport re\n_WORD = r"\\w"\n\ndef one() -> str:\n    return re.sub(f"{_WORD}+", "1", "a b")\n',
    )
    text = '"""Two."""\nimport re\nfrom re import sub\n_WORD: str = "b"\n\ndef two() -> str:\n    return sub(_WORD, "2", "a b")\n'
    second = module(tmp_path, "second", text)
    names = run([first, second])
    assert names["one"]() == "1 1"  # type: ignore[operator]
    assert names["two"]() == "a 2"  # type: ignore[operator]
    assert copied_imports([first, second]) == "import re\nfrom re import sub"


def test_public_names_of_two_modules_are_an_error(tmp_path: Path) -> None:
    first = module(tmp_path, "third", "import re\n\ndef read() -> int:\n    return 1\n")
    second = module(tmp_path, "fourth", "import re\n\ndef read() -> int:\n    return 2\n")
    with pytest.raises(ValueError, match="fourth: the name 'read' is an earlier module's"):
        copied_code([first, second])
