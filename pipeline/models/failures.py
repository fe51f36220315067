"""What a failed request means: one table from status and kind of error to what it is about.

clip     the server refuses this clip's content: stored, and not asked again
request  the server can't answer this request as it is set up: asked again by the next run
server   the server answers no request (key, model, quota, address): the run stops
moment   the server can't answer now: asked again in this run, then by the next
"""

import re
from collections.abc import Collection, Set
from dataclasses import asdict, dataclass
from typing import Literal

from pipeline.errors import EgostError, RowError, UserError
from pipeline.models.error_body import ErrorBody
from pipeline.models.settings import DRAFTING_KEY, ModelSettings

About = Literal["clip", "request", "server", "moment"]
Kind = Literal[
    "filter", "quota", "key", "vision", "size", "temperature", "limit", "schema", "busy", "address",
    "model", "other",
]  # fmt: skip
LIMIT_NAMES = ("max_completion_tokens", "max_tokens")


@dataclass(frozen=True)
class Names:
    """What errors call a model, the section of its settings, the variable of its key, and fewer images."""

    model: str
    section: str = "draft"
    key: str = DRAFTING_KEY
    fewer_images: str = ModelSettings.fewer_images


class RequestError(Exception):
    """A request without a usable reply.

    `form`: the server may accept the request in another form. `unknown`: it may have done (and
    billed) the work; `tokens`: what it reports to have billed, in and out. `overload`: it is
    overloaded; `wait_seconds`: it asked clients to wait so long; `status`: its HTTP status, if it answered.
    """

    def __init__(
        self,
        about: About,
        what: str,
        fix: str = "run this again later; the replies so far are stored",
        *,
        kind: Kind = "other",
        form: bool = False,
        unknown: bool = False,
        tokens: tuple[int, int] | None = None,
        overload: bool = False,
        wait_seconds: float = 0.0,
        status: int | None = None,
    ) -> None:
        super().__init__(what)
        self.about, self.what, self.fix, self.kind, self.form = about, what, fix, kind, form
        self.unknown, self.tokens = unknown, tokens
        self.overload, self.wait_seconds, self.status = overload, wait_seconds, status

    def final(self, server: str) -> EgostError:
        """Return the error that a stage raises when the request isn't tried again."""
        if self.about == "server":
            return UserError(server, self.what, self.fix)
        return RowError(self.what, self.fix, again=self.about != "clip")


@dataclass(frozen=True)
class Meaning:
    """One row of the table; `statuses` None or `kind` None match any, and the first match counts.

    `form`: before this, the request is tried in another form (without a schema, or with the other
    name of the limit on tokens). `{reason}`, `{status}` and the `Names` are filled in.
    """

    statuses: Collection[int] | None
    kind: Kind | None
    about: About
    what: str
    fix: str
    form: bool = False


_REFUSED = {200, 400, 403, 404, 415, 422}  # 200: an error inside a reply
_NO_QUOTA = (
    "the account has no quota left: {reason}",
    "add credit or increase its limit, then run this again: nothing is paid for twice",
)
_WRONG_KEY = (
    "refused the key ({status}): {reason}",
    "set {key} to a key that may use {model}",
)
_TOO_LARGE = (
    "the request is too large for the server: {reason}",
    "use {fewer_images} or a lower {section}.max_completion_tokens, or raise the server's limit",
)
_NO_MODEL = (
    "has no model '{model}' ({reason})",
    "change {section}.model, set {key} to a key that may use it, or change {section}.base_url"
    " (it usually ends in /v1)",
)
_ANSWERED = "the server answered {status}: {reason}"
_LATER = "run this again later; the replies so far are stored"

