"""Languages: what a section of stems.toml must contain, and that a whole item follows it."""

from collections.abc import Callable
from pathlib import Path

import factories
import pytest

from pipeline.assets import asset
from pipeline.engine.folder import WorkspaceFolder
from pipeline.engine.rows import Rejection, Rows
from pipeline.errors import UserError
from pipeline.motion.rows import Clip, Turn
from pipeline.questions.check import run as check
from pipeline.questions.compose import run
from pipeline.questions.rows import Expected, Item, Span, Written
from pipeline.questions.settings import CheckSettings, ComposeSettings
from pipeline.questions.truth import true_options
from pipeline.review.rows import Answer
from pipeline.routes import templates, wording
from pipeline.routes.motion_draft import describe_steps
from pipeline.routes.rows import Route, Step
from pipeline.routes.tasks import MIXED, TASKS
from pipeline.sources.rows import Narration, Video

NAMES = [task.name for task in TASKS] + [
    f"{task.name}{MIXED}" for task in TASKS if task.category in ("landmark", "action")
]
OWN = asset(wording.STEMS).read_text(encoding="utf-8")
WALK = [
    Step(start_us=0, end_us=4_000_000, move="left", landmark="rote Tür"),
    Step(start_us=4_000_000, end_us=8_000_000, move="straight", landmark="Fenster"),
    Step(start_us=8_000_000, end_us=12_000_000, move="right", landmark="Regal"),
    Step(start_us=12_000_000, end_us=16_000_000, move="straight", action="öffnet es", undo="schließt es"),
]  # fmt: skip


def written(folder: Path, text: str) -> Path:
    path = folder / "stems.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_every_language_of_ours_has_several_wordings_of_each_task() -> None:
    found, wrong = wording.check()
    assert wrong == []
    assert next(iter(found)) == "en"
    assert len(found) >= 2
    for one in found.values():
        assert all(len(one.stems[name]) == len(set(one.stems[name])) >= 2 for name in NAMES)


def test_no_two_languages_of_ours_share_a_wording() -> None:
    found, _ = wording.check()
    texts = [text for one in found.values() for stem in one.stems.values() for text in set(stem)]
    by_language = [{t for stem in one.stems.values() for t in stem} for one in found.values()]
    assert len(set.union(*by_language)) == sum(map(len, by_language)) <= len(texts)


@pytest.mark.parametrize(
    ("change", "header", "what"),
    [
        (lambda text: "[en", "", "not valid TOML"),
        (lambda text: text.replace("\n[en]\n", "\n[xx]\n").replace("[en.", "[xx."), "", r"no section \[en\]"),
        (lambda text: "en = 3", "", r"no section \[en\]"),
        (lambda text: text.replace("route_forward = [", "route_forward = []\nx = ["), "[en]", "no wording of route_forward"),
        (lambda text: text.replace("route_forward = [", "route_forward = 3\nx = ["), "[en]", "no wording of route_forward"),
        (lambda text: text.replace("route_forward = [", "route_forward = [' ',"), "[en]", "no wording of route_forward"),
        (lambda text: text.replace("action_reverse_mixed", "action_mixed"), "[en]", "no wording of action_reverse_mixed"),
        (lambda text: text.replace('name = "English"', ""), "[en]", "has no name"),
        (lambda text: text.replace("[en.moves]", "[en.moved]"), "[en]", "no words for straight"),
        (lambda text: text.replace('"turn left"', '"turn -> left"'), "[en.moves]", "no words for left"),
        (lambda text: text.replace('"turn left"', '"Turn right."'), "[en.moves]", "has the same words for two moves"),
        (lambda text: text.replace("version = 2", "version = 1"), "[en]", "not of version 2"),
        (lambda text: text.replace("[en.facts]", "[en.fact]"), "[en]", "no words for turn"),
        (lambda text: text.replace("{nth} turn {side}", "turn {side}"), "[en.facts]", "needs {nth} and {side} once"),
        (lambda text: text.replace('"second"', '"last"'), "[en.facts]", "same words twice"),
        (lambda text: text.replace("[en.description]", "[en.describing]"), "[en]", "has no back, then"),
        (lambda text: text.replace('"at {landmark}"', '"at"'), "[en.description]", "at has no {landmark}"),
        (lambda text: text.replace('"past {landmark}"', '"past"'), "[en.description]", "past has no {landmark}"),
    ],
)  # fmt: skip
def test_a_gap_is_reported_with_its_line(
    tmp_path: Path, change: Callable[[str], str], header: str, what: str
) -> None:
    path = written(tmp_path, change(OWN))
    begun = [line.split(" ")[0] for line in path.read_text(encoding="utf-8").splitlines()]
    line = begun.index(header) + 1 if header else 1
    with pytest.raises(UserError, match=what) as caught:
        wording.read(path, "en")
    assert caught.value.where == f"{path}:{line}"
    assert caught.value.fix


@pytest.mark.parametrize(
    ("language", "stay", "at"),
    [
        ("en", "stay in place", "at {landmark}"),
        ("de", "stehen bleiben", "(Wegmarke: {landmark})"),
        ("fr", "stay in place", "at {landmark}"),
    ],
)
def test_a_file_from_before_there_were_stays_gets_the_words_of_its_language_or_english_ones(
    tmp_path: Path, language: str, stay: str, at: str
) -> None:
    lines = [line for line in OWN.splitlines() if not line.startswith(("stay =", "at ="))]
    text = "\n".join(lines).replace("[en", "[fr") if language == "fr" else "\n".join(lines)
    found = wording.read(written(tmp_path, text), language)
    assert (found.moves["stay"], found.description["at"]) == (stay, at)


