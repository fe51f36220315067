"""Skipping a test, with the reason, where a server or browser is missing."""

import os

import pytest


def missing(what: str) -> None:
    """Skip with the reason; with CI set, fail."""
    if os.environ.get("CI"):
        pytest.fail(f"CI requires {what}")
    pytest.skip(f"needs {what}")
