"""The sound of one stretch of a video, on the clock of its frames."""

import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import InputContainer
from numpy.typing import NDArray

from pipeline.video.reader import frames
from pipeline.video.stream import LEAPING, in_us, main_stream, open_video, packets, tick_us
from pipeline.video.thinning import Leaps

RATE = 48_000  # samples per second
Samples = NDArray[np.float32]
"""Stereo samples (2, n)."""

_EARLIER_US = 1_000_000  # decoders need some packets before the first sample is right
_GAP = RATE // 33  # 30 ms; smaller differences are rounding, and closing them would click


def has_sound(path: Path) -> bool:
    """Return whether a video has a sound track that can be decoded."""
    with open_video(path) as container:
        return _track(container) is not None


def sound_between(path: Path, start_us: int, end_us: int) -> Iterator[Samples]:
    """Yield the stereo samples of [start, end) in blocks; silence where the track has none.

    Microseconds count from the first displayed frame, so sound and image are as far apart as in the
    source. Other layouts are mixed down to stereo, other rates converted.
    """
    total = round((end_us - start_us) * RATE / 1e6)
    done = 0
    for at, samples in _placed(path, start_us, end_us):
        at, samples = (at, samples) if at >= done else (done, samples[:, done - at :])
        samples = samples[:, : max(total - at, 0)]
        if samples.size:
            yield from _silence(at - done)
            yield samples
            done = at + samples.shape[1]
    yield from _silence(total - done)


def _silence(count: int) -> Iterator[Samples]:
    while count > 0:
        yield np.zeros((2, min(count, RATE)), np.float32)
        count -= RATE


def _placed(path: Path, start_us: int, end_us: int) -> Iterator[tuple[int, Samples]]:
    """Yield samples with the position of the first one, counted in samples from `start`."""
    resampler: AudioResampler | None = None
    kind: tuple[str, str, int] | None = None
    expected = at = 0  # the positions of the next sample to be read, and to be returned

    def flushed(given: AudioFrame | None) -> Iterator[tuple[int, Samples]]:
        nonlocal at
        for piece in resampler.resample(given) if resampler else ():
            samples = piece.to_ndarray().astype(np.float32, copy=False)
            yield at, samples
            at += samples.shape[1]

    for t_us, frame in _heard(path, start_us, end_us):
        position = round((t_us - start_us) * RATE / 1e6)
        found = (frame.format.name, frame.layout.name, frame.sample_rate)
        if found != kind or abs(position - expected) > _GAP:
            yield from flushed(None)
            resampler, kind = AudioResampler("fltp", "stereo", RATE), found
            expected = at = position
        frame.pts = None  # or the resampler would stretch the sound to fit rounded times
        expected += round(frame.samples * RATE / frame.sample_rate)
        yield from flushed(frame)
    yield from flushed(None)


def _heard(path: Path, start_us: int, end_us: int) -> Generator[tuple[int, AudioFrame]]:
    """Yield the decoded frames of the sound that overlap [start, end), with their video times."""
    recordings = _recordings(path)
    with open_video(path) as container:
        track = _track(container)
        if track is None:
            return
        tick = tick_us(track)
        leaps = Leaps(container, tick)
        if len(recordings) == 1:
            try:
                container.seek(max(start_us - _EARLIER_US, 0) + recordings[0].begins_us)
            except av.error.FFmpegError:
                container.seek(0)
        number = 0
        for packet in container.demux(track):
            number += leaps.at(packet)
            one = recordings[min(number, len(recordings) - 1)]
            try:
                decoded = packet.decode()
            except av.error.FFmpegError:
                continue
            for frame in decoded:
                if frame.pts is None:
                    continue
                t_us = in_us(frame.pts, tick) - one.begins_us + one.at_us
                if t_us >= end_us and one is recordings[-1]:
                    return
                heard_us = t_us + frame.samples * 1_000_000 // frame.sample_rate
                if heard_us > max(start_us, one.at_us) and heard_us <= one.end_us:
                    yield t_us, frame


def _track(container: InputContainer) -> AudioStream | None:
    track = container.streams.best("audio")
    return track if isinstance(track, AudioStream) and track.codec_context else None


@dataclass(frozen=True)
class _Recording:
    """One of the recordings that were joined.

    `begins_us` is the container time of its first frame, `at_us` the video time of that frame, and
    `end_us` the video time at which the next recording begins.
    """

    begins_us: int
    at_us: int
    end_us: int


def _recordings(path: Path) -> list[_Recording]:
    """Return the recordings of which a file consists: one, except in joined transport streams."""
    first_pts = next(frames(path)).pts
    with open_video(path) as container:
        stream = main_stream(container)
        tick = tick_us(stream)
        parts: list[set[int]] = [set()]
        leaps = Leaps(container, tick)
        for packet in packets(container, stream) if container.format.name in LEAPING else ():
            parts += [set()] if leaps.at(packet) else []
            if packet.pts is not None and packet.size and (parts[1:] or packet.pts >= first_pts):
                parts[-1].add(packet.pts)
    found: list[_Recording] = []
    at_us = 0
    for part in parts:
        shown = sorted(part) or [first_pts]
        lasts = shown[-1] - shown[0] + (shown[-1] - shown[-2] if shown[1:] else 0)
        end_us = at_us + in_us(lasts, tick)
        found.append(_Recording(in_us(shown[0], tick), at_us, end_us))
        at_us = end_us
    # Sound may go on after the last frame.
    return [*found[:-1], replace(found[-1], end_us=sys.maxsize)]
