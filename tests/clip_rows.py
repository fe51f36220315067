"""Rows of one synthetic clip, for tests that draft."""

from pathlib import Path

import cv2
import numpy as np

from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rows
from pipeline.motion.rows import Clip, Frame, Stay, Turn, TurnKind
from pipeline.sources.rows import Consent, Narration, Video


def jpeg(number: int, width: int = 64, height: int = 48) -> bytes:
    """Return a small JPEG that differs by number."""
    pixels = np.random.default_rng(number).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return cv2.imencode(".jpg", pixels)[1].tobytes()


def clip(clip_id: str = "c1", start_s: float = 0, end_s: float = 20) -> Clip:
    return Clip(clip_id=clip_id, video_id="v1", start_us=us(start_s), end_us=us(end_s))


def us(seconds: float) -> int:
    return round(seconds * 1e6)


def turn(
    start_s: float,
    end_s: float,
    kind: TurnKind = "left",
    *,
    moving: bool = True,
    confidence: float = 0.9,
) -> Turn:
    degrees = {"left": 90.0, "right": -90.0, "around": 180.0}[kind]
    return Turn(
        clip_id="c1",
        start_us=us(start_s),
        end_us=us(end_s),
        kind=kind,
        yaw_degrees=degrees,
        moving=moving,
        confidence=confidence,
    )


def stay(start_s: float, end_s: float, confidence: float = 0.9) -> Stay:
    return Stay(clip_id="c1", start_us=us(start_s), end_us=us(end_s), confidence=confidence)


def narration(
    at_s: float,
    text: str = "prose",
    landmark: str | None = None,
    action: str | None = None,
    undo: str | None = None,
) -> Narration:
    return Narration(
        video_id="v1", t_us=us(at_s), text=text, landmark=landmark, action=action, undo=undo
    )


def video(consent: Consent = "model", seconds: float = 20, path: str = "walks/office.mp4") -> Video:
    return Video(
        video_id="v1",
        root="here",
        path=path,
        sha256="0" * 64,
        bytes=1,
        container="mp4",
        codec="h264",
        width=64,
        height=48,
        rotation=0,
        fps_num=30,
        fps_den=1,
        duration_us=us(seconds),
        has_audio=False,
        hfov_degrees=None,
        lens="rectilinear",
        scene=None,
        wearer=None,
        source=None,
        licence=None,
        consent=consent,
        split_group="g",
        split="test",
    )


def frames(
    folder: WorkspaceFolder, count: int = 3, seconds: float = 20, clip_id: str = "c1"
) -> tuple[Frame, ...]:
    return tuple(
        Frame(
            clip_id=clip_id,
            t_us=us(number * seconds / count),
            pts=number,
            width=64,
            height=48,
            media=folder.keep(jpeg(number), ".jpg"),
            sharpness=1.0,
            reason="gap",
            suspect=False,
        )
        for number in range(count)
    )


def rows(
    folder: WorkspaceFolder,
    *,
    of: Clip | None = None,
    turns: tuple[Turn, ...] = (turn(5, 7),),
    stays: tuple[Stay, ...] = (),
    narrations: tuple[Narration, ...] = (),
    consent: Consent = "model",
    path: str = "walks/office.mp4",
) -> Rows:
    of = of or clip()
    shown = tuple(f.model_copy(update={"clip_id": of.clip_id}) for f in frames(folder))
    return Rows(
        {
            Video: (video(consent, path=path),),
            Clip: (of,),
            Turn: turns,
            Stay: stays,
            Frame: shown,
            Narration: narrations,
        }
    )


def workspace(folder: Path) -> WorkspaceFolder:
    folder.mkdir(exist_ok=True)
    return WorkspaceFolder(folder)
