"""Plain replies: kept as they are, whatever they say, and requested once for each repeat."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import RowError
from pipeline.models.chat import Message, PlainRequest, PromptImage, PromptVideo, request_keys
from pipeline.models.completion import read_completion
from pipeline.models.estimate import estimate
from pipeline.models.event_stream import read_stream
from pipeline.models.failures import Names, RequestError
from pipeline.models.journal import Reply, stored_reply
from pipeline.models.llm import ModelClient
from pipeline.models.replies import Completion
from pipeline.models.settings import EvaluatedModel, ModelSettings
from pipeline.models.wire import ScriptedModel
from tests.clip_rows import workspace
from tests.model_talk import table, talk

SCORED = EvaluatedModel(
    model="m", base_url="http://127.0.0.1:1/v1", max_completion_tokens=100, max_cost_usd=1000
)
ASKED = (Message("system", ("rules",)), Message("user", ("A or B?", PromptImage(b"jpeg", 4, 3))))

PINNED = [
    "ae2c2164cec7969b67eb03c0c2cc8c2a3dc6cff97b1b31a709396859db99bcfa",
    "866a820d789989250b7f19dcf52145e22b226a2a8bcb096197490726d88f3dda",
]
PINNED_REPEAT = "9ace6e92c050c8f5398b376115202ccd25101709f2106c48e72983868e09471b"


@pytest.fixture
def folder(tmp_path: Path) -> WorkspaceFolder:
    return workspace(tmp_path / "w")


def complete(
    folder: WorkspaceFolder, model: ScriptedModel, *repeats: int, settings: EvaluatedModel = SCORED
) -> list[Completion]:
    async def work(client: ModelClient) -> list[Completion]:
        return [await client.complete(ASKED, repeat=repeat) for repeat in repeats or (0,)]

    found: list[Completion] = talk(folder, model, work, settings)
    return found


def keys(settings: EvaluatedModel = SCORED, repeat: int = 0) -> list[str]:
    return [known.key for known in request_keys(settings, ASKED, None, repeat).values()]


# ---- what is kept ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        Reply("<answer>C</answer>", None, "stop", "m-1", 100, 5),
        Reply("I can't say.", None, "stop", "m-1", 100, 5),
        Reply("", None, "stop", "m-1", 100, 0),
        Reply("", "I can't look at people", "stop", "m-1", 100, 5),
        Reply("The", None, "content_filter", "m-1", 100, 5),
        Reply("<think>the door", None, "length", "m-1", 100, 100),
        Reply(
            "", None, "stop", "m-1", 100, 5, reasoning="so <answer>C</answer>", fingerprint="fp_1"
        ),
    ],
)
def test_every_reply_is_kept_as_it_is_and_not_requested_again(
    folder: WorkspaceFolder, reply: Reply
) -> None:
    model = ScriptedModel(reply)
    (first,) = complete(folder, model)
    assert "response_format" not in model.asked[0]
    assert first.key in keys()
    assert first.reply.seconds is not None
    assert first.cost_usd == pytest.approx(0.1 + 0.002 * (reply.output_tokens or 0))
    assert complete(folder, ScriptedModel()) == [first]
    kept = {name: getattr(first.reply, name) for name in ("text", "refusal", "finish", "model")}
    assert kept == {name: getattr(reply, name) for name in kept}
    assert (first.reply.reasoning, first.reply.fingerprint) == (reply.reasoning, reply.fingerprint)


def test_a_filter_that_refuses_the_request_is_a_reply(folder: WorkspaceFolder) -> None:
    (first,) = complete(
        folder, ScriptedModel(RequestError("clip", "the filter refused", kind="filter"))
    )
    assert (first.reply.refusal, first.reply.finish) == ("the filter refused", "content_filter")
    assert first.cost_usd == 0
    assert complete(folder, ScriptedModel()) == [first]


@pytest.mark.parametrize("about", ["request", "moment"])
def test_what_got_no_reply_is_asked_again_by_the_next_run(
    folder: WorkspaceFolder, about: Any
) -> None:
    failing = ScriptedModel(*(RequestError(about, "no") for _ in range(SCORED.attempts)))
    with pytest.raises(RowError, match="no") as caught:
        complete(folder, failing)
    assert caught.value.again
    (found,) = complete(folder, ScriptedModel("A"))
    assert found.reply.text == "A"


def test_each_repeat_has_its_own_reply(folder: WorkspaceFolder) -> None:
    first = complete(folder, ScriptedModel("A", "B", "C"), 0, 1, 2)
    assert [found.reply.text for found in first] == ["A", "B", "C"]
    assert complete(folder, ScriptedModel(), 0, 1, 2) == first
    assert len({found.key for found in first}) == 3


def test_two_callers_with_one_request_share_its_reply(folder: WorkspaceFolder) -> None:
    model = ScriptedModel("A")

    async def work(client: ModelClient) -> Any:
        return await asyncio.gather(*(client.complete(ASKED) for _ in range(5)))

    assert len({found.key for found in talk(folder, model, work, SCORED)}) == 1
    assert len(model.asked) == 1


# ---- keys and bodies -------------------------------------------------------------------------------


def test_keys_stay_as_they_are() -> None:
    """Another digest would pay for every stored reply of a results folder again."""
    assert keys()[:2] == PINNED
    drafting = ModelSettings(
        **SCORED.model_dump(include={"model", "base_url", "max_completion_tokens"})
    )
    forms = request_keys(drafting, ASKED, {"type": "object"})
    assert [known.key for form, known in forms.items() if not form.schema] == keys()
    assert keys(repeat=1)[0] == PINNED_REPEAT


@pytest.mark.parametrize(
    "more",
    [
        {"top_p": 0.8},
        {"top_k": 20, "seed": 7},
        {"chat_template_kwargs": {"enable_thinking": False}},
        {"mm_processor_kwargs": {"fps": 2}},
    ],
)
def test_any_field_can_be_added_to_the_body_and_is_part_of_the_key(
    folder: WorkspaceFolder, more: dict[str, Any]
) -> None:
    complete(folder, ScriptedModel("A"))
    model = ScriptedModel("B")
    changed = SCORED.model_copy(update={"extra_body": more})
    complete(folder, model, settings=changed)
    assert more.items() <= model.asked[0].items()
    stored = [json.loads(request) for (request,) in table(folder, "SELECT request FROM replies")]
    assert sum(more.items() <= request.items() for request in stored) == 1


@pytest.mark.parametrize("name", ["model", "messages", "max_tokens", "stream", "n", "temperature"])
def test_fields_that_the_client_sets_itself_are_refused(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} can't be set here"):
        EvaluatedModel(extra_body={name: 1})


@pytest.mark.parametrize("detail", ["low", "high", "auto"])
def test_the_detail_of_images_is_a_setting_and_part_of_the_key(detail: Any) -> None:
    changed = SCORED.model_copy(update={"detail": detail})
    assert (keys(changed) == keys()) is (detail == SCORED.detail)


def test_a_video_is_sent_as_a_data_url_and_counted_by_its_frames(folder: WorkspaceFolder) -> None:
    model = ScriptedModel("A")
    asked = (Message("user", ("A or B?", PromptVideo(b"mp4", 640, 360, 16))),)
    talk(folder, model, lambda client: client.complete(asked), SCORED)
    part = model.asked[0]["messages"][0]["content"][1]
    assert part == {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,bXA0"}}
    ((reserved,),) = table(folder, "SELECT reserved_usd FROM requests")
    assert reserved > 16 * 85 * 0.001


# ---- the name of the limit -------------------------------------------------------------------------

CUT = Reply("The do", None, "length", "m", 100, 16)


def test_an_early_cut_is_tried_once_with_the_other_name_and_never_again(
    folder: WorkspaceFolder,
) -> None:
    """The context may be what cuts replies off: then every item's reply is cut, whatever is asked."""
    model = ScriptedModel(CUT, CUT, CUT, CUT)
    first = complete(folder, model, 0, 1, 2)
    assert ["max_tokens" in body for body in model.asked] == [False, True, False, False]
    # Whatever comes first in the next run: it finds out from the journal.
    assert complete(folder, ScriptedModel(), 2, 1, 0) == first[::-1]


