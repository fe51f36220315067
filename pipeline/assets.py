"""Where templates, stems, label configs and guidelines are found: a checkout's own come first."""

from pathlib import Path

from pipeline.errors import UserError

_PACKAGE = Path(__file__).parent


def asset(name: str) -> Path:
    """Return the file or folder `prompts/…` or `annotations/…`: the checkout's, else the wheel's."""
    for folder in (_PACKAGE.parent, _PACKAGE):
        path = folder / name
        if path.exists():
            return path
    raise UserError(
        name, "no such file in the checkout or in the package", "restore it, or install egost again"
    )