def test_the_words_for_staying_are_checked_where_they_are_given(tmp_path: Path) -> None:
    for given, what in (('stay = ""', "no words for stay"), ('stay = "Turn left"', "same words")):
        path = written(tmp_path, OWN.replace('stay = "stay in place"', given))
        with pytest.raises(UserError, match=what):
            wording.read(path, "en")


def test_bytes_that_are_not_text_are_reported_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "stems.toml"
    path.write_bytes(b"[en]\nname = '\xff'\n")
    with pytest.raises(UserError, match="UTF-8") as caught:
        wording.read(path, "en")
    assert caught.value.where == f"{path}:2"


TURNED = tuple(
    Turn(clip_id="c_a", start_us=step.start_us, end_us=step.end_us, kind=step.move,
         yaw_degrees=90.0 if step.move == "left" else -90.0, moving=True, confidence=0.9)
    for step in WALK if step.move != "straight"
)  # fmt: skip


def composed(folder: Path, language: str) -> tuple[dict[str, Item], Route, tuple[Span, ...]]:
    (folder / "secret").write_text("1", encoding="utf-8")  # asks about both turns
    route = factories.route("a", steps=WALK, language=language)
    rows = Rows(
        {
            Video: (factories.video("a"),),
            Clip: (factories.clip("a"),),
            Route: (route,),
            Turn: TURNED,
            **dict.fromkeys((Written, Expected, Rejection, Answer), ()),
        }
    )
    made = list(run(rows, ComposeSettings(), WorkspaceFolder(folder)))
    items = {row.item_id: row for row in made if isinstance(row, Item)}
    return items, route, tuple(row for row in made if isinstance(row, Span))


def test_questions_and_options_follow_the_routes_language_and_what_is_scored_does_not(
    tmp_path: Path,
) -> None:
    english, *_ = composed(tmp_path, "en")
    german, route, _ = composed(tmp_path, "de")
    assert set(german) == set(english)
    assert {item.task for item in german.values()} >= {"route_forward", "direction_reverse"}
    own = wording.load("de")
    for name, item in german.items():
        other = english[name]
        assert item.question in {text for stem in own.stems.values() for text in stem}
        assert item.reference_moves == other.reference_moves
        assert (item.answer_index, item.facts) == (other.answer_index, other.facts)
        assert not any("turn" in option for option in item.options)
        if item.format == "mcq":
            true = [index == item.answer_index for index in range(4)]
            assert true_options(item, route.steps, own.facts) == true
            assert true_options(other, route.steps, wording.load("en").facts) == true
            assert not any(true_options(item, route.steps, wording.load("en").facts))


def test_checks_hold_german_items_against_german_words(tmp_path: Path) -> None:
    items, route, spans = composed(tmp_path, "de")
    forward = describe_steps(templates.load("describe.j2"), WALK, "forward", wording.load("de"))
    back = describe_steps(templates.load("describe.j2"), WALK, "reverse", wording.load("de"))
    route = route.model_copy(update={"forward_description": forward, "reverse_description": back})
    seen = {
        Clip: (factories.clip("a"),),
        Narration: (),
        Turn: TURNED,
        Route: (route,),
        Item: tuple(items.values()),
        Span: spans,
    }
    assert list(check(Rows(seen), CheckSettings(), WorkspaceFolder(tmp_path))) == []


def test_a_description_is_worded_in_its_language() -> None:
    describe = templates.load("describe.j2")
    descriptions = [
        describe_steps(describe, WALK, way, wording.load("de")) for way in ("forward", "reverse")
    ]
    assert descriptions == [
        "Links abbiegen (Wegmarke: rote Tür), dann geradeaus gehen (Wegmarke: Fenster), "
        "dann rechts abbiegen (Wegmarke: Regal), dann geradeaus gehen (öffnet es).",
        "Umdrehen, dann geradeaus gehen (schließt es), dann links abbiegen (Wegmarke: Regal), "
        "dann geradeaus gehen (Wegmarke: Fenster), dann rechts abbiegen (Wegmarke: rote Tür).",
    ]


def test_a_language_that_somebody_adds_needs_no_python(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    english = OWN[OWN.index("\n[en]\n") : OWN.index("\n[de]\n")]
    french = english.replace("[en", "[fr").replace('"English"', '"French"')
    for move, words in {
        "go straight": "continuer tout droit", "turn left": "tourner à gauche",
        "turn right": "tourner à droite", "turn around": "faire demi-tour",
    }.items():  # fmt: skip
        french = french.replace(f'"{move}"', f'"{words}"')
    french = french.replace('left = "left"', 'left = "gauche"')
    french = french.replace('right = "right"', 'right = "droite"')
    path = written(tmp_path, OWN + french)
    monkeypatch.setattr(
        wording, "asset", lambda name: path if name == wording.STEMS else asset(name)
    )
    items, *_ = composed(tmp_path, "fr")
    (asked,) = (item for item in items.values() if item.task == "direction_forward")
    assert all("gauche" in option or "droite" in option for option in asked.options)
    assert templates.check_prompts() == []
    path.write_text(OWN + french.replace("tourner à droite", "tourner à gauche"), encoding="utf-8")
    (problem,) = templates.check_prompts()
    assert str(problem).startswith("prompts/stems.toml:")
    assert "[fr.moves] has the same words for two moves" in problem.what