def test_a_server_that_knows_one_name_cuts_no_reply_that_is_kept(folder: WorkspaceFolder) -> None:
    known = asyncio.Event()

    class Default(ScriptedModel):
        """Cuts off at 16 tokens unless it is given max_tokens; all but the first reply are late."""

        async def send(self, body: Any) -> Reply:
            await super().send(body)
            if "max_tokens" in body:
                known.set()
                return Reply("whole", None, "stop", "m", 100, 50)
            if len(self.asked) > 1:
                await known.wait()
                await asyncio.sleep(0.1)
            return CUT

    model = Default(answer=lambda _: "")

    async def work(client: ModelClient) -> Any:
        return await asyncio.gather(*(client.complete(ASKED, repeat=n) for n in range(8)))

    assert {found.reply.text for found in talk(folder, model, work, SCORED)} == {"whole"}
    again = ScriptedModel()
    assert len(talk(folder, again, work, SCORED)) == 8
    assert not again.asked


def test_both_names_can_be_sent_and_the_reply_is_found_without(
    folder: WorkspaceFolder, caplog: pytest.LogCaptureFixture
) -> None:
    """Ollama ignores max_completion_tokens, and generates without a limit."""
    long = Reply("so long", None, "stop", "m", 100, 900)
    complete(folder, ScriptedModel(long), 1)
    assert 'evaluate.limit_name = "both"' in caplog.text
    model = ScriptedModel("A")
    complete(folder, model, settings=SCORED.model_copy(update={"limit_name": "both"}))
    assert (model.asked[0]["max_tokens"], model.asked[0]["max_completion_tokens"]) == (100, 100)
    assert complete(folder, ScriptedModel())[0].reply.text == "A"


