"""What a failure is about, row by row, and the words of servers whose errors have shapes of their own."""

import json
from typing import Any

import pytest

from pipeline.errors import RowError, UserError
from pipeline.models.error_body import read_error, seconds_in_words, wait_seconds
from pipeline.models.failures import TABLE, Names, failure, kind_of, meaning_of

NOW = 1_800_000_000.0


def said(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"message": message, **more}}


GEMINI = [
    {
        "error": {
            "code": 429,
            "message": "You exceeded your current quota.",
            "status": "RESOURCE_EXHAUSTED",
            "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36s"}],
        }
    }
]
FASTAPI = {
    "detail": [{"loc": ["body", "max_completion_tokens"], "msg": "Extra inputs", "input": 9}]
}

# status, body, kind, what it is about, another form may help
CASES = [
    (400, said("filtered", code="content_filter"), "filter", "clip", False),
    (403, said("Input flagged by moderation"), "filter", "clip", False),
    (200, said("Blocked by our content policy"), "filter", "clip", False),
    (429, said("exceeded your quota", code="insufficient_quota"), "quota", "server", False),
    (400, said("Your credit balance is too low"), "quota", "server", False),
    (402, said("Payment"), "other", "server", False),
    (400, [said("API key not valid.", status="INVALID_ARGUMENT")], "key", "server", False),
    (403, {"message": "The security token is invalid"}, "key", "server", False),
    (401, "Unauthorized", "key", "server", False),
    (401, "", "other", "server", False),
    (400, said("image_url is only supported by certain models"), "vision", "server", False),
    (500, said("image input is not supported"), "vision", "server", False),
    (404, said("No endpoints found that support image input"), "vision", "server", False),
    (400, said("'messages[1].content': expected a string, but got an array"), "vision", "server", False),
    (422, {"detail": [{"loc": ["content"], "msg": "Input should be a valid string"}]}, "vision", "server", False),
    (400, said("This model cannot process images"), "vision", "server", False),
    (400, said("Could not process image"), "other", "request", True),
    (400, said("maximum context length is 4096; max_tokens"), "size", "request", False),
    (400, said("At most 1 image(s) may be provided"), "size", "request", False),
    (413, "<html><title>413 Request Entity</title></html>", "other", "request", False),
    (429, said("Request too large", code="rate_limit_exceeded"), "size", "request", False),
    (400, said("unsupported value", param="temperature"), "temperature", "server", False),
    (422, FASTAPI, "limit", "server", True),
    (422, {"object": "error", "message": FASTAPI}, "limit", "server", True),
    (400, said("Use 'max_tokens' instead", param="max_completion_tokens"), "limit", "server", True),
    (500, said("unexpected keyword 'max_completion_tokens'"), "limit", "moment", True),
    (400, said("This model does not support JSON output"), "schema", "request", True),
    (500, said("Failed to compile grammar"), "schema", "request", True),
    (503, said("xgrammar backend failed"), "schema", "request", True),
    (404, said("No endpoints can handle the requested parameters"), "schema", "request", True),
    (400, {"__type": "x#ThrottlingException", "message": "slow down"}, "busy", "moment", False),
    (200, {"error": "Unexpected endpoint or method."}, "address", "server", False),
    (400, {"message": "Invalid model: foo"}, "model", "server", False),
    (404, said("It does not exist or you do not have access to it", code="model_not_found"), "model", "server", False),
    (404, {"detail": "Not Found"}, "other", "server", False),
    (307, "", "other", "server", False),
    (407, "", "other", "server", False),
    (429, GEMINI, "busy", "moment", False),
    (408, "", "other", "moment", False),
    (424, {"error": "Request failed during generation"}, "other", "moment", False),
    (500, said("oh no"), "other", "moment", True),
    (503, said("loading"), "other", "moment", False),
    (529, said("Overloaded"), "busy", "moment", False),
    (200, said("odd"), "other", "moment", False),
    (400, said("odd"), "other", "request", True),
    (403, "Forbidden", "other", "request", True),
    (422, {"detail": "odd"}, "other", "request", True),
    (501, said("odd"), "other", "request", True),
]  # fmt: skip


