"""The prompt templates: finding, reading, rendering and checking them; variables are data, never code.

A template is front matter (TOML between two `+++` lines) and Jinja blocks. Templates are rendered in
a sandbox, and an undefined variable is an error. `prompts/README.md` documents each template's
variables.
"""

import hashlib
import json
import tomllib
import traceback
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, Literal

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from pipeline.assets import asset
from pipeline.errors import UserError
from pipeline.routes import wording
from pipeline.routes.tasks import TASKS

_KEPT_FORMAT_CHARACTERS = (
    "\u200c\u200d"  # zero-width joiners: part of the spelling in Persian, Hindi
)
_NOTHING = {"", "null", "none", "n/a", "nothing"}


class FrontMatter(BaseModel):
    """The metadata at the top of a template."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    version: int
    output: Literal["route", "text", "items", "places", "picks", "letter", "scores"]
    category: Literal["direction", "landmark", "action"] | None = None
    orientation: Literal["forward", "reverse"] | None = None
    format: Literal["mcq", "open"] | None = None
    count: int | None = Field(None, ge=1, le=20)


@dataclass(frozen=True)
class Problem:
    """A mistake in a template, with its file and line."""

    path: str
    line: int
    what: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.what}"


class TemplateError(UserError):
    """A template that can't be read or rendered."""

    def __init__(self, problem: Problem) -> None:
        where = f"{problem.path}:{problem.line}"
        super().__init__(
            where, problem.what, "fix the template (`egost prompts check` renders all of them)"
        )
        self.problem = problem


@dataclass(frozen=True)
class Prompt:
    """One template, rendered block by block."""

    path: str
    front: FrontMatter
    sha256: str
    _template: jinja2.Template

    def render(self, block: str, **variables: object) -> str:
        """Return one block's text, stripped; raise TemplateError."""
        blocks = self._template.blocks
        if block not in blocks:
            raise TemplateError(
                Problem(self.path, 1, f"has no block {block!r}: it needs {{% block {block} %}}")
            )
        try:
            return "".join(blocks[block](self._template.new_context(dict(variables)))).strip()
        except (
            jinja2.TemplateError,
            TypeError,
            ValueError,
            ArithmeticError,
            LookupError,
            AttributeError,
            MemoryError,
        ) as error:
            raise TemplateError(
                Problem(self.path, _line(error, self._template), f"{block}: {error}")
            ) from error


def load(name: str) -> Prompt:
    """Read `prompts/<name>`; raise UserError with the file and line of a mistake."""
    return read(asset(f"prompts/{name}"), f"prompts/{name}")


def load_task(name: str) -> Prompt:
    """Read `prompts/tasks/<name>.j2`; raise UserError if it is missing or its front matter is incomplete."""
    known = {path.stem: path for path in _task_files()}
    if name not in known:
        raise UserError(
            f"draft.tasks: {name!r}",
            f"there is no prompts/tasks/{name}.j2",
            f"write one, or name one of these: {', '.join(known) or 'none'}",
        )
    return _read_task(known[name])


def _read_task(path: Path) -> Prompt:
    prompt = read(path, f"prompts/tasks/{path.name}")
    front = prompt.front
    needed = ("category", "orientation", "format", "count")
    missing = [name for name in needed if getattr(front, name) is None]
    what = ""
    if missing or front.output != "items":
        what = f'a task needs output = "items" and {", ".join(missing or needed)}'
    elif front.name != path.stem or front.name in {task.name for task in TASKS}:
        what = f"name has to be the file's own ({path.stem}) and none of the eight composed tasks"
    if what:
        raise TemplateError(Problem(prompt.path, 1, f"front matter: {what}"))
    return prompt


def _task_files() -> list[Path]:
    return sorted(asset("prompts").glob("tasks/*.j2"))


def read(path: Path, shown: str) -> Prompt:
    """Read the template at `path`, called `shown` in errors."""
    data = path.read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise TemplateError(Problem(shown, line, "not valid UTF-8")) from error
    front, body = _split(text, shown)
    environment = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    try:
        tree = environment.parse(body, name=shown, filename=shown)
        _check_whole(tree, shown)
        code = environment.compile(tree, name=shown, filename=shown)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(
            Problem(shown, error.lineno, error.message or "not a template")
        ) from error
    template = jinja2.Template.from_code(environment, code, environment.make_globals(None))
    return Prompt(shown, front, hashlib.sha256(data).hexdigest(), template)


