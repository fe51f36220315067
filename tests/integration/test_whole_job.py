"""From real video through a person's correction in a real browser to Parquet, with commands as users type them."""

import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import polars as pl
import pytest
from browser import logged_in
from needs import missing

from pipeline.questions.composition import steps_shown
from pipeline.questions.rows import Item, Span
from pipeline.questions.truth import true_options
from pipeline.routes.route import TURNS, canonical, reverse
from pipeline.routes.rows import Route
from pipeline.routes.wording import load

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parent.parent.parent
ALONE = [  # one person verifies, without planted errors
    word for name in ("agree=1", "overlap=1", "planted=0") for word in ("--set", f"review.{name}")
]
VIDEOS = ROOT.parent / "shared" / "video"


class Egost:
    """The command line on one workspace."""

    def __init__(self, workspace: Path) -> None:
        self.workspace = workspace

    def __call__(self, *words: str, code: int = 0) -> str:
        settings = () if words[0] == "label-studio" else ALONE
        ran = subprocess.run(
            [sys.executable, "-m", "pipeline", *words, "-w", str(self.workspace), *settings],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def table(self, name: str) -> pl.DataFrame:
        return pl.read_parquet(self.workspace / "tables" / f"{name}.parquet")


@pytest.fixture(scope="module")
def egost(tmp_path_factory: pytest.TempPathFactory) -> Egost:
    if not VIDEOS.is_dir():
        missing("the real clips in ../shared/video")
    return Egost(tmp_path_factory.mktemp("job") / "workspace")


def test_from_real_video_to_a_release_with_a_persons_correction(
    egost: Egost, browser_path: str, tmp_path: Path
) -> None:
    egost("frames", str(VIDEOS))
    egost("generate-qa")
    office = next(
        row["clip_id"]
        for row in egost.table("clips")
        .join(egost.table("videos"), on="video_id")
        .iter_rows(named=True)
        if "hololens" in row["path"]
    )
    before = set(egost.table("items").filter(pl.col("clip_id") == office)["item_id"])
    printed = egost("label-studio", "start")
    try:
        url, user, password = re.search(  # type: ignore[union-attr]
            r"running at (\S+), log in as (\S+) with (\S+)", printed
        ).groups()
        assert "3 new" in egost("review", "push")
        assert "nothing new" in egost("review", "push")
        with logged_in(url, user, password, browser_path, tmp_path / "profile") as page:
            corrected = correct_one_step(page, url, office)
        assert "1 new or changed" in egost("review", "pull")
        assert "nothing new" in egost("review", "pull")
    finally:
        egost("label-studio", "stop")

    verified = egost.table("routes").filter(pl.col("origin") == "verified").to_dicts()
    (route,) = map(Route.model_validate, verified)
    assert [step.move for step in route.steps if step.move in TURNS] == corrected
    after = egost.table("items").filter(pl.col("clip_id") == office)
    assert before - set(after["item_id"])  # a corrected turn makes other items
    items = [Item.model_validate(one) for one in after.to_dicts()]
    spans = {one["span_id"]: Span.model_validate(one) for one in egost.table("spans").to_dicts()}
    every_answer_is_true(items, spans, route)

    # Nobody judged a clip twice: the gate stops the export unless --allow-failing is given.
    assert "agreement_of_people: NOT MET" in egost("export", "0.1.0", code=3)
    assert not (egost.workspace / "releases" / "v0.1.0").exists()
    egost("export", "0.1.0", "--allow-failing")
    assert "error: " in egost("export", "0.1.0", "--allow-failing", code=2)
    release = egost.workspace / "releases" / "v0.1.0"
    questions = pl.read_parquet(release / "data" / "*.parquet")
    assert {spans[one].clip_id for one in questions["video"]} == {office}
    assert set(questions["id"]) <= set(egost.table("items")["item_id"])
    assert loaded_by_datasets(release, tmp_path) == len(questions)


def correct_one_step(page: object, url: str, clip_id: str) -> list[str]:
    """Flip the first left or right turn of the office walk as a person would; return the corrected turns."""
    import httpx

    cookies = {c["name"]: c["value"] for c in page.context.cookies()}  # type: ignore[attr-defined]
    with httpx.Client(base_url=url, cookies=cookies) as session:
        project = session.get("/api/projects/").json()["results"][0]["id"]
        tasks = session.get("/api/tasks/", params={"project": project, "fields": "all"}).json()[
            "tasks"
        ]
    task = next(task["id"] for task in tasks if task["data"]["clip_id"] == clip_id)
    page.goto(f"{url}/projects/{project}/data?task={task}")  # type: ignore[attr-defined]
    lines = page.locator("textarea[name=steps]")  # type: ignore[attr-defined]
    lines.wait_for()
    # Until everything is loaded, the page may restore the prefilled text.
    page.wait_for_function("document.querySelector('video')?.readyState >= 2")  # type: ignore[attr-defined]
    page.wait_for_load_state("networkidle")  # type: ignore[attr-defined]
    text = lines.input_value()
    first = min(text.index(word) for word in ("turn left", "turn right") if word in text)
    other = "turn right" if text[first:].startswith("turn left") else "turn left"
    flipped = (
        text[:first] + other + text[first:].removeprefix("turn left").removeprefix("turn right")
    )
    lines.fill(flipped)
    page.locator("h4").first.click()  # type: ignore[attr-defined]
    assert lines.input_value() == flipped
    page.keyboard.press("2")  # type: ignore[attr-defined]
    with page.expect_response(  # type: ignore[attr-defined]
        lambda one: "/annotations" in one.url and one.request.method == "POST"
    ):
        page.keyboard.press("Control+Enter")  # type: ignore[attr-defined]
    return re.findall(r"turn (left|right|around)", flipped)


def every_answer_is_true(items: Sequence[Item], spans: Mapping[str, Span], route: Route) -> None:
    """Check the items of a clip against its verified route, each in its span.

    Which of the few pairs of facts are asked is drawn: there may be none, but always a description.
    """
    steps, said = canonical(route.steps), load(route.language).facts
    assert any(item.category == "route" for item in items)
    for item in items:
        shown = steps_shown(spans[item.span_id or ""], steps)
        if item.category == "route":
            walked = reverse(shown) if item.orientation == "reverse" else shown
            assert item.reference_moves == [step.move for step in walked]
        else:
            true = true_options(item, shown, said)
            assert true == [index == item.answer_index for index in range(4)]


def loaded_by_datasets(release: Path, folder: Path) -> int:
    """Load the release with `datasets`, in a separate process because it warns at import; return the number of rows."""
    code = (
        "import sys; from datasets import load_dataset\n"
        "sets = load_dataset(sys.argv[1], cache_dir=sys.argv[2])\n"
        "print(sum(len(part) for part in sets.values()))"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code, str(release), str(folder / "cache")],
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "home")},
        capture_output=True,
        text=True,
        check=True,
    )
    return int(ran.stdout.split()[-1])
