"""`egost evaluate`, `score` and `compare` against a real server on this machine: exit codes, what is sent and printed."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from small_release import release, small_space, varied

from pipeline.cli.console import run
from pipeline.cli.main import cli
from pipeline.demo.scripted_models import SEER, reply_of
from pipeline.evaluate import evaluation, score
from pipeline.evaluate.baselines import Baselines
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.results import read_results, release_digest
from pipeline.evaluate.score import LOG
from pipeline.releases.layout import file_digest
from pipeline.releases.reading import open_release
from tests.integration.fault_server import FaultServer

Captured = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """A release with all answers, one with those of its only split withheld, and the folder that has these."""
    root = tmp_path_factory.mktemp("release") / "w"
    with small_space(root, 12, walk=varied, split="test") as space:
        known, held = release(space), release(space, "0.2.0", withhold=["test"])
        assert held.sealed
        return known.folder, held.folder, held.sealed


@pytest.fixture(scope="module")
def reply(folders: tuple[Path, Path, Path]) -> Callable[[Mapping[str, Any]], str]:
    """The scripted models of the demonstration, which answer about the release."""
    return reply_of(questions_of(open_release(folders[0]))[0])


@pytest.fixture
def server(reply: Callable[[Mapping[str, Any]], str]) -> Iterator[FaultServer]:
    with FaultServer(answer=reply) as found:
        yield found


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Work in an empty folder, without baselines, which have tests of their own and take seconds."""
    monkeypatch.chdir(tmp_path)
    for module in (evaluation, score):
        monkeypatch.setattr(module, "baselines", lambda *_, **__: Baselines((), None, ()))


def egost(*arguments: str | Path) -> int:
    with pytest.raises(SystemExit) as ended:
        run(cli, [str(argument) for argument in arguments])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def evaluate(folder: Path, server: FaultServer, *more: str | Path, model: str = SEER) -> int:
    return egost("evaluate", folder, "--model", model, "--base-url", server.url, *more)


def results(out: str = "results") -> list[Path]:
    return sorted(path.parent for path in Path(out).glob("*/results.json"))


def about_items(server: FaultServer) -> int:
    """Return how many requests were about items with options, and not about what the server can do."""
    texts = [json.dumps(body) for body in server.bodies]
    return sum(re.search(r"\\nA[.] .*\\nB[.] ", text) is not None for text in texts)


def refused(capsys: Captured, *what: str) -> None:
    """Expect an error of two lines, with these words, and nothing else."""
    shown = capsys.readouterr()
    first, fix = shown.err.splitlines()
    assert first.startswith("error: ")
    assert fix.startswith("  fix: ")
    assert all(one in shown.err for one in what), shown.err
    assert shown.out == ""


def test_two_models_are_scored_in_one_command_and_compared(
    folders: tuple[Path, ...], server: FaultServer, capsys: Captured
) -> None:
    assert evaluate(folders[0], server, "--model", "other", "--out", "here") == 0
    shown = capsys.readouterr().out.splitlines()
    ends = [line for line in shown if line.startswith("evaluate: ")]
    found = results("here")
    assert [line.split(": ")[1] for line in ends] == [SEER, "other"]
    assert {line.rpartition(": ")[2] for line in ends} == {*map(str, found)}
    assert shown[-1] == ends[-1]
    heads = [f"{model} on egost 0.1.0, prompt ours" for model in (SEER, "other")]
    assert [line for line in shown if line in heads] == heads
    assert all((folder / "predictions.parquet").is_file() for folder in found)
    assert max(map(len, shown[: shown.index(ends[0])])) <= 100
    assert not Path("results").exists()
    assert egost("compare", *found) == 0
    assert "sign test p = " in capsys.readouterr().out
    assert egost("compare", found[0]) == 2
    refused(capsys, "at least two folders")
    assert egost("compare", found[0], folders[0]) == 2
    refused(capsys, "is no results folder")
    assert egost("compare", *found, "--arm", "blind") == 2
    refused(capsys, "no predictions in arm blind")


def test_a_dry_run_sends_nothing_and_tells_what_it_would(
    folders: tuple[Path, ...], server: FaultServer, capsys: Captured
) -> None:
    items = sum(1 for _ in open_release(folders[0]).questions())
    assert (
        evaluate(folders[0], server, "--dry-run", "--arms", "frames,blind", "--repeats", "3") == 0
    )
    shown = capsys.readouterr().out
    assert f"{6 * items} requests" in shown
    assert not server.came
    assert results() == []
    assert evaluate(folders[0], server, "--items", "4") == 0
    capsys.readouterr()
    assert evaluate(folders[0], server, "--items", "4", "--dry-run") == 0
    assert re.search(r"\b0 requests", capsys.readouterr().out)


