"""What is said where a part of the real world can't be had."""

import os

import pytest


def missing(what: str) -> None:
    """Skip with the reason; with CI set, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"CI has to have {what}")
    pytest.skip(f"needs {what}")