def _check_whole(tree: nodes.Template, shown: str) -> None:
    """Raise TemplateError for mistakes that rendering may miss, since it doesn't take every branch."""
    for node in tree.body:
        if isinstance(node, nodes.Block):
            continue
        for part in node.nodes if isinstance(node, nodes.Output) else [node]:
            text = part.data if isinstance(part, nodes.TemplateData) else "?"
            if text.strip():
                line = part.lineno + text[: len(text) - len(text.lstrip())].count("\n")
                raise TemplateError(
                    Problem(
                        shown, line, "this text is outside all blocks, so no model would see it"
                    )
                )
    unknown = meta.find_undeclared_variables(tree) - SAMPLE.keys()
    for name in tree.find_all(nodes.Name):
        if name.name in unknown:
            raise TemplateError(Problem(shown, name.lineno, f"{name.name!r} is undefined"))


def _split(text: str, shown: str) -> tuple[FrontMatter, str]:
    lines = text.split("\n")
    if lines[0].strip() != "+++" or "+++" not in (line.strip() for line in lines[1:]):
        raise TemplateError(
            Problem(shown, 1, "front matter is missing: begin with TOML between two `+++` lines")
        )
    end = next(number for number, line in enumerate(lines[1:], start=1) if line.strip() == "+++")
    toml = "\n".join(["", *lines[1:end], ""])
    try:
        front = FrontMatter.model_validate(tomllib.loads(toml))
    except tomllib.TOMLDecodeError as error:
        line = wording.toml_line(error, toml)
        raise TemplateError(Problem(shown, line, f"front matter: {error}")) from error
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        line = next(
            (n for n, text in enumerate(lines[:end], 1) if text.strip().startswith(name)), 1
        )
        raise TemplateError(
            Problem(shown, line, f"front matter: {name}: {first['msg']}")
        ) from error
    return front, "\n" * (end + 1) + "\n".join(lines[end + 1 :])  # keeps the file's line numbers


