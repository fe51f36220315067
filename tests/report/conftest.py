"""What tests of pages share: releases that none of them changes."""

from pathlib import Path

import pytest
from small_release import release, small_space, varied

from pipeline.releases.reading import Released, open_release


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A release of twelve walks, and one of the same walks with the answers of the split test withheld."""
    root = tmp_path_factory.mktemp("page") / "w"
    with small_space(root, 12, walk=varied) as space:
        return release(space).folder, release(space, "0.2.0", withhold=["test"]).folder


@pytest.fixture
def released(releases: tuple[Path, Path]) -> Released:
    return open_release(releases[0])