# ---- what servers send -----------------------------------------------------------------------------


def body(**message: Any) -> dict[str, Any]:
    choice = {"message": {"content": "", **message}, "finish_reason": "stop"}
    return {"choices": [choice], "system_fingerprint": "fp_44", "model": "m-2026-01-01"}


@pytest.mark.parametrize(
    "message",
    [
        {"reasoning_content": "left of it"},
        {"reasoning": "left of it"},
        {"reasoning": "left of it", "reasoning_content": "left of it"},
        {"reasoning_details": [{"type": "reasoning.text", "text": "left of it"}]},
        {"reasoning_details": [{"type": "reasoning.summary", "summary": "left of it"}]},
        {"reasoning": "left of it", "reasoning_details": [{"text": "left of it"}]},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "left of it"}]}]},
        {"content": [{"type": "thinking", "thinking": "left of it"}]},
    ],
)
def test_reasoning_is_kept_apart_from_the_text(message: dict[str, Any]) -> None:
    reply = read_completion(body(**message), Names("m"), 0)
    assert (reply.reasoning, reply.text) == ("left of it", "")
    assert (reply.fingerprint, reply.model) == ("fp_44", "m-2026-01-01")
    assert stored_reply(reply.stored()) == reply


@pytest.mark.parametrize("message", [{"reasoning": {"effort": "high"}}, {"reasoning_details": 3}])
def test_other_things_under_these_names_are_no_reasoning(message: dict[str, Any]) -> None:
    assert read_completion(body(content="A", **message), Names("m"), 0).reasoning is None


def test_thinking_in_the_content_stays_there() -> None:
    text = "<think>left of it</think><answer>C</answer>"
    reply = read_completion(body(content=text), Names("m"), 0)
    assert (reply.text, reply.reasoning) == (text, None)


def test_reasoning_that_is_streamed_in_pieces_is_put_together() -> None:
    def event(delta: dict[str, Any], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return f"data: {json.dumps({'choices': [choice], 'usage': None})}\n\n"

    pieces = [event({"reasoning_details": [{"text": piece}]}) for piece in ("left ", "of it")]
    found = read_stream("".join([*pieces, event({"content": "C"}), event({}, "stop")]))
    reply = read_completion(found, Names("m"), 0)
    assert (reply.text, reply.reasoning, reply.output_tokens) == ("C", "left of it", None)


def test_replies_that_earlier_versions_stored_are_read() -> None:
    known = '{"text": "A", "refusal": null, "finish": "stop", "model": "m", "input_tokens": 9, "output_tokens": 2}'
    assert stored_reply(known) == Reply("A", None, "stop", "m", 9, 2)
    thought = known[:-1] + ', "elsewhere": ["<think>hm"]}'
    assert stored_reply(thought).places == ("A", "<think>hm")


# ---- the estimate ----------------------------------------------------------------------------------


def test_the_estimate_counts_what_is_missing_and_halves_a_batch(folder: WorkspaceFolder) -> None:
    priced = SCORED.model_copy(update={"input_usd_per_million": 1.0, "output_usd_per_million": 2.0})
    complete(folder, ScriptedModel("A"), 0)
    asked = [PlainRequest(ASKED, repeat) for repeat in range(5)]
    single = estimate(asked, priced, folder, guessed_output=50)
    batch = estimate(asked, priced, folder, batch=True, guessed_output=50)
    assert (single.requests, single.kept) == (4, 1)
    assert single.output_tokens == 4 * 50
    assert batch.likely_usd == pytest.approx(single.likely_usd / 2)
    assert "half price" in str(batch)
    assert "evaluate.max_cost_usd" in str(
        estimate(asked, priced.model_copy(update={"max_cost_usd": 0.0}), folder)
    )
