"""A proof on a release: planted gains are told apart, what fails is missing, nothing is asked twice, and the page says it."""

import csv
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from html import unescape
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from filmed_release import filmed
from proof_players import BASE, BLIND, SEER, Player, answering, as_record, content, short_or_long
from small_release import release, small_space, varied

from pipeline.cli.console import run
from pipeline.cli.main import cli
from pipeline.evaluate import evaluation
from pipeline.evaluate.baselines import Baselines
from pipeline.evaluate.reading import questions_of
from pipeline.proof.models import proof_model
from pipeline.releases.reading import Released, open_release
from tests.integration.fault_server import FaultServer

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A release with answers, one of the same items whose answers are withheld, and one without a test split."""
    root = tmp_path_factory.mktemp("release")
    with small_space(root / "w", 16, walk=varied, split="test") as space:
        known, held = release(space).folder, release(space, "0.2.0", withhold=["test"]).folder
    with small_space(root / "other", 4, split="train") as space:
        return known, held, release(space).folder


@pytest.fixture(scope="module")
def released(folders: tuple[Path, Path, Path]) -> Released:
    return open_release(folders[0])


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in an empty folder, without baselines, which have tests of their own and take seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(evaluation, "baselines", lambda *_, **__: Baselines((), None, ()))


PLAYERS = {
    "base": BASE,
    "seer": Player(SEER.sees, SEER.knows, agrees=0.8),
    "blind": BLIND,
    "silent": Player(0, 0, silent=1),
}


@pytest.fixture
def server(released: Released) -> Iterator[FaultServer]:
    with FaultServer(answer=answering(released, PLAYERS)) as found:
        yield found


def report(folder: Path, *arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        run(cli, ["train", "report", str(folder), *map(str, arguments)])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def told(out: str | Path = "proof") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(out, "report.json").read_text(encoding="utf-8"))
    return found


def about_items(server: FaultServer) -> int:
    return sum("code word" not in content(body)[0] for body in server.bodies)


@dataclass(frozen=True)
class Reported:
    """A report on a base, a model that learned to see and one that learned without seeing."""

    folder: Path
    shown: str
    body: Mapping[str, Any]


@pytest.fixture(scope="module")
def reported(
    tmp_path_factory: pytest.TempPathFactory, folders: tuple[Path, ...], released: Released
) -> Reported:
    folder = tmp_path_factory.mktemp("proof")
    with (
        FaultServer(answer=answering(released, PLAYERS)) as server,
        pytest.MonkeyPatch.context() as patch,
        redirect_stdout(StringIO()) as shown,
    ):
        patch.setattr(evaluation, "baselines", lambda *_, **__: Baselines((), None, ()))
        models = ("--base", "base", "--sft", "blind", "--grpo", "seer", "--base-url", server.url)
        assert report(folders[0], *models, "--items", "60", "--out", folder) == 0
    return Reported(folder, shown.getvalue(), told(folder))


def test_a_gain_by_seeing_is_shown_and_one_without_is_not(reported: Reported) -> None:
    verdicts = reported.body["headline"]["verdicts"]
    assert [one["state"] for one in verdicts] == ["shown", "not shown"]
    grpo, sft = (one["sentence"] for one in verdicts)
    assert reported.shown.splitlines()[-1].startswith(f"train report: {grpo} ")
    assert sft in reported.shown
    changes = {(one["model"], one["over"], one["mode"]): one for one in reported.body["changes"]}
    for mode in ("think", "nothink"):
        seeing, blind = (changes[name, "base", mode]["visual"] for name in ("GRPO", "SFT"))
        assert seeing["low"] < 0.65 < seeing["high"], seeing  # .95 - .35 less .30 - .35
        assert blind["low"] < 0 < blind["high"], blind
        assert changes["GRPO", "base", mode]["order"]["low"] > 0


def test_the_page_begins_with_the_headline_and_loads_nothing(reported: Reported) -> None:
    page = (reported.folder / "report.html").read_text(encoding="utf-8")
    (first,) = re.findall(r"<h1>(.*?)</h1>", page)
    assert unescape(first) == reported.body["headline"]["verdicts"][0]["sentence"]
    assert not re.search(r"(?:src|href)=.https?://|<script|url\(", page)
    assert f"egost train report {reported.body['command'].split()[3]}" in page
    assert len(list((reported.folder / "plots").glob("*.svg"))) == 4


def test_every_cell_is_in_the_table(reported: Reported) -> None:
    with (reported.folder / "cells.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    cells = {(row["stage"], row["mode"], row["arm"]): row for row in rows}
    arms = ("frames", "blank", "shuffled", "reversed")
    stages, modes = ("base", "sft", "grpo"), ("think", "nothink")
    assert {*cells} == {(s, m, a) for s in stages for m in modes for a in arms}
    assert len(rows) == len(cells)
    # Lists agree in 80 % of the replies that have them; without thinking, there are none.
    think = cells["grpo", "think", "frames"]
    assert float(think["agreement_low"]) < 0.8 < float(think["agreement_high"])
    assert think["agreement_items"] == think["accuracy_items"]
    assert cells["grpo", "nothink", "frames"]["agreement_items"] == "0"
    assert cells["base", "think", "frames"]["agreement_items"] == "0"
    assert float(cells["grpo", "think", "shuffled"]["accuracy"]) < 0.6
    assert 0 < float(think["pairs"]) <= float(think["accuracy"])


def test_reversed_frames_are_scored_by_what_they_show(tmp_path: Path, capsys: Captured) -> None:
    with small_space(tmp_path / "w", 16, walk=short_or_long, split="test") as space:
        released = open_release(release(space).folder)
    questions = questions_of(released)[0]
    defined = [one.id for one in questions if one.option_true_of("rewound") is not None]
    assert 0 < len(defined) < len(questions)
    players = {"base": Player(0, 0), "seer": Player(1, 0)}
    with FaultServer(answer=answering(released, players)) as server:
        models = ("--base", "base", "--sft", "seer", "--base-url", server.url)
        assert report(released.folder, *models) == 0
    cells = [one for one in told()["cells"] if one["arm"] == "reversed"]
    assert {one["accuracy"]["items"] for one in cells} == {len(defined)}
    assert [one["accuracy"]["value"] for one in cells] == [0, 0, 1, 1]
    orders = {one["model"]: one for one in told()["order"]}
    assert orders["seer"]["frames_minus_shuffled"]["value"] == 1
    capsys.readouterr()


def test_the_same_model_gains_nothing(
    folders: tuple[Path, ...], server: FaultServer, capsys: Captured
) -> None:
    assert (
        report(
            folders[0], "--base", "base", "--sft", "base", "--base-url", server.url, "--items", "40"
        )
        == 0
    )
    (verdict,) = told()["headline"]["verdicts"]
    assert verdict["state"] == "no gain"
    assert "+0.0 points with frames" in verdict["sentence"]
    capsys.readouterr()


def test_nothing_is_asked_twice(
    folders: tuple[Path, ...], server: FaultServer, capsys: Captured
) -> None:
    models = ("--base", "base", "--sft", "seer", "--base-url", server.url, "--items", "8")
    assert report(folders[0], *models, "--dry-run") == 0
    (promised,) = re.findall(r"^train report: (\d+) requests", capsys.readouterr().out, re.M)
    assert not server.bodies
    assert not Path("proof").exists()
    assert report(folders[0], *models) == 0
    assert about_items(server) == int(promised) > 0
    before = len(server.bodies)
    assert report(folders[0], *models) == 0
    assert len(server.bodies) == before
    capsys.readouterr()
    assert report(folders[0], *models, "--dry-run") == 0
    assert "train report: 0 requests" in capsys.readouterr().out


def test_few_items_tell_nothing(
    folders: tuple[Path, ...], server: FaultServer, capsys: Captured
) -> None:
    models = ("--base", "base", "--sft", "seer", "--base-url", server.url)
    assert report(folders[0], *models, "--items", "8") == 0
    (verdict,) = told()["headline"]["verdicts"]
    assert verdict["state"] == "few"
    shown = capsys.readouterr().out
    assert "Too few items to tell" in shown
    assert "a trial on 8 items" in shown


def test_a_model_that_fails_leaves_the_others(
    folders: tuple[Path, ...], released: Released, capsys: Captured
) -> None:
    class Without(FaultServer):
        """A server that has no model of the name gone."""

        async def _reply(self, body: Mapping[str, Any], writer: Any) -> bool:
            if body["model"] == "gone":
                return await self._send(writer, 404, self._error("no such model"))
            return await super()._reply(body, writer)

    with Without(answer=answering(released, PLAYERS)) as server:
        models = ("--base", "base", "--sft", "seer", "--grpo", "gone", "--base-url", server.url)
        assert report(folders[0], *models, "--items", "50") == 3
    shown = capsys.readouterr()
    assert "GRPO (think, released frames): no results" in shown.err
    found = told()
    assert [one["state"] for one in found["headline"]["verdicts"]] == ["missing", "shown"]
    assert found["headline"]["verdicts"][0]["sentence"].startswith("It can't be told whether GRPO")
    stages = Counter(one["stage"] for one in found["cells"] if one["accuracy"]["value"] is not None)
    assert {*stages} == {"base", "sft"}
    assert "Missing: GRPO" in Path("proof/report.html").read_text(encoding="utf-8")


def test_a_model_without_letters_is_seen_to_have_none(
    folders: tuple[Path, ...], server: FaultServer, capsys: Captured
) -> None:
    models = ("--base", "silent", "--sft", "seer", "--base-url", server.url, "--items", "12")
    assert report(folders[0], *models) == 0
    shown = capsys.readouterr().out
    assert "most replies of base (think, released frames) have no letter in some arms" in shown
    cells = [
        one
        for one in told()["cells"]
        if one["stage"] == "base" and one["arm"] in ("blank", "shuffled")
    ]
    assert all(one["readable"]["value"] == 0 for one in cells)
    assert all("no letter" in one["note"] for one in cells)


def test_withheld_answers_give_no_figures(
    folders: tuple[Path, ...], server: FaultServer, capsys: Captured
) -> None:
    # What is right for reversed frames isn't known here, so those players can't be asked.
    server.answer = lambda body: (
        answering(open_release(folders[0]), PLAYERS)(body)
        if "code word" in content(body)[0]
        else "A"
    )
    models = ("--base", "base", "--sft", "seer", "--base-url", server.url, "--items", "6")
    assert report(folders[1], *models) == 0
    found = told()
    assert found["headline"]["verdicts"][0]["state"] == "withheld"
    assert all(one["accuracy"]["value"] is None for one in found["cells"])
    assert "No figures for SFT: the answers are withheld" in capsys.readouterr().out


def test_only_the_split_test_is_allowed(folders: tuple[Path, ...], capsys: Captured) -> None:
    models = ("--base", "base", "--sft", "seer", "--base-url", "http://127.0.0.1:1/v1")
    assert report(folders[0], *models, "--split", "val") == 2
    assert "test alone" in capsys.readouterr().err
    assert report(folders[2], *models) == 2
    assert "has no split test, only train" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        ((), "no trained model"),
        (("--sft", "seer", "--fps", "2"), "needs --videos"),
        (("--sft", "seer", "--videos", "."), "needs --fps"),
        (("--sft", "=x"), "can't be read"),
        (("--sft", "seer", "--base", ""), "can't be read"),
        (("--sft", "seer=nowhere"), "nowhere/run.json: can't be read"),
    ],
)
def test_what_can_not_be_reported_is_refused_before_anything_is_asked(
    folders: tuple[Path, ...],
    arguments: tuple[str, ...],
    why: str,
    server: FaultServer,
    capsys: Captured,
) -> None:
    assert report(folders[0], "--base", "base", "--base-url", server.url, *arguments) == 2
    assert why in capsys.readouterr().err
    assert not server.bodies
    assert not Path("proof/report.json").exists()


# ---- models ------------------------------------------------------------------------------------------


def make_run(folder: Path, stage: str, weights: str = "w", **fields: Any) -> Path:
    (folder / "model").mkdir(parents=True, exist_ok=True)
    (folder / "model" / "config.json").write_text("{}")
    (folder / "model" / "model.safetensors").write_text(weights)
    (folder / "README.md").write_text("# A run\n\n<script>alert(1)</script>")
    (folder / "run.json").write_text(as_record(stage, **fields))
    return folder


def test_a_run_that_was_trained_again_has_another_name(tmp_path: Path) -> None:
    folder = make_run(tmp_path / "r", "sft")
    names = [proof_model("sft", str(folder), on_server=False).name]
    assert proof_model("sft", f"m={folder}", on_server=True).name == names[0]
    make_run(folder, "sft", weights="v")
    names.append(proof_model("sft", str(folder), on_server=False).name)
    make_run(folder, "sft", weights="v", seed=1)
    names.append(proof_model("sft", str(folder), on_server=False).name)
    assert len({*names}) == 3


def test_a_run_that_can_not_be_reported_is_refused(
    tmp_path: Path, folders: tuple[Path, ...], capsys: Captured
) -> None:
    made = make_run(tmp_path / "r", "sft")
    open_run = make_run(tmp_path / "open", "sft", finished=None)
    broken = make_run(tmp_path / "broken", "sft")
    (broken / "run.json").write_text("{")
    empty = make_run(tmp_path / "empty", "sft")
    (empty / "model" / "config.json").unlink()
    for arguments, why in (
        (("--grpo", made), "is a run of the stage sft"),
        (("--sft", open_run), "isn't finished"),
        (("--sft", broken), "can't be read"),
        (("--sft", empty), "has no model"),
        (("--sft", tmp_path / "nowhere"), "is no run of egost train"),
    ):
        assert report(folders[0], "--base", "org/model", *arguments) == 2
        assert why in capsys.readouterr().err


def test_models_are_served_in_turn_and_kept_by_their_digest(
    tmp_path: Path,
    folders: tuple[Path, ...],
    released: Released,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Captured,
) -> None:
    base = make_run(tmp_path / "b", "sft")
    sft = make_run(tmp_path / "s", "sft", weights="s", model=str(base / "model"))
    served: list[str] = []

    @contextmanager
    def serving(models: Mapping[str, Path | str]) -> Iterator[str]:
        ((name, folder),) = models.items()
        player = BASE if Path(folder) == base / "model" else SEER
        with FaultServer(answer=answering(released, {name: player})) as server:
            served.append(name)
            yield server.url

    monkeypatch.setattr("pipeline.cli.proof._serve", serving)
    arguments = ("--base", base / "model", "--sft", sft, "--items", "40")
    assert report(folders[0], *arguments) == 0
    assert len(served) == 2
    assert told()["headline"]["verdicts"][0]["state"] == "shown"
    page = Path("proof/report.html").read_text(encoding="utf-8")
    assert "tiny-cpu" in page
    assert "<script>" not in page
    # All replies are there: nothing is loaded again, on whatever port it would be.
    assert report(folders[0], *arguments) == 0
    assert len(served) == 2
    # Trained again: asked again, and only this one.
    make_run(sft, "sft", weights="t", model="elsewhere")
    assert report(folders[0], *arguments) == 0
    assert len(served) == 3
    assert served[2] not in served[:2]
    assert "SFT started from elsewhere, which isn't what --base names" in capsys.readouterr().out


def test_without_torch_the_fix_is_named(
    tmp_path: Path, folders: tuple[Path, ...], monkeypatch: pytest.MonkeyPatch, capsys: Captured
) -> None:
    def serve(_: object) -> Any:
        raise ModuleNotFoundError("No module named 'torch'")

    monkeypatch.setattr("pipeline.cli.proof._serve", serve)
    sft = make_run(tmp_path / "s", "sft")
    assert report(folders[0], "--base", "org/model", "--sft", sft, "--items", "2") == 2
    assert "--base-url" in capsys.readouterr().err


def test_two_reports_at_once_are_refused(
    folders: tuple[Path, ...], server: FaultServer, capsys: Captured
) -> None:
    from pipeline.engine.lock import locked

    Path("proof").mkdir()
    with locked(Path("proof/.lock"), "egost train report"):
        assert report(folders[0], "--base", "base", "--sft", "seer", "--base-url", server.url) == 2
    assert "another egost command is running here" in capsys.readouterr().err


def test_the_rate_of_training_is_asked_as_well_and_has_the_headline(
    tmp_path: Path, capsys: Captured
) -> None:
    made = filmed(tmp_path / "f", clips=4, split="test")
    players = {"base": BASE, "seer": BASE}
    known = answering(made.released, players)
    with FaultServer(
        answer=lambda body: known(body) if "code word" in content(body)[0] else "A"
    ) as server:
        models = ("--base", "base", "--sft", "seer", "--base-url", server.url, "--items", "4")
        assert report(made.folder, *models, "--videos", made.videos, "--fps", "2.5") == 0
        sent = {len(content(body)[1]) for body in server.bodies}
    assert told()["headline"]["condition"] == "think, 2.5 frames a second"
    assert {one["fps"] for one in told()["cells"]} == {None, 2.5}
    assert sent == {30, 75}  # a span of 30 s, with a frame a second as released
    assert len(list(Path("proof/plots").glob("*-2.5fps.svg"))) == 4
    capsys.readouterr()
