"""The command `egost`: finds the package `pipeline`, whose common name another file can hide, and starts it."""

import sys
from importlib.util import find_spec
from pathlib import Path


def main() -> None:
    """Run the command line; exit with 2 if another module called `pipeline` is found first."""
    found = _module_file()
    if found is None or found.parent != Path(__file__).resolve().parent / "pipeline":
        sys.exit(_refusal(found))
    from pipeline.cli.main import main as run

    run()


def _module_file() -> Path | None:
    """Return the file that `import pipeline` would load, without loading it."""
    try:
        spec = find_spec("pipeline")
    except ValueError:  # a module that something put into sys.modules by hand
        spec = None
    return Path(spec.origin).resolve() if spec and spec.origin else None


def _refusal(found: Path | None) -> int:
    where = found or "pipeline"
    what = (
        "hides the package `pipeline` of egost, which has the same name"
        if found
        else "the package of egost with this name is missing or hidden"
    )
    folder = (
        found.parent.parent if found and found.name == "__init__.py" else found and found.parent
    )
    fix = (
        f"remove {folder} from PYTHONPATH for this command (PYTHONPATH= egost ...), or rename that file"
        if found
        else "install egost again, in an environment of its own"
    )
    sys.stderr.write(f"error: {where}: {what}\n  fix: {fix}\n")
    return 2


if __name__ == "__main__":
    main()
