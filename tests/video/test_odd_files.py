"""Keyframes, stills, review clips and the images that models are sent show the same frames and colours."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import av
import cv2
import numbered
import numpy as np
import odd_files
import pytest
from odd_files import ODD, Odd

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Row, Rows
from pipeline.models.chat import PromptImage
from pipeline.motion import frames
from pipeline.motion.rows import Clip, Frame, Turn
from pipeline.motion.settings import FramesSettings
from pipeline.questions.rows import Span
from pipeline.releases import stills
from pipeline.releases.rows import Still
from pipeline.releases.settings import StillsSettings
from pipeline.routes import asking, templates
from pipeline.sources import ingest
from pipeline.sources.rows import Narration, Probe, Source, Video
from pipeline.sources.settings import IngestSettings
from pipeline.video import reviewclip
from pipeline.video.reviewclip import Excerpt, Form

_TENTH = 25.5  # of the range of a channel
_SLACK_US = 2_000  # a review clip shows a frame that begins this much later


def seen(odd: Odd, path: Path, folder: WorkspaceFolder) -> tuple[Video, list[Row]]:
    """Run the stages ingest, frames and stills on a file; return the video and all rows."""
    source = Source(
        source_id="s", root=str(path.parent), path=path.name, bytes=path.stat().st_size, mtime_ns=0,
        consent="release", rotation=odd.rotation,
    )  # fmt: skip
    found = list(ingest.run(Rows({Source: (source,)}), IngestSettings(), folder))
    (probe,) = (row for row in found if isinstance(row, Probe))
    fields = probe.model_dump(exclude={"wanted_split"})
    video = Video(**fields, split_group="g", split="test")
    found += frames.run(Rows({Video: (video,)}), FramesSettings(), folder)
    clips = tuple(row for row in found if isinstance(row, Clip))
    rows = Rows({Video: (video,), Clip: clips, Span: ()})
    return video, [*found, *stills.run(rows, StillsSettings(), folder)]


def picture(data: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD.keys())
def test_all_images_of_a_moment_are_the_same_frame(
    odd: Odd, tmp_path: Path, folder: WorkspaceFolder
) -> None:
    path = tmp_path / odd.name
    odd.write(path)
    times = list(odd.times_us or [n * 1_000_000 // odd_files.RATE for n in range(len(odd.shown))])

    def check(image: np.ndarray, t_us: int, what: str) -> None:
        latest = max(n for n, at in enumerate(times) if at <= t_us + odd.slack_us + 1)
        assert numbered.read(image) == odd.shown[latest], f"{what} at {t_us / 1e6} s"
        ratio = image.shape[1] / image.shape[0] * odd.size[1] / odd.size[0]
        assert ratio == pytest.approx(1, abs=0.03), what
        off = np.abs(odd_files.patches(image) - list(odd_files.PATCHES.values())).max()
        assert off <= _TENTH, f"{what}: {odd_files.patches(image).round()}"

    video, rows = seen(odd, path, folder)
    whole_us = times[-1] + times[-1] - times[-2]
    assert video.duration_us == pytest.approx(whole_us, abs=40_000 + odd.slack_us)
    notes = [row.what for row in rows if isinstance(row, Rejection)]
    assert len(notes) == len(odd.notes), notes
    assert all(part in note for part, note in zip(odd.notes, notes, strict=True)), notes

    kept = [row for row in rows if isinstance(row, Frame)]
    assert len(kept) >= 2
    assert not any(frame.suspect for frame in kept)
    for frame in kept:
        check(picture(folder.media_path(frame.media).read_bytes()), frame.t_us, "keyframe")
    (clip,) = (row for row in rows if isinstance(row, Clip))
    cut = [row for row in rows if isinstance(row, Still)]
    assert len(cut) == 8
    for still in cut:
        check(picture(folder.media_path(still.media).read_bytes()), still.t_us, "still")
    for moment, image in sent(video, clip, kept, folder):
        check(image, moment, "model image")
    span = Excerpt(video.video_id, clip.start_us, clip.end_us, odd.rotation)
    reviewclip.cut(path, span, Form(640), tmp_path / "clip.mp4")
    with av.open(str(tmp_path / "clip.mp4")) as container:
        shown = [one.to_ndarray(format="rgb24") for one in container.decode(video=0)]
    assert len(shown) == round((clip.end_us - clip.start_us) * reviewclip.FPS / 1e6)
    for number, image in enumerate(shown):
        t_us = clip.start_us + number * 1_000_000 // reviewclip.FPS
        check(image, t_us + _SLACK_US, "review clip")


def sent(
    video: Video, clip: Clip, kept: Sequence[Frame], folder: WorkspaceFolder
) -> Iterable[tuple[int, np.ndarray]]:
    """Yield the images of a request to a model, with their times."""
    rows = Rows({Video: (video,), Clip: (clip,), Frame: tuple(kept), Turn: (), Narration: ()})
    more = {"language": "English", "schema": "{}", "stays": ()}
    _, asked = asking.messages(rows, len(kept), folder, templates.load("route.j2"), more)
    images = [part for part in asked.parts if isinstance(part, PromptImage)]
    assert len(images) == len(kept)
    return [(frame.t_us, picture(one.jpeg)) for frame, one in zip(kept, images, strict=True)]
