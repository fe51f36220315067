"""Results as their page shows them: items with known answers, what was replied, and what a reader has to know first."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import EgostError, UserError
from pipeline.evaluate import prompting
from pipeline.evaluate.denser import cut_before, folder_of
from pipeline.evaluate.described_files import DESCRIPTIONS
from pipeline.evaluate.open_items import OpenItems, open_items
from pipeline.evaluate.prompting import Prompt
from pipeline.evaluate.reading import questions_of
from pipeline.evaluate.recheck import recheck, recheck_open
from pipeline.evaluate.results import Results
from pipeline.evaluate.scoring import Question, Scored, scored
from pipeline.evaluate.standings import PARSER, parser_of
from pipeline.releases.reading import Released
from pipeline.report.descriptions import Descriptions, prompt_of
from pipeline.routes.told import Vocabulary


@dataclass(frozen=True)
class Frames:
    """Where the frames of items are: their folder, and the questions with the names of their frames."""

    folder: Path
    questions: Mapping[str, Question]


@dataclass(frozen=True)
class Source:
    """Results as the page shows them: their label, their scored predictions, and the frames that were sent.

    `questions` are the multiple-choice items, all with known answers; `frames` is None where the release isn't there,
    and `words` where there are no descriptions.
    """

    label: str
    results: Results
    questions: Mapping[str, Question]
    scored: Sequence[Scored]
    frames: Frames | None
    words: Descriptions | None = None

    @classmethod
    def of(
        cls,
        label: str,
        results: Results,
        frames: Frames | None,
        withheld: Iterable[str] = (),
        words: Descriptions | None = None,
    ) -> "Source":
        """Score what was replied to items with known answers, none of which is in a `withheld` split."""
        held = set(withheld)
        questions = {one.id: one for one in results.questions if one.split not in held}
        made = [one for one in results.predictions if one.id in questions]
        return cls(label, results, questions, scored(questions.values(), made), frames, words)

    @property
    def items(self) -> dict[str, Question]:
        """The items of both kinds; those that are answered in words have no options."""
        return {**self.questions, **(self.words.questions if self.words else {})}

    @property
    def replies(self) -> int:
        """The number of texts by models, judges included."""
        return len(self.scored) + (self.words.replies if self.words else 0)

    @property
    def words_prompt(self) -> Prompt | None:
        """The words in which the model was asked for descriptions; None if there are none or the template has changed since."""
        return prompt_of(self.results) if self.words else None

    @property
    def prompt(self) -> Prompt | None:
        """The words in which the model was asked; None if the template has changed since."""
        try:
            found = prompting.load(self.results.identity.prompt)
        except EgostError:
            return None
        return found if found.sha256 == self.results.identity.prompt_sha256 else None


def sources_of(
    found: Sequence[Results],
    released: Released | None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Source], list[str]]:
    """Return results as the page shows them, and what a reader has to know before believing their figures."""
    known = questions_of(released) if released else ([], {})
    spoken = open_items(released) if released else OpenItems((), {}, Vocabulary())
    withheld = released.manifest["withheld"] if released else ()
    sources: list[Source] = []
    notices: list[str] = []
    for done, (label, one) in enumerate(zip(_labels(found), found, strict=True), start=1):
        frames = _frames(one, released, [*known[0], *spoken.questions]) if released else None
        words, problem = None, list[str]()
        try:
            words = Descriptions.read(one, spoken.vocabulary if released else None, withheld)
        except UserError as error:
            problem = [f"{label}: descriptions can't be shown: {error.where} {error.what}"]
        source = Source.of(label, one, frames, withheld, words)
        sources.append(source)
        notices += _notices(source, {each.id: each for each in known[0]})
        notices += problem or _notices_in_words(source, spoken)
        progress(done, len(found))
    return sources, notices


def _labels(found: Sequence[Results]) -> list[str]:
    """Return a name for each result, all different."""
    labels: list[str] = []
    for one in found:
        parser = parser_of(one.body)
        named = str(one.identity.model) + ("" if parser == PARSER else f", parser {parser}")
        name, number = named, 1
        while name in labels:
            number += 1
            name = f"{named} ({number})"
        labels.append(name)
    return labels


def _frames(one: Results, released: Released, questions: Sequence[Question]) -> Frames:
    """Return the frames that were sent: those of the release, or those cut from videos beside the results."""
    fps = one.identity.fps
    if fps is None:
        return Frames(released.folder, {each.id: each for each in questions})
    folder = folder_of(one.folder.resolve().parent, one.identity.release, fps)
    found = cut_before(questions, fps, folder)
    return Frames(folder, {each.id: each for each in found})


def _notices(source: Source, known: Mapping[str, Question]) -> Iterator[str]:
    found, label = source.results, source.label
    held = len({one.id for one in found.predictions} - source.questions.keys())
    if held := held + (source.words.held if source.words else 0):
        yield f"{label}: {held} items have no page, since their answers are withheld."
    if source.frames is None:
        yield f"{label}: the release isn't there, so neither frames nor prompts are shown; add --release."
    elif source.prompt is None:
        prompt = found.identity.prompt
        yield f"{label}: the prompt {prompt} has changed since, so the text that was sent isn't shown."
    if parser_of(found.body) == PARSER and source.questions.keys() <= known.keys():
        questions = [known[id_] for id_ in source.questions]
        made = [one for one in found.predictions if one.id in source.questions]
        again = recheck(questions, made, found.body.get("metrics") or {})
        if again.letters:
            yield f"{label}: {again.letters} letters or outcomes aren't what the parser reads in their replies now."
        if again.differing:
            yield f"{label}: results.json has other figures than its predictions give, such as {again.differing[0]}; this page shows the latter."


def _notices_in_words(source: Source, items: OpenItems) -> Iterator[str]:
    """Yield what is wrong with what is stored about descriptions; what judges scored isn't checked."""
    label, words, stored = source.label, source.words, source.results.body.get("open")
    if words is None:
        if isinstance(stored, Mapping):
            yield f"{label}: the figures of items answered in words can't be checked: {DESCRIPTIONS} isn't there."
        return
    if source.frames is None:
        yield f"{label}: what descriptions state is read with the names that the release has, so it isn't shown either."
    elif words.made and source.words_prompt is None:
        yield f"{label}: the prompt for items answered in words has changed since, so the text that was sent isn't shown."
    if words.outdated:
        yield f"{label}: judges scored other descriptions than these, so their scores aren't shown."
    if source.frames is None or not isinstance(stored, Mapping):
        return
    made = [one.prediction for one in words.made]
    if differing := recheck_open(items.known, items.vocabulary, made, stored):
        yield f"{label}: results.json has other figures of items answered in words than the replies give, such as {differing[0]}."
