"""The embedded server's bookkeeping of processes; the server itself: integration/test_label_studio.py."""

import subprocess
import time
from pathlib import Path

import pytest

from pipeline.clients import labelstudio_server


def test_an_ended_process_that_nobody_reaps_counts_as_ended() -> None:
    # `exec` leaves a parent that never asks for its child, as process 1 of many containers.
    shell = ["sh", "-c", "sleep 0.5 & echo $!; exec sleep 60"]
    with subprocess.Popen(shell, stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            child = int(parent.stdout.readline())
            assert labelstudio_server._birth(child)
            deadline = time.monotonic() + 60
            while labelstudio_server._birth(child):
                assert time.monotonic() < deadline
                time.sleep(0.05)
            stat = Path(f"/proc/{child}/stat")
            if not stat.exists():
                pytest.skip("needs /proc to see that the child is a zombie still")
            assert stat.read_text().rpartition(")")[2].split()[0] == "Z"
        finally:
            parent.kill()
