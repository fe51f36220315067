"""Time and peak memory of writing a release: `python benchmarks/export.py [ROWS ...]`.

Rows are scaled from one synthetic clip, without frames and gates. Each size runs in its own process.
Targets: 5,000 rows in 3 s; 1,000,000 rows within 1.5 GB.
"""

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from pipeline.releases.candidate import NO_WORDS
from pipeline.releases.layout import Evidence, QuestionRow, ReleaseItem
from pipeline.releases.publish import Issue, publish
from pipeline.routes.rows import Step

_MOVES = ("turn left", "turn right", "turn around")
_SHA256 = "0" * 64


def entries(count: int) -> Iterator[ReleaseItem]:
    """Yield `count` items, eight per clip, four fifths of them in the test split."""
    for number in range(count):
        clip, task = divmod(number, 8)
        options = [
            " -> ".join(_MOVES[(clip // 3**place + option) % 3] for place in range(6))
            for option in range(4)
        ]
        question = QuestionRow(
            id=f"i_{number:016x}", dataset="scaled", scene_name=None,
            question_type=f"direction_{('forward', 'reverse')[task % 2]}",
            question="In which order does the camera wearer turn in this clip?", options=options,
            ground_truth="ABCD"[number % 4], answer="ABCD"[number % 4], answer_text=options[number % 4],
            category="direction", orientation=("forward", "reverse")[task % 2], format="mcq",
            contrast="turn", video=f"s_{clip:016x}", video_sha256=None,
            start=0.0, end=60.0, split_group=f"g_{clip % 40}",
            frames=[f"frames/{place:02x}/{clip:032x}.jpg" for place in range(8)],
            frame_seconds=[7.5 * place for place in range(8)],
        )  # fmt: skip
        evidence = Evidence(
            id=question.id, clip_id=f"c_{clip:016x}", status="verified", verified_by=["person"],
            flips=["turn:0", "turn:2"], reference_moves=[], reference_landmarks=[],
            steps=[
                Step(start_us=place * 10**7, end_us=(place + 1) * 10**7, move="left")
                for place in range(6)
            ],
            turn_kinds=["left"] * 6, turn_start=[1.0] * 6, turn_end=[2.0] * 6, turn_degrees=[90.0] * 6,
            frame_seconds=[float(place) for place in range(16)],
            frame_media=[f"{place:02x}/{clip:032x}.jpg" for place in range(16)], findings=[],
            provider="motion", model=None, prompt_sha256=None, reply_id=None, cost_usd=None,
            verdicts=2, fingerprint="f" * 16, written_evidence=None, written_seconds=[],
            video_sha256=_SHA256, span_start=float(clip), span_end=clip + 60.0,
        )  # fmt: skip
        yield ReleaseItem("train" if clip % 5 == 0 else "test", question, evidence)


def one(count: int) -> None:
    """Write one release and print its time and memory."""
    source = {"path": "walks/0.mp4", "sha256": _SHA256, "source": None, "licence": "CC0-1.0"}
    with tempfile.TemporaryDirectory() as folder:
        issue = Issue(
            version="1.0.0", dataset="scaled", said={"en": NO_WORDS}, canary="none",
            settings={"export": {}}, entries=entries(count), sources={_SHA256: source}, gates=[],
            left_out={}, newest_verdict_us=0, agreement={},
        )  # fmt: skip
        started = time.perf_counter()
        made = publish(Path(folder), Path(folder) / "sealed", issue)
        seconds = time.perf_counter() - started
        size = sum(path.stat().st_size for path in made.folder.rglob("*") if path.is_file())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count:>9} rows: {seconds:7.2f} s, peak {peak:6.0f} MB, release {size / 1e6:6.1f} MB")


def main() -> None:
    """Run each size in its own process."""
    sizes = [int(text) for text in sys.argv[1:]] or [5_000, 1_000_000]
    if len(sizes) == 1:
        one(sizes[0])
        return
    for size in sizes:
        subprocess.run([sys.executable, __file__, str(size)], check=True)


if __name__ == "__main__":
    main()