TABLE: tuple[Meaning, ...] = (
    Meaning(
        {*_REFUSED, 451},
        "filter",
        "clip",
        "the server's content filter refused the request: {reason}",
        "leave it out, or use another model",
    ),
    Meaning({*_REFUSED, 402, 429}, "quota", "server", *_NO_QUOTA),
    Meaning({402}, None, "server", *_NO_QUOTA),
    Meaning({*_REFUSED, 401}, "key", "server", *_WRONG_KEY),
    Meaning({401}, None, "server", *_WRONG_KEY),
    Meaning(
        {*_REFUSED, 500, 501},
        "vision",
        "server",
        "the model {model} takes no images here: {reason}",
        "set {section}.model to a model that accepts images, or start the server with image support",
    ),
    Meaning({*_REFUSED, 413, 429, 500}, "size", "request", *_TOO_LARGE),
    Meaning({413, 431}, None, "request", *_TOO_LARGE),
    Meaning(
        _REFUSED,
        "temperature",
        "server",
        "refuses {section}.temperature: {reason}",
        "change {section}.temperature, or leave it unset",
    ),
    Meaning(
        _REFUSED,
        "limit",
        "server",
        "refuses the limit on output tokens: {reason}",
        "change {section}.max_completion_tokens, or use another server; with {section}.limit_name = auto,"
        f" both names are tried ({' and '.join(LIMIT_NAMES)})",
        form=True,
    ),
    Meaning(
        {500, 501},
        "limit",
        "moment",
        _ANSWERED,
        "set {section}.limit_name, or see the server's log",
        form=True,
    ),
    Meaning(
        {*_REFUSED, 500, 501, 502, 503},
        "schema",
        "request",
        "the server refused the request ({status}): {reason}",
        "set {section}.structured = false, or use another server or model",
        form=True,
    ),
    Meaning(_REFUSED, "busy", "moment", _ANSWERED, _LATER),
    Meaning(
        {200, 404, 405, 410},
        "address",
        "server",
        "is not the address of chat completions ({status}): {reason}",
        "change {section}.base_url (it usually ends in /v1)",
    ),
    Meaning(_REFUSED, "model", "server", *_NO_MODEL),
    Meaning({404, 405, 410}, None, "server", *_NO_MODEL),
    Meaning(
        range(300, 400),
        None,
        "server",
        "redirects to another address ({status})",
        "set {section}.base_url to the address that it redirects to",
    ),
    Meaning(
        {407, 511},
        None,
        "server",
        "a proxy asks for a login ({status}): {reason}",
        "set HTTPS_PROXY with the proxy's login, or use a network without it",
    ),
    Meaning({408, 409, 424, 425, 429, 498, 499}, None, "moment", _ANSWERED, _LATER),
    # A server that can't compile a schema may fail with 500 instead of refusing it.
    Meaning({500}, None, "moment", _ANSWERED, _LATER, form=True),
    Meaning(set(range(500, 600)) - {501}, None, "moment", _ANSWERED, _LATER),
    Meaning({200}, None, "moment", "the server answered with an error: {reason}", _LATER),
    Meaning(
        None,
        None,
        "request",
        "the server refused the request ({status}): {reason}",
        "see the server's message; {section}.structured = false, another {section}.model or"
        " {fewer_images} may help",
        form=True,
    ),
)
_OVERLOAD = {429, 498, 503, 529}


@dataclass(frozen=True)
class _Signs:
    """How to tell a kind of error: by one of its codes or by its words."""

    kind: Kind
    codes: Set[str]
    words: re.Pattern[str]


def _signs(kind: Kind, codes: str, words: str) -> _Signs:
    return _Signs(kind, frozenset(codes.split()), re.compile(words, re.IGNORECASE))


