"""Many clips, a hostile server, kills at random: every clip ends, nothing is bought twice, no cap is passed."""

import random
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.engine.rows import Rejection
from pipeline.engine.store import Store, opened
from pipeline.errors import UserError
from pipeline.routes.rows import Route
from tests.clip_rows import workspace
from tests.integration.fault_server import FaultServer
from tests.integration.hostile import assert_booked, hostile, journal, killed
from tests.integration.many_clips import draft_all, fill

pytestmark = pytest.mark.integration


def ends(store: Store) -> tuple[list[Route], list[Rejection]]:
    return store.rows(Route), store.rows(Rejection)


def test_a_thousand_clips_under_faults_end_as_a_route_or_with_a_reason(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "w")
    with FaultServer(choose=hostile, keep_bodies=False) as server, opened(folder) as store:
        fill(store, 1000)
        summary = draft_all(store, server.url)
        routes, rejections = ends(store)
        assert len(routes) + len(rejections) == 1000
        assert len(routes) >= 950
        assert all(rejection.what and rejection.fix for rejection in rejections)
        assert sum(server.faults.values()) - server.faults["good"] >= 150
        assert server.most_at_once <= 64
        assert_booked(folder, server)

        asked = sum(server.came.values())
        again = draft_all(store, server.url)
        assert again.new == 0 or summary.failed
        assert sum(server.came.values()) - asked <= 20 * summary.failed
        assert_booked(folder, server)


def test_killed_at_random_and_run_again_gives_the_same_routes(tmp_path: Path) -> None:
    count = 150
    chance = random.Random(7)
    with FaultServer(choose=hostile, keep_bodies=False) as server:
        folder = workspace(tmp_path / "killed")
        script = Path(__file__).with_name("many_clips.py")
        command = [sys.executable, str(script), str(folder.root), server.url, str(count)]
        assert killed(command, server, [chance.randint(5, 40) for _ in range(4)]) == 4
        assert subprocess.run(command, check=False, timeout=120).returncode == 0
        assert_booked(folder, server)
        with opened(folder) as store:
            often = ends(store)

        calm = workspace(tmp_path / "calm")
        server.came.clear()  # the same questions meet the same faults again
        with opened(calm) as store:
            fill(store, count)
            draft_all(store, server.url)
            undisturbed = ends(store)
    shown = [{route.clip_id: route.steps for route in found} for found, _ in (often, undisturbed)]
    both = shown[0].keys() & shown[1].keys()
    assert len(both) >= 0.9 * count
    for clip_id in both:
        assert shown[0][clip_id] == shown[1][clip_id]
    assert len(often[0]) + len(often[1]) == count


def test_the_cap_is_never_passed_even_when_killed(tmp_path: Path) -> None:
    folder = workspace(tmp_path / "w")
    price = {"input_usd_per_million": 1000.0, "output_usd_per_million": 1000.0}
    with FaultServer(choose=hostile, keep_bodies=False) as server, opened(folder) as store:
        fill(store, 200)
        cap = 150.0  # of 200 clips at 1.1 each, and up to 9 set aside before each
        with pytest.raises(UserError, match=r"draft\.max_cost_usd"):
            draft_all(store, server.url, max_cost_usd=cap, **price)
        billed = sum(server.billed.values()) * sum(server.tokens) * 1000 / 1e6
        assert 0.3 * cap < billed <= cap
        routes, rejections = ends(store)
        kept = sum(state == "kept" for _, _, state in journal(folder))
        assert (
            len(routes) + len(rejections) >= kept * 0.9
        )  # the rest were first answers to be repaired
        draft_all(store, server.url, max_cost_usd=100_000, **price)
        assert_booked(folder, server)
