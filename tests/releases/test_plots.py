"""The plots of cards and reports."""

import pytest

from pipeline.releases.plots import blind_bars


@pytest.mark.parametrize(
    ("state", "warned"), [({"state": "unproven"}, True), ({"state": "met"}, False), ({}, False)]
)
def test_the_blind_accuracy_of_too_few_clips_is_called_unproven(
    state: dict[str, str], warned: bool
) -> None:
    gate = {"name": "blind", "met": False, "parts": {"action_forward": 1.0}, **state}
    (plot,) = blind_bars([{"name": "schema"}, gate], "; as measured for 0.1.0")
    assert plot.note.startswith("unproven: too few clips; ") is warned
    assert plot.note.endswith("; as measured for 0.1.0")
    assert blind_bars([gate | {"parts": {}}]) == []