@pytest.mark.parametrize(("status", "body", "kind", "about", "form"), CASES)
def test_each_failure_is_about_the_clip_or_the_server(
    status: int, body: object, kind: str, about: str, form: bool
) -> None:
    found = failure(status, read_error(body, NOW), Names("m"))
    assert (found.kind, found.about, found.form) == (kind, about, form)
    assert found.fix
    final = found.final("http://server")
    if about == "server":
        assert isinstance(final, UserError)
    else:  # only what is about the clip is stored; the rest is asked again by the next run
        assert isinstance(final, RowError)
        assert final.again is (about != "clip")


def test_every_row_of_the_table_has_a_case() -> None:
    met = [meaning_of(status, kind_of(read_error(body, NOW))) for status, body, *_ in CASES]
    assert [row for row in TABLE if row not in met] == []


def test_only_a_refusal_of_content_is_stored_against_a_clip() -> None:
    assert {row.kind for row in TABLE if row.about == "clip"} == {"filter"}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (GEMINI, "You exceeded your current quota."),
        (FASTAPI, "body.max_completion_tokens: Extra inputs"),
        ({"detail": "Not Found"}, "Not Found"),
        ({"object": "error", "message": FASTAPI}, "body.max_completion_tokens: Extra inputs"),
        ({"object": "error", "message": "of vLLM", "code": 400}, "of vLLM"),
        ({"error": "of Ollama"}, "of Ollama"),
        ({"type": "error", "error": {"type": "x", "message": "of Anthropic"}}, "of Anthropic"),
        ({"statusCode": 401, "message": "of Azure"}, "of Azure"),
        ({"Message": "of Bedrock"}, "of Bedrock"),
        (said("Provider error", metadata={"raw": '{"error": {"message": "cause"}}'}), "Provider error: cause"),
        ({"title": "Bad Request", "detail": "why"}, "Bad Request: why"),
        ({"success": False, "errors": [{"code": 7, "message": "of Cloudflare"}]}, "of Cloudflare"),
        ("plain\x1b[31m\n text", "plain [31m text"),
        ("<html><head><title>502 Bad &amp; Gateway</title></head><h1>x</h1></html>", "502 Bad & Gateway"),
        ("<Error><Code>AccessDenied</Code><Message>No</Message></Error>", "AccessDenied No"),
        (b'{"error": {"message": "bytes"}}', "bytes"),
        (b"\xff\xfe", "��"),
        ("", ""),
        (None, ""),
        ({"hello": "world"}, ""),
    ],
)  # fmt: skip
def test_the_words_of_every_kind_of_server_are_shown(body: object, words: str) -> None:
    assert read_error(body, NOW).text == words


def test_an_error_that_echoes_the_request_shows_its_message_only() -> None:
    body = {"detail": [{"loc": ["body", "x"], "msg": "no", "input": {"image": "A" * 1_000_000}}]}
    assert read_error(json.dumps(body), NOW).text == "body.x: no"


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({}, GEMINI, 36.0),
        ({"retry-after": "7"}, GEMINI, 36.0),
        ({"retry-after": "50"}, GEMINI, 50.0),
        ({}, said("Please try again in 1m30s."), 90.0),
        ({}, said("Please retry after 12 seconds"), 12.0),
        ({}, {"error": "loading", "estimated_time": 20.0}, 20.0),
        ({}, {"error": "x", "retry_after": {"seconds": 5}}, 5.0),
        ({"x-ratelimit-reset-requests": "20s", "x-ratelimit-remaining-requests": "0"}, {}, 20.0),
        ({"x-ratelimit-reset-requests": "20s", "x-ratelimit-remaining-requests": "3"}, {}, 0.0),
        ({"x-ratelimit-reset": "1800000030500"}, {}, 30.5),
        ({}, said("x", metadata={"headers": {"X-RateLimit-Reset": "1800000040"}}), 40.0),
        ({}, said("x", metadata={"headers": {"X-RateLimit-Reset": "1743292800000"}}), 0.0),
    ],
)
def test_a_server_is_left_alone_for_as_long_as_it_asks(
    headers: dict[str, str], body: object, seconds: float
) -> None:
    found = failure(429, read_error(body, NOW), Names("m"), wait_seconds=wait_seconds(headers, NOW))
    assert (found.about, found.overload, found.wait_seconds) == ("moment", True, seconds)


@pytest.mark.parametrize("text", ["", "retry 3 models", "wait for 3 more", "in 171ms"])
def test_no_wait_is_read_where_none_is_asked_for(text: str) -> None:
    assert seconds_in_words(text) == 0
