"""The paths of templates, stems, label configs and guidelines; a checkout's own files come first."""

from pathlib import Path

from pipeline.errors import UserError

_PACKAGE = Path(__file__).parent


def asset(name: str) -> Path:
    """Return the path of `prompts/…` or `annotations/…`, in the checkout or else in the wheel."""
    for folder in (_PACKAGE.parent, _PACKAGE):
        path = folder / name
        if path.exists():
            return path
    raise UserError(
        name, "no such file in the checkout or the package", "restore it, or reinstall egost"
    )
