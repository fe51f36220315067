"""Scripted reviewers with their own accounts on the real server, marked as scripts.

Their addresses end in `@scripted.invalid`, so every verdict pulled from them has `by = "script"` and
never counts as a person's.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from typing import Any

import httpx

from pipeline.engine.rows import digest
from pipeline.errors import UserError
from pipeline.labelstudio import accounts
from pipeline.labelstudio import client as labelstudio
from pipeline.labelstudio.server import Server
from pipeline.review.verdicts import SCRIPTED
from pipeline.routes import route
from pipeline.routes.rows import Step

_OPTIONS = 4
_SLACK_US = (
    1_500_000  # a careful person accepts a turn that starts this much before or after its line
)


@dataclass(frozen=True)
class Truth:
    """The ground truth of a clip; an empty description stands for the drafted one."""

    steps: Sequence[Step]
    forward_description: str = ""
    reverse_description: str = ""


@dataclass(frozen=True)
class Reviewer:
    """A script's account."""

    name: str
    email: str
    url: str
    key: str


@dataclass(frozen=True)
class AskedQuestion:
    """The parts of an audit task that identify its item: the clip's media name, question, options."""

    movie: str
    question: str
    options: tuple[str, ...]


Answer = Mapping[str, str]
Habit = Callable[[Mapping[str, Any], Truth], Answer]


def join(server: Server, client: labelstudio.LabelStudioClient, name: str) -> Reviewer:
    """Return the scripted reviewer of this name, signing up by invitation if necessary."""
    email = f"{name}{SCRIPTED}"
    password = digest("scripted reviewer", server.token, name)
    accounts.sign_up(server.url, client.invitation(), email, password, f"{name} (a script)")
    return Reviewer(name, email, server.url, accounts.log_in(server.url, email, password))


def careful(data: Mapping[str, Any], truth: Truth) -> Answer:
    """Accept correct drafts, correct the others."""
    drafted = [Step.model_validate(step) for step in data["draft_steps"]]
    forward = truth.forward_description or data["forward"]
    back = truth.reverse_description or data["reverse"]
    if _alike(drafted, truth.steps):
        lines = data["steps"]
    else:
        lines = route.print_lines(truth.steps, data["start_us"])
    edited = (lines, forward, back) != (data["steps"], data["forward"], data["reverse"])
    return {
        "verdict": "corrected" if edited else "accept",
        "steps": lines,
        "forward": forward,
        "reverse": back,
    }


def hasty(data: Mapping[str, Any], truth: Truth) -> Answer:
    """Accept every draft; in half of the clips, accidentally remove the last landmark."""
    shown = {name: str(data[name]) for name in ("steps", "forward", "reverse")}
    steps = [Step.model_validate(step) for step in data["draft_steps"]]
    named = [place for place, step in enumerate(steps) if step.landmark]
    if not named or int(digest("hasty", data["clip_id"]), 16) % 2:
        return {"verdict": "accept", **shown}
    steps[named[-1]] = steps[named[-1]].model_copy(update={"landmark": None})
    return {
        "verdict": "corrected",
        **shown,
        "steps": route.print_lines(steps, data["start_us"]),
    }


def adjudicate(data: Mapping[str, Any], truth: Truth) -> Answer:
    """Choose the correct version, or write it."""
    for letter, version in data["versions"].items():
        steps = [Step.model_validate(step) for step in version["steps"]]
        if version["verdict"] != "reject" and _alike(steps, truth.steps):
            return {"verdict": letter}
    return careful(data, truth)


def work(
    reviewer: Reviewer,
    project: str,
    truths: Mapping[str, Truth],
    habit: Habit = careful,
    seconds: float = 20.0,
    limit: int | None = None,
) -> Counter[str]:
    """Answer the tasks that the server assigns to this reviewer; return the count of each verdict.

    `limit` is the greatest number of tasks. Tasks of clips without ground truth are skipped.
    `seconds` is the reported lead time.
    """

    def respond(data: Mapping[str, Any]) -> Answer | None:
        truth = truths.get(data.get("clip_id", ""))
        return habit(data, truth) if truth else None

    return _serve(reviewer, project, respond, "verdict", seconds, limit)


def answer(
    reviewer: Reviewer, project: str, known: Mapping[AskedQuestion, str], seconds: float = 15.0
) -> Counter[str]:
    """Answer the audit tasks with the known answers; return the count of each choice."""

    def respond(data: Mapping[str, Any]) -> Answer:
        options = tuple(unescape(one["html"]) for one in data["choices"])
        movie = str(data["clip"]).rpartition("media/")[2]
        asked = AskedQuestion(movie, data["question"], options[:_OPTIONS])
        return {"choice": known.get(asked, "unsure")}

    return _serve(reviewer, project, respond, "choice", seconds, None)


def _serve(
    reviewer: Reviewer,
    project: str,
    respond: Callable[[Mapping[str, Any]], Answer | None],
    counts: str,
    seconds: float,
    limit: int | None,
) -> Counter[str]:
    counted: Counter[str] = Counter()
    headers = {"Authorization": f"Token {reviewer.key}"}
    with httpx.Client(base_url=reviewer.url, headers=headers, timeout=60) as session:
        found = session.get("/api/projects/", params={"title": project}).json()["results"]
        number = next((one["id"] for one in found if one["title"] == project), None)
        if number is None:
            raise UserError(reviewer.url, f"there is no project {project!r}", "push first")
        while limit is None or counted.total() < limit:
            served = session.get(f"/api/projects/{number}/next/")
            if served.status_code == 404:  # nothing left
                break
            task = served.raise_for_status().json()
            given = respond(task["data"])
            session.post(
                f"/api/tasks/{task['id']}/annotations/",
                json={
                    "result": [_control(name, text) for name, text in (given or {}).items()],
                    "was_cancelled": given is None,
                    "lead_time": seconds,
                },
            ).raise_for_status()
            counted[given[counts] if given else "skip"] += 1
    return counted


def _control(name: str, text: str) -> dict[str, Any]:
    chosen = name in ("verdict", "choice")
    return {
        "from_name": name,
        "to_name": "frames",
        "type": "choices" if chosen else "textarea",
        "value": {"choices" if chosen else "text": [text]},
    }


def _alike(one: Sequence[Step], other: Sequence[Step]) -> bool:
    first, second = ([step for step in steps if _has_content(step)] for steps in (one, other))
    return len(first) == len(second) and all(
        (a.move, a.landmark, a.action, a.undo) == (b.move, b.landmark, b.action, b.undo)
        and abs(a.start_us - b.start_us) <= _SLACK_US
        for a, b in zip(first, second, strict=True)
    )


def _has_content(step: Step) -> bool:
    return step.move != "straight" or bool(step.landmark or step.action)
