"""Reverse items name what undoes actions only where that tells them apart; else they go back in time."""

import random
from collections import Counter
from collections.abc import Iterator

from factories import item

from pipeline.questions.asking import Asking
from pipeline.questions.candidates import ClipSpan, candidates
from pipeline.questions.composition import AskedPair
from pipeline.questions.draw import Draw
from pipeline.questions.spantext import SpanText
from pipeline.questions.truth import true_options
from pipeline.routes.rows import Step
from pipeline.routes.tasks import ORIENTATIONS
from pipeline.routes.wording import load

DRAW = Draw(b"secret")
SAID = load("en")

# Undone in the same way, by each other, by nothing, by themselves, or by nearly the same words.
ACTIONS = (
    ("pick up a cup", "put it down"),
    ("lift a crate", "Put it  down."),
    ("grab the book", "put the book back"),
    ("open the fridge", "close it"),
    ("unlock a box", "close it again"),
    ("step up", "step down"),
    ("step down", "step up"),
    ("switch on a lamp", "switch off a lamp"),
    ("push the chair", "pull the chair"),
    ("wipe the table", "wipe the table"),
    ("fold a napkin", "unfold a napkin"),
    ("tie the rope", "untie the rope"),
    ("plug in a cable", "pull the chair"),
    ("close it", "open it"),
    ("nod", "."),
    ("wave", None),
)


def walks(count: int) -> Iterator[SpanText]:
    rng = random.Random(7)
    for number in range(count):
        at, steps = 0, []
        for action, undo in rng.sample(ACTIONS, 6):
            for move, texts in (
                ("straight", {"action": action, "undo": undo}),
                (rng.choice(("left", "right")), {}),
            ):
                end = at + 2_000_000
                steps.append(
                    Step.model_validate({"start_us": at, "end_us": end, "move": move, **texts})
                )
                at = end
        yield SpanText(f"span{number}", tuple(steps))


def asked() -> Iterator[tuple[SpanText, AskedPair]]:
    spans = [ClipSpan(text.span_id, text.span_id, text) for text in walks(400)]
    asking = Asking(DRAW)
    for number, pair in enumerate(candidates(spans, DRAW, 1_000_000)):
        if pair.category == "action":
            questions = {
                way: asking.word(pair, str(number), way, "test", SAID.stems, SAID.facts)
                for way in ORIENTATIONS
            }
            ids = {way: f"{number}{way}" for way in ORIENTATIONS}
            yield spans[pair.span].text, AskedPair(str(number), pair, questions, ids)


def written(text: str | None) -> str:
    return " ".join((text or "").lower().rstrip(". ").split())


def orders(option: str) -> list[list[str]]:
    return [one.split(" before ") for one in option.split("; ") if " before " in one]


def test_items_about_undoing_are_clear_where_actions_are_often_undone_alike() -> None:
    counted: Counter[bool] = Counter()
    for span, pair in asked():
        question = pair.questions["reverse"]
        undoing = question.stem.endswith("_undo")
        counted[undoing] += 1
        assert len(set(question.options)) == len(set(question.statements)) == 4
        stated = [name for order in orders(question.options[0]) for name in order]
        assert len(set(stated)) == len(stated)
        # On the way back, in the words of the steps; worked out by no code of the toolkit.
        back = [written(step.undo if undoing else step.action) for step in span.steps[::-1]]
        assert all(back.count(name) == 1 for name in stated)
        if undoing:
            steps = [{written(step.action), written(step.undo)} for step in span.steps]
            assert all(sum(name in texts for texts in steps) == 1 for name in stated)
        for first, second in orders(question.options[question.answer_index]):
            assert back.index(first) < back.index(second)
    assert min(counted[True], counted[False]) > 300


def test_the_check_of_items_knows_whether_they_are_about_undoing() -> None:
    for span, pair in asked():
        for way, question in pair.questions.items():
            row = item(
                orientation=way,
                category="action",
                options=list(question.options),
                answer_index=question.answer_index,
                facts=pair.facts(way),
            )
            true = true_options(row, span.steps, SAID.facts)
            assert true == [index == row.answer_index for index in range(4)]
