"""The proof that a trained model's gain comes from what it sees: every model in every condition, asked by `egost evaluate`'s code.

    models.py     which models, and the names that their results are kept under
    gain.py       gains, their difference, and what follows from it
    agreement.py  whether replies' lists agree with their letters
    report.py     cells, changes and the verdict of what was asked
    drawing.py, page.py  the page

A proof is on the split `test` alone. Nothing is asked twice, also after a kill; what fails of one model leaves the others.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pipeline.errors import EgostError, UserError
from pipeline.evaluate.evaluation import Evaluation
from pipeline.evaluate.evaluation import Options as Asking
from pipeline.evaluate.results import read_results
from pipeline.evaluate.scoring import Question, Scored, scored
from pipeline.models.estimate import Estimate
from pipeline.models.settings import EvaluatedModel
from pipeline.models.wire import Wire
from pipeline.proof.gain import ARMS
from pipeline.proof.models import LOCAL, ProofModel, Relay
from pipeline.releases.reading import Released

SPLIT = "test"
MODES: Mapping[str, str] = {"think": "ours", "nothink": "direct"}
"""Ways to ask, with the prompt of each."""
RESULTS = "results"

Serve = Callable[[Mapping[str, Path | str]], AbstractContextManager[str]]
"""Serves models by name, each from a folder, and yields the base URL."""
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Condition:
    """How models are asked: with or without thinking, at the released frames or at so many a second."""

    mode: str
    fps: float | None

    @property
    def frames(self) -> str:
        """Which frames, in words."""
        return "released frames" if self.fps is None else f"{self.fps:g} frames a second"

    def __str__(self) -> str:
        return f"{self.mode}, {self.frames}"


@dataclass(frozen=True)
class Options:
    """What is shown: at most `items` items, images scaled to `image_pixels`, and frames of `videos` at `fps` as well."""

    image_pixels: int | None = None
    items: int | None = None
    videos: Sequence[Path] = ()
    fps: float | None = None


@dataclass(frozen=True)
class Replied:
    """What one model replied in one condition: scored, where answers are known; `error` is why there is nothing, or why some is missing."""

    folder: Path | None
    questions: tuple[Question, ...]
    scored: tuple[Scored, ...]
    coverage: float
    complete: bool
    error: str | None = None


class Proof:
    """A release, the models, and how they are asked."""

    def __init__(
        self,
        released: Released,
        models: Sequence[ProofModel],
        settings: EvaluatedModel,
        options: Options,
        out: Path,
        serve: Serve | None = None,
        progress: Progress = lambda done, total: None,
    ) -> None:
        """Read the release, and cut frames if `fps` is given; `progress` gets the number of videos.

        `settings` are those of every model but its name; `serve` serves those that are folders. Raise UserError if the release has no split `test`, or if
        frames can't be cut.
        """
        if SPLIT not in released.splits:
            what = f"has no split {SPLIT}, only {', '.join(released.splits) or 'no items'}"
            fix = "export a release with a test split: a gain on what models were trained on proves nothing"
            raise UserError(str(released.folder), what, fix)
        if (options.fps is None) != (not options.videos):
            given, other = ("--videos", "--fps") if options.videos else ("--fps", "--videos")
            raise UserError(given, f"needs {other}", f"add {other}, or leave {given} out")
        self.released, self.models, self.options = released, tuple(models), options
        self._settings, self._serve, self.out = settings, serve, out
        rates = [None] if options.fps is None else [None, options.fps]
        self.conditions = [Condition(mode, fps) for fps in rates for mode in MODES]
        self._evaluations = {one: self._evaluation(one, progress) for one in self.conditions}

    def _evaluation(self, of: Condition, progress: Progress) -> Evaluation:
        asking = Asking(
            arms=ARMS,
            prompt=MODES[of.mode],
            splits=(SPLIT,),
            image_pixels=self.options.image_pixels,
            items=self.options.items,
            videos=self.options.videos if of.fps is not None else (),
            fps=of.fps,
        )
        return Evaluation(self.released, asking, self.out / RESULTS, progress)

    @property
    def headline(self) -> Condition:
        """The condition of the headline, whatever comes out: thinking, at the rate of training if that is asked."""
        return Condition("think", self.options.fps)

    @property
    def withheld(self) -> bool:
        """Whether the answers are withheld, so that there are no figures."""
        return SPLIT in self.released.manifest["withheld"]

    @cached_property
    def in_words(self) -> int:
        """How many items of the split are answered in words, and aren't asked here."""
        return sum(
            split == SPLIT and row.format != "mcq" for split, row in self.released.questions()
        )

    def asked(self, of: Condition) -> int:
        """Return the number of items that are asked in a condition."""
        return len(self._evaluations[of].asked)

    def estimate(self, model: ProofModel) -> Estimate:
        """Return how many requests a model has still to be sent, and what they may cost; nothing is sent."""
        settings = self.settings_of(model)
        first, *others = (one.estimate(settings) for one in self._evaluations.values())
        return sum(others, first)

    def settings_of(self, model: ProofModel) -> EvaluatedModel:
        """Return the settings under which a model's results are kept."""
        changed = {"model": model.name} | ({} if model.folder is None else {"base_url": LOCAL})
        return self._settings.model_copy(update=changed)

    def run(
        self, progress: Callable[[str], AbstractContextManager[Progress]]
    ) -> Iterator[tuple[ProofModel, Condition, Replied]]:
        """Ask every model in every condition, model by model, and yield what it replied.

        `progress` opens a bar with a name. Raise the first error if no model could be asked at all.
        """
        first: EgostError | None = None
        replied = False
        for model in self.models:
            with ExitStack() as stack:
                opened = _Served(self, model, stack)
                for condition, evaluation in self._evaluations.items():
                    try:
                        with progress(f"{model.title}, {condition}") as bar:
                            found = self._one(model, evaluation, opened, bar)
                        replied = True
                    except EgostError as error:
                        first = first or error
                        what = str(error)
                        if isinstance(error, UserError):
                            what = f"{error.what} (fix: {error.fix})"
                        found = Replied(None, (), (), 0.0, False, what)
                    yield model, condition, found
        if first and not replied:
            raise first

    def _one(
        self, model: ProofModel, evaluation: Evaluation, opened: "_Served", bar: Progress
    ) -> Replied:
        wire = Relay(model.served, opened.wire)
        found = evaluation.run(self.settings_of(model), bar, wire)
        results = read_results(found.folder)
        known = {one.id for one in results.questions}
        made = [one for one in results.predictions if one.id in known]
        return Replied(
            found.folder,
            results.questions,
            tuple(scored(results.questions, made)),
            found.coverage,
            found.complete,
            found.error,
        )