def test_only_some_items_are_asked_and_none_again(
    folders: tuple[Path, ...], server: FaultServer, capsys: Captured
) -> None:
    assert evaluate(folders[0], server, "--items", "6") == 0
    asked = about_items(server)
    assert 0 < asked <= 6
    assert f"{asked} predictions" in capsys.readouterr().out
    assert evaluate(folders[0], server, "--items", "6", "--parser", "reference") == 0
    assert about_items(server) == asked
    assert "read by the reference's rule" in capsys.readouterr().out
    (folder,) = results()
    assert egost("compare", folder, folder / "read-by-reference") == 2
    refused(capsys, "parser: strict and reference")
    assert egost("compare", folder, folder / "read-by-reference", "--anyway") == 0


def test_every_arm_that_a_release_is_enough_for(
    folders: tuple[Path, ...], server: FaultServer, capsys: Captured
) -> None:
    assert evaluate(folders[0], server, "--arms", "all", "--items", "4") == 0
    (folder,) = results()
    arms = {one.arm for one in read_results(folder).predictions}
    assert arms >= {
        "frames",
        "blind",
        "blank",
        "one",
        "shuffled",
        "rotate-1",
        "rotate-3",
        "frames-4",
    }
    assert "video" not in arms
    capsys.readouterr()


def test_the_variance_between_repeats_is_shown(
    folders: tuple[Path, ...], server: FaultServer, reply: Any, capsys: Captured
) -> None:
    server.answer = lambda body: (
        reply(body) if "code word" in json.dumps(body) else "ABCD"[len(server.bodies) % 4]
    )
    assert evaluate(folders[0], server, "--repeats", "3", "--items", "8") == 0
    line = next(one for one in capsys.readouterr().out.splitlines() if one.startswith("3 runs: "))
    shares = [float(one) for one in re.findall(r"([\d.]+)%", line)]
    mean = sum(shares) / 3
    between = (sum((one - mean) ** 2 for one in shares) / 2) ** 0.5
    assert len(shares) == 3
    assert abs(float(line.rsplit(" ", 2)[1]) - between) < 0.1


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (("--arms", "frames,backwards"), "there is no arm 'backwards'"),
        (("--split", "dev"), "has no split 'dev'"),
        (("--prompt", "mine"), "there is no prompt 'mine'"),
        (("--parser", "lax"), "there is no parser 'lax'"),
        (("--fps", "2"), "--fps"),
        (("--fps", "nan"), "nan is not a number"),
        (("--videos", "."), "--videos is not used"),
        (("--set", "evaluate.extra_body={model = 'x'}"), "model can't be set here"),
        (("--set", "evaluate.nonsense=1"), "nonsense"),
        (("-w", "w"), "-w can't be used here"),
        (("--repeats", "0"), "--repeats"),
    ],
)
def test_a_mistake_of_the_user_ends_with_2_before_anything_is_sent(
    folders: tuple[Path, ...],
    server: FaultServer,
    capsys: Captured,
    given: tuple[str, ...],
    what: str,
) -> None:
    assert evaluate(folders[0], server, *given) == 2
    refused(capsys, what)
    assert not server.came


def test_what_is_no_release_and_a_model_that_the_server_lacks_end_with_2(
    folders: tuple[Path, ...], server: FaultServer, capsys: Captured, tmp_path: Path
) -> None:
    assert evaluate(tmp_path, server) == 2
    refused(capsys, "is not a release")
    assert egost("evaluate", folders[0]) == 2
    refused(capsys, "--model")
    server.choose = lambda key, times: "wrong_model"
    assert evaluate(folders[0], server, "--arms", "blind") == 2
    assert "no such model" in capsys.readouterr().err


def test_under_99_percent_of_replies_ends_with_3_and_the_next_run_asks_for_the_rest(
    folders: tuple[Path, ...], server: FaultServer, capsys: Captured
) -> None:
    lost: set[str] = set()

    def choose(key: str, times: int) -> str:
        if len(lost) < 3:
            lost.add(key)
        return "broken" if key in lost else "good"

    server.choose = choose
    options = ("--arms", "blind", "--set", "evaluate.attempts=1")
    assert evaluate(folders[0], server, *options) == 3
    shown = capsys.readouterr()
    assert re.search(
        r"at least 99 % .* need a reply; .*: 9\d\.\d% of the requests have a reply", shown.err
    )
    assert re.search(
        r"blind: 9\d\.\d% of requests have a reply; if all others were wrong", shown.out
    )
    assert re.search(r"predictions, 9\d\.\d% of them with a reply: results/", shown.out)
    before = about_items(server)
    server.choose = lambda key, times: "good"
    assert evaluate(folders[0], server, *options) == 0
    assert about_items(server) == before + 3
    assert "have a reply" not in capsys.readouterr().out


