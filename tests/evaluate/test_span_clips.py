"""The arm `video`: clips are cut as the release shows its spans, kept, and sent where the server takes videos."""

import asyncio
import base64
import io
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from brightening import brightening
from small_release import fill, release, small_space, varied

from pipeline.engine.config import commented
from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import UserError
from pipeline.evaluate import evaluation, spans
from pipeline.evaluate.baselines import Baselines
from pipeline.evaluate.clips import clips_form, cut_clips
from pipeline.evaluate.evaluation import Evaluated, Evaluation, Options
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.results import read_results
from pipeline.evaluate.spans import SourceSpan
from pipeline.flow import SECTIONS, open_workspace
from pipeline.models.abilities import COLOURS, probe_video
from pipeline.models.budget import CapError
from pipeline.models.chat import PromptVideo
from pipeline.models.llm import connect
from pipeline.models.settings import EvaluatedModel
from pipeline.releases.reading import Released, open_release
from pipeline.video import reviewclip
from tests.integration.fault_server import FaultServer

Body = Mapping[str, Any]
SECONDS, FPS = 40, 10


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return brightening(tmp_path_factory.mktemp("videos") / "walk.mp4", SECONDS, FPS, 5, 40)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("release") / "w"
    with small_space(root, 0):
        pass
    values = {"compose": {"mirror": "coin"}}
    (root / "egost.toml").write_text(commented(SECTIONS, values), encoding="utf-8")
    with open_workspace(root) as space:
        fill(space, 8, walk=varied, split="test")
        return release(space).folder


@pytest.fixture
def released(folder: Path, film: Path, monkeypatch: pytest.MonkeyPatch) -> Released:
    """A release whose every video is the film; without baselines, which take seconds."""
    monkeypatch.setattr(evaluation, "baselines", lambda *_, **__: Baselines((), None, ()))
    monkeypatch.setattr(
        spans, "files_by_digest", lambda videos, wanted: dict.fromkeys(wanted, film)
    )
    return open_release(folder)


def span(path: Path, *, mirrored: bool = False, name: str = "d" * 64) -> SourceSpan:
    return SourceSpan(path, name, 2_000_000, 6_000_000, 0, mirrored)


def pictures(mp4: bytes) -> np.ndarray[Any, Any]:
    """Return the decoded frames (n, height, width)."""
    with av.open(io.BytesIO(mp4)) as file:
        return np.array([frame.to_ndarray(format="gray") for frame in file.decode(video=0)])


def halves(mp4: bytes) -> tuple[float, float]:
    found = pictures(mp4)
    return float(found[:, :, 4:28].mean()), float(found[:, :, 36:60].mean())


def sent_video(body: Body) -> bytes | None:
    for part in body["messages"][0]["content"]:
        if isinstance(part, Mapping) and part["type"] == "video_url":
            return base64.b64decode(part["video_url"]["url"].removeprefix("data:video/mp4;base64,"))
    return None


def colours_in(mp4: bytes) -> str:
    """Return the colours of a film, each once, as a model that sees it names them."""
    with av.open(io.BytesIO(mp4)) as file:
        means = [
            frame.to_ndarray(format="rgb24").mean(axis=(0, 1)) for frame in file.decode(video=0)
        ]
    near = [
        min(COLOURS, key=lambda name: float(np.abs(mean - np.array(COLOURS[name])).sum()))
        for mean in means
    ]
    return ", ".join(dict.fromkeys(near))


def seer(body: Body) -> str:
    video = sent_video(body)
    asked = str(body["messages"][0]["content"])
    return colours_in(video) if video and "plain colours" in asked else "<answer>B</answer>"


def settings(server: FaultServer, **fields: Any) -> EvaluatedModel:
    return EvaluatedModel(model="m", base_url=server.url, attempts=2, **fields)


def run(released: Released, out: Path, server: FaultServer, *arms: str, **more: Any) -> Evaluated:
    options = Options(arms=arms, videos=[out], **more)
    return Evaluation(released, options, out).run(settings(server))


# ---- clips -------------------------------------------------------------------------------------------