class _Served:
    """The server of one model: it is started when the first request is sent, and stopped by the stack."""

    def __init__(self, proof: Proof, model: ProofModel, stack: ExitStack) -> None:
        self._proof, self._model, self._stack = proof, model, stack
        self._failed: UserError | None = None

    def wire(self) -> Wire:
        """Return a new connection; raise UserError if the model can't be served."""
        # Imported here: importing openai would cost every other command half a second.
        from pipeline.models.openai_wire import OpenAIWire

        settings = self._proof.settings_of(self._model)
        changed = {"model": self._model.served, "base_url": self._url or settings.base_url}
        return OpenAIWire(settings.model_copy(update=changed))

    @cached_property
    def _url(self) -> str | None:
        """The address of the model that is served here; None if a server was running."""
        model, serve = self._model, self._proof._serve
        if model.folder is None:
            return None
        assert serve
        if self._failed:
            raise self._failed
        try:
            return self._stack.enter_context(serve({model.served: model.folder}))
        except UserError as error:
            self._failed = error
            raise
        except ImportError as error:
            what = f"can't be served here: {error}"
            fix = (
                "install the extra train (docs/train.md), or name a running server with --base-url"
            )
            self._failed = UserError(model.given, what, fix)
            raise self._failed from error
        except (OSError, RuntimeError, ValueError) as error:
            what = f"can't be served: {str(error).strip() or type(error).__name__}"
            fix = "check the model's folder, memory and the installed versions"
            self._failed = UserError(model.given, what, fix)
            raise self._failed from error
