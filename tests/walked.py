"""A synthetic walk with real media: a short video, its keyframes, and their rows."""

from collections.abc import Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Finding, Row, Rows, digest
from pipeline.labelstudio.protocol import AnnotationServer
from pipeline.motion.rows import Clip, Frame, Heading, Turn
from pipeline.review.review import PUSH_READS
from pipeline.routes import route
from pipeline.routes.rows import Route, Step
from pipeline.sources.rows import Video

SECONDS, FPS, WIDTH, HEIGHT = 3, 10, 320, 240


def project_id(client: AnnotationServer, title: str) -> int:
    """Return the id of the project with this title."""
    return next(one.id for one in client.projects() if one.title == title)


def video_file(path: Path) -> Path:
    """Write a three-second video of a bar that moves to the right."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for number in range(SECONDS * FPS):
            picture = np.full((HEIGHT, WIDTH, 3), 60, np.uint8)
            picture[:, number * 8 : number * 8 + 40] = (40, 160, 220)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    return path


def steps(*moves: str, landmark: str | None = None) -> tuple[Step, ...]:
    """Return one step per move, spread evenly over the video; the first one has the landmark."""
    length = SECONDS * 1_000_000 // len(moves)
    return tuple(
        Step.model_validate(
            {
                "start_us": index * length,
                "end_us": (index + 1) * length,
                "move": move,
                "landmark": landmark if index == 0 else None,
            }
        )
        for index, move in enumerate(moves)
    )


def draft(
    clip: Clip, walked: Sequence[Step], forward: str = "Walk.", back: str = "Go back."
) -> Route:
    return Route(
        clip_id=clip.clip_id,
        origin="draft",
        verified_categories=[],
        fingerprint=route.fingerprint(walked, forward, back),
        provider="motion",
        model=None,
        prompt_sha256=None,
        reply_id=None,
        input_tokens=None,
        output_tokens=None,
        cost_usd=None,
        steps=list(walked),
        forward_description=forward,
        reverse_description=back,
        confidence=0.5,
    )


def clip(name: str = "walk") -> Clip:
    video_id = digest(name)
    end_us = SECONDS * 1_000_000
    return Clip(clip_id=digest(video_id, 0, end_us), video_id=video_id, start_us=0, end_us=end_us)


def rows(
    workspace: WorkspaceFolder,
    folder: Path,
    drafts: Sequence[Route],
    names: Sequence[str],
    frames: int = 8,
) -> Rows:
    """Return the rows that a push reads, with keyframes in the media folder."""
    seen: dict[type[Row], list[Row]] = {kind: [] for kind in PUSH_READS}
    seen[Route] += drafts
    path = folder / "walk.mp4"
    if not path.exists():
        video_file(path)
    for name in names:
        one = clip(name)
        seen[Clip].append(one)
        seen[Video].append(_video(one.video_id, path))
        times = [round(one.end_us * n / frames) for n in range(frames)]
        seen[Heading].append(
            Heading(clip_id=one.clip_id, t_us=times, yaw_degrees=[n * 12.0 for n in range(frames)])
        )
        seen[Turn].append(
            Turn(
                clip_id=one.clip_id,
                start_us=1_000_000,
                end_us=2_000_000,
                kind="left",
                yaw_degrees=84.0,
                moving=True,
                confidence=0.9,
            )
        )
        seen[Frame] += [_frame(workspace, one, number, time) for number, time in enumerate(times)]
        seen[Finding].append(
            Finding(
                unit_kind="route",
                unit=one.clip_id,
                kind="motion_contradicts",
                severity="error",
                message="at 0:01.0 <script>document.title='owned'</script> & the camera turned",
            )
        )
    return Rows({kind: tuple(found) for kind, found in seen.items()})


def _frame(workspace: WorkspaceFolder, one: Clip, number: int, time_us: int) -> Frame:
    picture = np.full((180, 320, 3), 12 * number, np.uint8)
    cv2.putText(picture, str(number), (130, 110), cv2.FONT_HERSHEY_SIMPLEX, 2.0, (255, 255, 255), 3)
    data = cv2.imencode(".jpg", picture)[1].tobytes()
    return Frame(
        clip_id=one.clip_id,
        t_us=time_us,
        pts=number,
        width=320,
        height=180,
        media=workspace.keep(data, ".jpg"),
        sharpness=1.0,
        reason="start of the clip"
        if number == 0
        else f"middle of turn {number} (around, 243 degrees)",
        suspect=False,
    )


def _video(video_id: str, path: Path) -> Video:
    return Video(
        video_id=video_id,
        root=str(path.parent),
        path=path.name,
        sha256="0" * 64,
        bytes=path.stat().st_size,
        container="mp4",
        codec="h264",
        width=WIDTH,
        height=HEIGHT,
        rotation=0,
        fps_num=FPS,
        fps_den=1,
        duration_us=SECONDS * 1_000_000,
        has_audio=False,
        hfov_degrees=None,
        lens="rectilinear",
        scene=None,
        wearer=None,
        source=None,
        licence=None,
        consent="release",
        split_group=video_id,
        split="test",
    )