def _line(error: BaseException, template: jinja2.Template) -> int:
    """Return the template line where rendering failed, from the traceback of the compiled code."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == template.filename]
    return template.get_corresponding_lineno(lines[-1]) if lines and lines[-1] else 1


def clean(text: str) -> str:
    """Return one line of text: NFC, single spaces, no invisible characters.

    Control, private-use and surrogate characters are removed. Angle brackets are replaced, so that
    the text can't close the tags that enclose it in a prompt.
    """
    kept = (
        " " if character.isspace() else character
        for character in unicodedata.normalize("NFC", text).translate({60: "\u2039", 62: "\u203a"})
        if character.isspace()
        or character in _KEPT_FORMAT_CHARACTERS
        or not unicodedata.category(character).startswith("C")
    )
    return " ".join("".join(kept).split())


def fact(text: str | None) -> str | None:
    """Return a landmark or action cleaned, or None if the text means that there is none."""
    cleaned = clean(text or "")
    return None if cleaned.lower() in _NOTHING else cleaned


SAMPLE: Mapping[str, Any] = {
    "clip": {"file": "kitchen.mp4", "seconds": 32.5},
    "frame": {"number": 1, "seconds": 0.0},
    "frames": [{"number": 1, "seconds": 0.0}, {"number": 2, "seconds": 12.5}],
    "turns": [
        {
            "start": 4.0,
            "end": 6.5,
            "kind": "left",
            "degrees": 88,
            "glance": False,
            "confidence": 0.9,
        },
        {
            "start": 9.0,
            "end": 9.8,
            "kind": "right",
            "degrees": -50,
            "glance": True,
            "confidence": 0.4,
        },
    ],
    "stays": [{"start": 12.0, "end": 20.5, "confidence": 0.8}],
    "narrations": [
        {
            "seconds": 3.0,
            "text": "I pass the sink",
            "landmark": "sink",
            "action": None,
            "undo": None,
        }
    ],
    "names": [
        {"number": 1, "kind": "action", "name": "opens the door"},
        {"number": 2, "kind": "landmark", "name": "sink"},
    ],
    "questions": [
        {
            "number": 1,
            "text": "Which comes first?",
            "options": [{"letter": "A", "text": "the sink"}, {"letter": "B", "text": "the door"}],
        }
    ],
    "medium": "frames",
    "reference": "Turn left past the sink, then turn right.",
    "answer": "They turn left, then right.",
    "moves": ["turn left", "turn right"],
    "landmarks": ["sink"],
    "actions": ["opens the door"],
    "question": "Which comes first?",
    "options": [{"letter": "A", "text": "the sink"}, {"letter": "B", "text": "the door"}],
    "statement": "first turn left",
    "statements": ["first turn left", "last turn right"],
    "ahead": "Forward:\n- 2.0 s to 3.5 s: turn: left",
    "back": "on the way back",
    "other": "last turn right",
    "others": ["last turn right", "sink before door"],
    "things": ["door", "sink"],
    "times": ["2.0 s", "12.5 s"],
    "letters": "A and C",
    "deeds": "; actions keep their names",
    "schema": '{"type": "object"}',
    "problems": ["steps[1].start_seconds: 45 is after the clip ends (32.5)"],
    "steps": [
        {"move": "straight", "words": "go straight", "landmark": "sink", "action": None},
        {"move": "left", "words": "turn left", "landmark": None, "action": "opens the door"},
        {"move": "stay", "words": "stay in place", "landmark": "sink", "action": None},
    ],
    "orientation": "forward",
    "count": 1,
    "language": "English",
    "say": {
        "back": "turn around",
        "then": ", then",
        "past": "past {landmark}",
        "at": "at {landmark}",
        "prepositions": ["past"],
        "left": "left",
        "right": "right",
    },
}
"""A sample value of every template variable; `prompts/README.md` lists which template gets which."""

_THINK = (
    *("walk", "time", "undone", "kept", "left_out", "numbers", "confirm", "conclude"),
    *(f"open_{what}" for what in ("forward", "reverse", "route")),
    *(f"lead_{what}" for what in ("reverse", "check", "route")),
    *(f"{what}_{way}" for what in ("turn", "order", "conclude") for way in ("forward", "reverse")),
)
_BLOCKS = {
    "route.j2": ("system", "frame", "question"),
    "guess.j2": ("system", "question"),
    "blind.j2": ("system", "question"),
    "training/write.j2": ("system", "question"),
    **{f"training/think.{language}.j2": _THINK for language in ("en", "de")},
    "repair.j2": ("question",),
    "describe.j2": ("text",),
    **{
        f"evaluate/{folder}{name}.j2": ("frame", "question")
        for folder in ("", "open/")
        for name in ("ours", "reference", "direct")
    },
    **{f"evaluate/judge/{name}.j2": ("system", "question") for name in ("ours", "reference")},
}


def check_prompts() -> list[Problem]:
    """Render every template with sample data in every language; return the mistakes with file and line."""
    languages, wrong = wording.check()
    problems = [_problem(error) for error in wrong]
    wordings = [{"say": one.description, "language": one.name} for one in languages.values()]
    for path, shown, blocks in _all():
        try:
            prompt = _read_task(path) if "/tasks/" in shown else read(path, shown)
        except TemplateError as error:
            problems.append(error.problem)
            continue
        for block in blocks:
            for orientation, words in product(("forward", "reverse"), wordings or [{}]):
                try:
                    text = prompt.render(block, **{**SAMPLE, "orientation": orientation, **words})
                except TemplateError as error:
                    problems.append(error.problem)
                else:
                    if not text:
                        problems.append(
                            Problem(shown, 1, f"the block {block!r} renders to nothing")
                        )
    return list(dict.fromkeys(problems))


def _problem(error: UserError) -> Problem:
    path, _, line = error.where.rpartition(":")
    return Problem(path, int(line), f"{error.what} (fix: {error.fix})")


def _all() -> Iterator[tuple[Path, str, tuple[str, ...]]]:
    for name, blocks in _BLOCKS.items():
        yield asset(f"prompts/{name}"), f"prompts/{name}", blocks
    for path in _task_files():
        yield path, f"prompts/tasks/{path.name}", _BLOCKS["route.j2"]


def show_schema(schema: Mapping[str, Any]) -> str:
    """Return a JSON schema as prompt text."""
    return json.dumps(schema, ensure_ascii=False, separators=(",", ": "))