def test_a_clip_shows_its_span_mirrored_as_the_release_is(film: Path, tmp_path: Path) -> None:
    wanted = {"plain": span(film), "mirrored": span(film, mirrored=True)}
    found = cut_clips(wanted, clips_form(64, None), tmp_path / "clips")
    for name, mirrored in (("plain", False), ("mirrored", True)):
        one = found.of(name)
        shown = pictures(one.mp4)
        assert (
            shown.shape == (one.frames, one.height, one.width) == (32, 48, 64)
        )  # 4 s at 8 a second
        lit, dark = halves(one.mp4)[:: -1 if mirrored else 1]
        assert lit > 40 > 10 > dark
        side = shown[:, 10:38, 36:60] if mirrored else shown[:, 10:38, 4:28]
        seconds = side.reshape(4, 8, -1).mean(axis=(1, 2))
        assert np.diff(seconds) == pytest.approx([5, 5, 5], abs=2)


def test_clips_have_the_rate_and_the_size_that_are_asked_for(film: Path, tmp_path: Path) -> None:
    sizes = {
        (one.frames, one.width, one.height)
        for pixels, fps in ((64, None), (32, None), (64, 2.5), (640, 2.0))
        for one in [cut_clips({"a": span(film)}, clips_form(pixels, fps), tmp_path).of("a")]
    }
    assert sizes == {(32, 64, 48), (32, 32, 24), (10, 64, 48), (8, 64, 48)}


def test_clips_are_cut_once(film: Path, tmp_path: Path) -> None:
    form = clips_form(64, None)
    first = cut_clips({"a": span(film)}, form, tmp_path)
    left = tmp_path / ".unfinished" / ".tmp-killed.mp4"  # of a command that was killed as it cut
    left.write_bytes(b"half")
    before = first.paths["a"].stat().st_mtime_ns
    assert cut_clips({"a": span(Path("gone"))}, form, tmp_path).of("a") == first.of("a")
    assert cut_clips({"a": span(film), "b": span(film, mirrored=True)}, form, tmp_path).of("b")
    assert first.paths["a"].stat().st_mtime_ns == before
    assert not left.exists()