def test_withheld_items_get_predictions_and_whoever_has_the_answers_rounded_figures(
    folders: tuple[Path, ...], server: FaultServer, capsys: Captured
) -> None:
    _, held, sealed = folders
    assert evaluate(held, server) == 0
    shown = capsys.readouterr().out.splitlines()
    (folder,) = results()
    count = len(read_results(folder).predictions)
    described = sum(row.format == "open" for _, row in open_release(held).questions())
    assert shown == [
        f"{SEER} on egost 0.2.0, prompt ours",
        "no metrics: all answers are withheld",
        f"note: the answers of {described} items answered in words are withheld",
        f"page: {folder / 'page.html'}",
        f"evaluate: {SEER}: {count} predictions, {count} of the items withheld: {folder}",
    ]
    assert json.loads((folder / "results.json").read_text())["metrics"] is None
    assert not (folder / "exports").exists()
    predictions = folder / "predictions.parquet"
    assert egost("score", held, predictions) == 2
    refused(capsys, f"the answers of {count} of its {count} items are withheld")
    assert not (sealed / LOG).exists()
    assert egost("score", held, predictions, "--answers", sealed) == 0
    shown = capsys.readouterr().out.splitlines()
    row = next(line for line in shown if line.startswith("frames "))
    figures = re.findall(r"\d+\.\d", " ".join(shown))
    assert float(row.split()[1]) > 40
    assert len(figures) > 6
    assert all(one.endswith(".0") for one in figures), figures
    ids = {one.id for one in read_results(folder).predictions}
    assert not any(one in line for one in ids for line in shown)
    (logged,) = map(json.loads, (sealed / LOG).read_text().splitlines())
    assert (logged["predictions"], logged["sha256"]) == (count, file_digest(predictions))
    (sealed / LOG).unlink()


def lines(path: Path, rows: list[dict[str, str]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_scorer_of_withheld_answers_tells_nothing_of_few_items(
    folders: tuple[Path, ...], capsys: Captured, tmp_path: Path
) -> None:
    _, held, sealed = folders
    ids = [row.id for _, row in open_release(held).questions() if row.format == "mcq"]
    few = lines(tmp_path / "few.jsonl", [{"id": one, "letter": "A"} for one in ids[:29]])
    assert egost("score", held, few, "--answers", sealed) == 0
    shown = capsys.readouterr().out.replace(str(tmp_path), "")  # whose name has a number
    known = [line for line in shown.splitlines() if not line.startswith("chance")]
    assert not re.search(r"\d\.\d|\d+ ?%(?! interv)|\b95\b(?! %)", "\n".join(known[1:])), shown
    assert "- is withheld: shown from 30 items on" in shown
    (sealed / LOG).unlink()


def test_a_file_for_another_release_is_refused_before_anything_is_scored(
    folders: tuple[Path, ...], capsys: Captured, tmp_path: Path
) -> None:
    known, held, sealed = folders
    ids = [row.id for _, row in open_release(held).questions() if row.format == "mcq"]
    unknown = lines(
        tmp_path / "p.jsonl", [{"id": ids[0], "letter": "A"}, {"id": "i_x", "reply": "A"}]
    )
    assert egost("score", held, unknown, "--answers", sealed) == 2
    refused(capsys, "p.jsonl, row 2: its id isn't one of the release: i_x; rows like it: 1")
    digest = release_digest(open_release(held))
    for named, code in ((digest, 0), (digest.upper(), 0), ("0" * 64, 2), (digest[:8], 2)):
        rows = [{"id": one, "letter": "A", "release": named} for one in ids]
        path = lines(tmp_path / "p.jsonl", rows)
        assert egost("score", held, path, "--answers", sealed) == code
        if code:
            refused(capsys, "p.jsonl, row 1: is for the release with the digest", digest)
        capsys.readouterr()
    (sealed / LOG).unlink()
    assert egost("score", held, path, "--answers", known) == 2
    refused(capsys, "doesn't have the withheld answers of this release")
    assert egost("score", known, tmp_path / "none.jsonl") == 2
    refused(capsys, "none.jsonl", "can't be read")
    assert not (sealed / LOG).exists()


def test_a_file_of_items_is_scored_and_asked_without_images(
    folders: tuple[Path, ...], server: FaultServer, capsys: Captured, tmp_path: Path
) -> None:
    known = folders[0]
    file = known / "adapters" / "ego_st" / "test.json"
    rows = json.loads(file.read_text())
    said = [{"id": row["question_id"], "reply": f"Answer: {row['answer']}"} for row in rows]
    path = lines(tmp_path / "p.jsonl", said)
    assert egost("score", file, path, "--parser", "reference") == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0] == "read by the reference's rule: the first capital A to D"
    strictly = next(line for line in shown if line.startswith("frames, read strictly"))
    assert strictly.split()[3] == "100.0"
    assert egost("score", file, path, "--answers", folders[2]) == 2
    refused(capsys, "--answers is for a release")
    assert evaluate(file, server) == 2
    refused(capsys, "a file has no frames")
    assert evaluate(file, server, "--arms", "blind", "--prompt", "reference") == 0
    assert about_items(server) == len(rows)
    assert "image_url" not in json.dumps(server.bodies)
    capsys.readouterr()
    for more in (("--fps", "2"), ("--arms", "video")):
        assert evaluate(file, server, "--videos", ".", *more) == 2
        refused(capsys, "8 frames are shown")
