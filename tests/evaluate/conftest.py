"""What tests of evaluations share: a release, and a cache folder of their own for each.

What is measured in one test isn't found by another.
"""

from pathlib import Path

import pytest
from small_release import release, small_space, varied

from pipeline.evaluate import evaluation, score
from pipeline.evaluate.baselines import Baselines
from pipeline.releases.reading import Released, open_release


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A release of twelve walks with all answers, and one of the same walks with those of the split test withheld."""
    root = tmp_path_factory.mktemp("release") / "w"
    with small_space(root, 12, walk=varied, split="test") as space:
        return release(space).folder, release(space, "0.2.0", withhold=["test"]).folder


@pytest.fixture
def released(folders: tuple[Path, Path]) -> Released:
    return open_release(folders[0])


@pytest.fixture
def no_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    """Baselines have tests of their own, and take seconds."""
    for module in (evaluation, score):
        monkeypatch.setattr(module, "baselines", lambda *_, **__: Baselines((), None, ()))