# The first match counts: what is more specific comes first.
_SIGNS = (
    _signs(
        "filter",
        "content_filter content_policy_violation responsibleaipolicyviolation moderation_blocked"
        " content_filtered datainspectionfailed data_inspection_failed image_content_policy_violation",
        r"content[ _-]?(?:filter|polic|management|moderation)|moderation|moderated|\bflagged\b|safety (?:system|check)"
        r"|usage (?:guidelines|polic)|inappropriate content|unsafe content|considered high risk|blocked by .{0,20}guardrail"
        r"|prohibited content|敏感|不安全",
    ),
    _signs(
        "quota",
        "insufficient_quota billing_hard_limit_reached billing_not_active insufficient_balance",
        r"insufficient (?:quota|balance|credit|fund)|credit balance|(?:out of|no) credits|requires more credits"
        r"|billing (?:hard limit|is not active|not active|disabled)",
    ),
    _signs(
        "key",
        "invalid_api_key authentication_error api_key_invalid unrecognizedclientexception"
        " expiredtokenexception accessdeniedexception permission_error permission_denied"
        " unsupported_country_region_territory",
        r"\b(?:api|subscription|access|virtual)[ _-]?key|invalid (?:api|auth|access|security) ?token|credential"
        r"|authenticat|unauthori[sz]ed|not authori[sz]ed|permission|security token|not have access"
        r"|(?:country|region|location) .{0,40}not (?:supported|available)|firewall",
    ),
    _signs(
        "vision",
        "",
        r"unknown variant .?image_url|at most 0 image|not a (?:multimodal|vision)|mmproj"
        r"|(?:image|images|image_url|image input|vision|multi-?modal\w*)\b.{0,40}\b(?:is|are|was)? ?"
        r"(?:not|n't|only|cannot) .{0,20}(?:support|enabled|allowed|accept)"
        r"|(?:not|n't|only|cannot) (?:support|accept)\w* (?:\w+ ){0,2}(?:images?\b|image_url|vision|multi-?modal)"
        r"|(?:model|server|endpoint)\b.{0,40}(?:not|n't|cannot) (?:handle|process) images"
        r"|support image input|content\b.{0,20} (?:must|should) be a (?:valid )?string|content\W.{0,20}expected a string|(?:missing|without) .{0,40}(?:for|support) image",
    ),
    _signs(
        "size",
        "context_length_exceeded exceed_context_size_error request_too_large string_above_max_length",
        r"context (?:length|size|window)|too (?:large|long|many (?:tokens|images))|exceeds? (?:the |its )?(?:\w+ ){0,3}"
        r"(?:maximum|max|(?<!rate )limit)|at most \d+ image|max_model_len",
    ),
    _signs(
        "schema",
        "json_validate_failed invalid_json_schema",
        r"response[_ ]?format|schema|json[ _-]?(?:mode|object|output)|structured[ _-]?output|guided|grammar"
        r"|additionalproperties|requested parameters",
    ),
    _signs(
        "busy",
        "throttlingexception rate_limit_exceeded rate_limit_error overloaded_error resource_exhausted overloaded",
        r"too many requests|rate[ _-]?limit|overloaded|throttl",
    ),
    _signs(
        "address", "", r"unexpected endpoint|no such (?:route|endpoint)|cannot post|unknown (?:url|request url|route)"
    ),
    _signs(
        "model",
        "model_not_found deploymentnotfound invalid_model",
        r"model\b.{0,80}(?:not found|not exist|n't exist|not a valid|not available|unavailable|not loaded)"
        r"|(?:invalid|unknown|no such|not a valid) model|not a valid model",
    ),
)  # fmt: skip


def kind_of(body: ErrorBody, *, temperature: bool = True) -> Kind:
    """Return the kind of an error; `temperature` is false if the request set none."""
    signs = {sign.kind: sign for sign in _SIGNS}

    def shows(*kinds: Kind) -> Kind | None:
        return next(
            (
                kind
                for kind in kinds
                if body.codes & signs[kind].codes or signs[kind].words.search(body.text)
            ),
            None,
        )

    def names(*parameters: str) -> bool:
        return any(name in body.parameters or name in body.text for name in parameters)

    if body.codes & signs["model"].codes:  # its words are often about the key as well
        return "model"
    first = shows("filter", "quota", "key", "vision")
    if first:
        return first
    if temperature and names("temperature"):
        return "temperature"
    if "response_format" in body.parameters:
        return "schema"
    # "max_tokens" in a message about the context's length isn't what the server refuses.
    if size := shows("size"):
        return "limit" if body.parameters & set(LIMIT_NAMES) else size
    if names(*LIMIT_NAMES):
        return "limit"
    return shows("schema", "busy", "address", "model") or "other"


def meaning_of(status: int, kind: Kind) -> Meaning:
    """Return the row of the table for a status and a kind."""
    return next(
        row
        for row in TABLE
        if (row.statuses is None or status in row.statuses) and row.kind in (None, kind)
    )


def failure(
    status: int,
    body: ErrorBody,
    names: Names,
    *,
    temperature: bool = True,
    wait_seconds: float = 0.0,
) -> RequestError:
    """Return the error for a server's refusal; `wait_seconds` is what its headers ask for."""
    kind = kind_of(body, temperature=temperature)
    row = meaning_of(status, kind)
    words = {"status": status, "reason": body.text[:300] or "no message", **asdict(names)}
    return RequestError(
        row.about,
        row.what.format(**words),
        row.fix.format(**words),
        kind=kind,
        form=row.form,
        overload=status in _OVERLOAD,
        wait_seconds=max(wait_seconds, body.wait_seconds) if row.about == "moment" else 0.0,
        status=status,
    )
