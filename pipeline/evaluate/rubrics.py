"""The rubrics by which a judge scores an answer: the prompts in `prompts/evaluate/judge/`."""

from dataclasses import dataclass

from pipeline.errors import UserError
from pipeline.evaluate.open_rows import OpenItem
from pipeline.models.chat import Message
from pipeline.routes import templates
from pipeline.routes.route import MOVE_WORDS, TURNS

RUBRICS = {
    "ours": "missing and invented turns both count",
    "reference": "the rules of the reference: turns that an answer leaves out cost nothing",
}
GATED = "ours"
"""The rubric by which a judge has to pass its calibration; by the other, some planted answers can't be ranked."""


@dataclass(frozen=True)
class Rubric:
    """A rubric with the digest of its template."""

    name: str
    sha256: str
    _template: templates.Prompt

    @classmethod
    def load(cls, name: str) -> "Rubric":
        """Return a rubric by its name; raise UserError for an unknown one or a mistake in its template."""
        if name not in RUBRICS:
            raise UserError(
                "--rubric", f"there is no rubric {name!r}", f"choose from {', '.join(RUBRICS)}"
            )
        template = templates.load(f"evaluate/judge/{name}.j2")
        return cls(name, template.sha256, template)

    def messages(self, item: OpenItem, answer: str) -> tuple[Message, ...]:
        """Return the request to score an answer, which is one line and can't close its tag."""
        question = self._template.render(
            "question",
            question=templates.clean(item.question),
            reference=templates.clean(item.reference),
            moves=[MOVE_WORDS[move] for move in item.moves if move in TURNS],
            landmarks=[templates.clean(name) for name in item.landmarks],
            actions=[templates.clean(name) for name in item.actions],
            answer=templates.clean(answer),
        )
        system = self._template.render("system")
        return (Message("system", (system,)), Message("user", (question,)))