def test_a_clip_that_can_not_be_cut_is_left_out(film: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(film.read_bytes()[:3000])
    wanted = {"a": span(broken, name="b" * 64), "b": span(film)}
    assert cut_clips(wanted, clips_form(64, None), tmp_path / "clips").paths.keys() == {"b"}


def test_review_clips_keep_their_names() -> None:
    form = reviewclip.Form(640)
    name = reviewclip.clip_name(reviewclip.Excerpt("v", 0, 9), form)
    assert name == "a0/a0431cf4084d335c9b1b37c46cdd49a8.mp4"  # as those in existing workspaces
    other = reviewclip.Form(640, fps=Fraction(8))
    assert reviewclip.clip_name(reviewclip.Excerpt("v", 0, 9), other) != name


# ---- the arm -----------------------------------------------------------------------------------------


def test_every_item_is_asked_with_its_clip_as_the_release_shows_it(
    released: Released, tmp_path: Path
) -> None:
    with FaultServer(answer=seer) as server:
        found = run(released, tmp_path, server, "frames", "video")
        results = read_results(found.folder)
        arms = {
            arm: [one for one in results.predictions if one.arm == arm]
            for arm in ("frames", "video")
        }
        assert {one.id for one in arms["video"]} == {one.id for one in arms["frames"]}
        assert {one.outcome for one in arms["video"]} == {"answered"}
        assert not any("left out" in line for line in found.lines)
        assert any(line.startswith("video over frames: +0.0 points") for line in found.lines)
        items = [body for body in server.bodies if "plain colours" not in str(body["messages"])]
        clips = [clip for body in items if (clip := sent_video(body))]
        questions, evidence = questions_of(released)
        mirrored = sum(evidence[one.id].mirrored for one in questions)
        assert 0 < mirrored < len(questions) == len(clips)
        assert sum(left < right for left, right in map(halves, clips)) == mirrored
        count = len(server.bodies)
        assert run(released, tmp_path, server, "frames", "video").folder == found.folder
        assert len(server.bodies) == count


class Blind(FaultServer):
    """A server that refuses every request with a video."""

    async def _reply(self, body: Body, writer: Any) -> bool:
        if sent_video(body):
            self.bodies.append(body)
            error = self._error("Unknown part type: video_url")
            return await self._send(writer, 400, error)
        return await super()._reply(body, writer)


def test_a_server_without_videos_is_asked_once_and_the_arm_is_left_out(
    released: Released, tmp_path: Path
) -> None:
    with Blind(answer=seer) as server:
        found = run(released, tmp_path, server, "blind", "video", items=8)
        assert found.complete
        assert {one.arm for one in read_results(found.folder).predictions} == {"blind"}
        (note,) = read_results(found.folder).body["notes"]
        assert note.startswith("the arm video is left out: the server takes no videos")
        assert "Unknown part type: video_url" in note
        told = " ".join(" ".join(found.lines).split())  # a long note is on several lines
        assert told.count(f"note: {note}") == 1
        videos = sum(sent_video(body) is not None for body in server.bodies)
        assert videos <= 2  # with either name of the limit on tokens
        with pytest.raises(UserError, match=r"takes no videos: .*Unknown part type") as caught:
            run(released, tmp_path, server, "video", items=8)
        assert "other arms" in caught.value.fix


def test_without_videos_nothing_is_asked_and_the_fix_is_named(
    released: Released, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="no source videos were given") as caught:
        Evaluation(released, Options(arms=("frames", "video")), tmp_path)
    assert "--videos" in caught.value.fix


def test_items_without_a_clip_are_left_out_of_the_arm_alone(
    released: Released, film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def half(videos: object, wanted: set[str]) -> dict[str, Path]:
        return dict.fromkeys(sorted(wanted)[::2], film)

    monkeypatch.setattr(spans, "files_by_digest", half)
    with FaultServer(answer=seer) as server:
        found = run(released, tmp_path, server, "blind", "video")
    predictions = read_results(found.folder).predictions
    arms = {arm: {one.id for one in predictions if one.arm == arm} for arm in ("blind", "video")}
    assert arms["video"] < arms["blind"]
    missing = len(arms["blind"]) - len(arms["video"])
    assert any(
        line.startswith(f"note: {missing} items are left out of the arm video")
        for line in found.lines
    )


def test_a_dry_run_counts_every_frame_of_a_clip(released: Released, tmp_path: Path) -> None:
    tokens = {}
    with FaultServer() as server:
        for arm in ("blind", "one", "video"):
            options = Options(arms=[arm], videos=[tmp_path] if arm == "video" else (), items=8)
            found = Evaluation(released, options, tmp_path).estimate(settings(server))
            tokens[arm] = found.input_tokens
            assert found.requests == 8
        assert not server.bodies
    assert tokens["video"] - tokens["blind"] > 10 * (tokens["one"] - tokens["blind"])


# ---- the probe ---------------------------------------------------------------------------------------


@pytest.fixture
def plain(film: Path, tmp_path: Path) -> tuple[PromptVideo, list[str]]:
    names = ["red", "blue", "white"]
    return cut_clips({"a": span(film)}, clips_form(64, None), tmp_path / "c").colours(names), names


def probed(
    server: FaultServer, place: Path, plain: tuple[PromptVideo, list[str]], **fields: Any
) -> Any:
    async def once() -> Any:
        async with connect(settings(server, **fields), WorkspaceFolder(place)) as client:
            return await probe_video(client, *plain)

    return asyncio.run(once())


def test_a_video_that_is_seen_is_confirmed_and_one_that_is_dropped_is_doubted(
    tmp_path: Path, plain: tuple[PromptVideo, list[str]]
) -> None:
    assert colours_in(plain[0].mp4) == "red, blue, white"
    for answer, warning in (
        (seer, None),
        (lambda body: "I see no video.", "could not confirm that videos"),
    ):
        with FaultServer(answer=answer) as server:
            found = probed(server, tmp_path, plain)
        assert found.refusal is None
        assert (found.warning is None) if warning is None else warning in found.warning


@pytest.mark.parametrize(
    ("choose", "what"),
    [
        (lambda key, times: "wrong_key", "refused the key"),
        (lambda key, times: "wrong_model", "has no model"),
        (lambda key, times: "broken", "the model server failed"),
    ],
)
def test_what_is_no_matter_of_videos_is_not_blamed_on_them(
    tmp_path: Path,
    plain: tuple[PromptVideo, list[str]],
    choose: Callable[[str, int], str],
    what: str,
) -> None:
    with FaultServer(choose=choose) as server, pytest.raises(UserError) as caught:
        probed(server, tmp_path, plain)
    assert re.search(what, caught.value.what)
    assert "video" not in caught.value.what


def test_a_cap_without_room_for_a_video_is_not_blamed_on_videos(
    tmp_path: Path, plain: tuple[PromptVideo, list[str]]
) -> None:
    prices = dict.fromkeys(("input_usd_per_million", "output_usd_per_million"), 1000.0)
    with FaultServer() as server, pytest.raises(CapError):
        probed(server, tmp_path, plain, max_cost_usd=1.0, max_completion_tokens=100, **prices)
    assert not server.bodies
