"""Scripted reviewers: accounts of their own that work through the real server, and say what they are.

No person stands behind their verdicts. Their addresses end in `@scripted.invalid`, so every verdict
that is pulled from them says `by = "script"`.
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
_SLACK_US = 1_500_000  # a careful person lets a turn begin this much before or after its line says


@dataclass(frozen=True)
class Truth:
    """What really happened in a clip; an empty description means that the drafted one will do."""

    steps: Sequence[Step]
    forward_description: str = ""
    reverse_description: str = ""


@dataclass(frozen=True)
class Reviewer:
    """An account that a script works under."""

    name: str
    email: str
    url: str
    key: str


@dataclass(frozen=True)
class AskedQuestion:
    """What an audit task shows that tells items apart: the clip's media name, question, options."""

    movie: str
    question: str
    options: tuple[str, ...]


Answer = Mapping[str, str]
Habit = Callable[[Mapping[str, Any], Truth], Answer]


def join(server: Server, client: labelstudio.LabelStudioClient, name: str) -> Reviewer:
    """Return the scripted reviewer of this name, with an account made by invitation if need be."""
    email = f"{name}{SCRIPTED}"
    password = digest("scripted reviewer", server.token, name)
    accounts.sign_up(server.url, client.invitation(), email, password, f"{name} (a script)")
    return Reviewer(name, email, server.url, accounts.log_in(server.url, email, password))


def careful(data: Mapping[str, Any], truth: Truth) -> Answer:
    """Accept what is true, correct what is not."""
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
    """Accept whatever the page shows; in every other clip, lose its last landmark in passing."""
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
    """Choose the version that is true, or write what is."""
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
    """Answer the tasks that the server serves this reviewer; return how often each verdict fell.

    `limit` ends the work after so many. Tasks of clips without a truth are skipped. `seconds` is what is reported as time spent.
    """

    def respond(data: Mapping[str, Any]) -> Answer | None:
        truth = truths.get(data.get("clip_id", ""))
        return habit(data, truth) if truth else None

    return _serve(reviewer, project, respond, "verdict", seconds, limit)


def answer(
    reviewer: Reviewer, project: str, known: Mapping[AskedQuestion, str], seconds: float = 15.0
) -> Counter[str]:
    """Answer the audit's tasks by what is known to be right; return how often each choice fell."""

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
    said: Counter[str] = Counter()
    headers = {"Authorization": f"Token {reviewer.key}"}
    with httpx.Client(base_url=reviewer.url, headers=headers, timeout=60) as session:
        found = session.get("/api/projects/", params={"title": project}).json()["results"]
        number = next((one["id"] for one in found if one["title"] == project), None)
        if number is None:
            raise UserError(reviewer.url, f"there is no project {project!r}", "push first")
        while limit is None or said.total() < limit:
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
            said[given[counts] if given else "skip"] += 1
    return said


def _control(name: str, text: str) -> dict[str, Any]:
    chosen = name in ("verdict", "choice")
    return {
        "from_name": name,
        "to_name": "frames",
        "type": "choices" if chosen else "textarea",
        "value": {"choices" if chosen else "text": [text]},
    }


def _alike(one: Sequence[Step], other: Sequence[Step]) -> bool:
    first, second = ([step for step in steps if _says(step)] for steps in (one, other))
    return len(first) == len(second) and all(
        (a.move, a.landmark, a.action, a.undo) == (b.move, b.landmark, b.action, b.undo)
        and abs(a.start_us - b.start_us) <= _SLACK_US
        for a, b in zip(first, second, strict=True)
    )


def _says(step: Step) -> bool:
    return step.move != "straight" or bool(step.landmark or step.action)
