"""The reply to a request: the stored one, else one that is requested now, within cap, pace and attempts.

A refused, cut off or empty reply is a reply: it is stored, and not requested again. Only a request that got no reply
is repeated: in another form if the server refuses this one, later if it is overloaded, by the next run if it stays so.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakValueDictionary

from pipeline.errors import EgostError, UserError
from pipeline.models.budget import Budget, Reservation
from pipeline.models.chat import Form, Message, RequestKey, request_body, request_keys, size_of
from pipeline.models.completion import refusal_of
from pipeline.models.failures import RequestError
from pipeline.models.forms import Forms
from pipeline.models.journal import Journal, Reply, State
from pipeline.models.pace import Pace
from pipeline.models.prices import Price, Size
from pipeline.models.settings import ModelSettings
from pipeline.models.wire import Wire

log = logging.getLogger(__name__)

_MAX_BACK_OFF = 60.0  # seconds
_LONG = 120.0  # seconds of Retry-After; longer waits are reported
_FAILURES_IN_FORM = 2  # of a server with status 500, before the request is tried without a schema
_REFUSED_AT_FIRST = 20  # requests: if all are refused and none answered, more won't help
_NEARLY, _OVER = 0.9, 1.1  # of max_completion_tokens; some servers count a few tokens more


@dataclass(frozen=True)
class Completion:
    """A reply with its provenance: the key of its request, and what it cost (None if that isn't known)."""

    key: str
    reply: Reply
    cost_usd: float | None


class Replies:
    """The replies of one model, by request; `get` may be called concurrently."""

    def __init__(
        self,
        settings: ModelSettings,
        wire: Wire,
        journal: Journal,
        price: Price,
        *,
        pace: Pace | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.settings, self.journal, self.price, self.sleep = settings, journal, price, sleep
        self.budget = Budget(settings, journal)
        self.wire = wire
        self._pace = pace or Pace(
            settings.in_flight,
            settings.requests_per_minute,
            settings.tokens_per_minute,
            sleep=sleep,
        )
        self._forms = {plain: Forms(settings, plain=plain) for plain in (True, False)}
        self._requesting: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._final: UserError | None = None
        self._answered, self._refused = False, 0
        self._too_long = False  # a reply was, and that was reported

    async def get(
        self, messages: tuple[Message, ...], schema: Mapping[str, Any] | None, repeat: int = 0
    ) -> list[Completion]:
        """Return the stored reply to these messages in any form, or request one; without a schema, text.

        A reply that the server cut off early comes first, if another form had to be tried; the last
        one counts. Raises RowError or UserError.
        """
        keys = request_keys(self.settings, messages, schema, repeat)
        forms = self.forms(plain=schema is None)
        lock = self._requesting.setdefault(next(iter(keys.values())).key, asyncio.Lock())
        async with lock:  # two clips with the same request pay for it once
            found = self.stored(keys)
            while True:
                if not found:
                    self._refuse_batched(keys)
                    form = forms.current
                elif not self._cut_early(list(found.values())[-1].reply):
                    return list(found.values())
                elif other := self._other_limit(forms, found):
                    form = other
                else:
                    return list(found.values())
                try:
                    form, made = await self._request(keys, messages, schema, form, list(found))
                except RequestError as error:
                    if found and error.about != "moment":  # only the first form is answered
                        forms.limit_is_known()
                        return list(found.values())
                    raise self.final_error(error) from error
                if found:
                    forms.limit_is_known(None if self._cut_early(made.reply) else form)
                found[form] = made

    def forms(self, *, plain: bool) -> Forms:
        """Return what is known about the forms of requests for text, or of those with a schema."""
        return self._forms[plain]

    def stored(self, keys: Mapping[Form, RequestKey]) -> dict[Form, Completion]:
        """Return the stored replies to a request: one, and before it those that were cut off early."""
        found: dict[Form, Completion] = {}
        for form, known in keys.items():
            if kept := self.journal.ledger.reply(known.key):
                found[form] = Completion(known.key, *kept)
                if not self._cut_early(kept[0]):
                    break
        return found

    def _refuse_batched(self, keys: Mapping[Form, RequestKey]) -> None:
        if any(self.journal.ledger.batch_of(known.key) for known in keys.values()):
            raise UserError(
                self.settings.base_url,
                "a batch that isn't collected yet holds this request; it would be paid for twice",
                "run this with a batch again: it waits for the one that was made",
            )

    def _other_limit(self, forms: Forms, found: Mapping[Form, Completion]) -> Form | None:
        other = forms.other_limit(found)
        if other:  # an earlier run may have found out already
            of = self.settings
            least = int(_NEARLY * of.max_completion_tokens)
            forms.recall(self.journal.ledger.limits(of.base_url, of.model, least))
            other = forms.other_limit(found)
        return other

    async def _request(
        self,
        keys: Mapping[Form, RequestKey],
        messages: tuple[Message, ...],
        schema: Mapping[str, Any] | None,
        form: Form,
        tried: list[Form],
    ) -> tuple[Form, Completion]:
        """Request a reply, in other forms if this one is refused and `attempts` times if the server fails."""
        size = size_of(self.settings, messages, self.price)
        forms = self.forms(plain=schema is None)
        refusal: RequestError | None = None
        failed, failed_in_form, back_off = 0, 0, 0.0
        tried = [*tried, form]
        while True:
            await self.sleep(back_off)
            body = request_body(self.settings, messages, schema, form)
            try:
                made = await self._send(keys[form], body, size, plain=schema is None)
            except RequestError as error:
                back_off = 0.0
                if error.about == "moment":
                    failed, failed_in_form = failed + 1, failed_in_form + error.form
                    if failed == self.settings.attempts:
                        error.what = (
                            f"the model server failed {failed} times, the last time: {error.what}"
                        )
                        raise
                    back_off = min(_MAX_BACK_OFF, 0.5 * 2 ** (failed - 1)) * random.uniform(
                        0.5, 1.5
                    )
                    if failed_in_form < _FAILURES_IN_FORM:
                        continue
                if refusal is None or error.kind not in ("schema", "limit"):
                    refusal = error
                following = forms.next(tried, error)
                if following:
                    form, failed_in_form = following, 0
                    tried.append(form)
                elif error.about != "moment":
                    raise refusal from None
            else:
                forms.accepted(form, refusal)
                return form, made

    async def _send(
        self, known: RequestKey, body: Mapping[str, Any], size: Size, *, plain: bool
    ) -> Completion:
        """Send one request, with its place in pace, budget and journal.

        Asked for text, a filter that refuses the request is the model's reply, and stored like one.
        """
        most = self.price.cost(size.most_tokens, self.settings.max_completion_tokens)
        async with (
            self._pace.slot(size.likely_tokens) as sent,
            self.budget.reserved(most) as reserved,
        ):
            if self._final is not None:
                reserved.cost = 0.0
                raise self._final
            number = await self.journal.sending(known.key, self.settings.model, reserved.usd)
            begun = time.monotonic()
            try:
                reply = await self.wire.send(body)
            except RequestError as error:
                if error.about != "clip" or not plain:
                    await self._book(error, number, reserved)
                    self._slow_down(error, sent)
                    raise
                reply = refusal_of(error)
            self._warn_of_length(reply)
            reply = replace(reply, seconds=round(time.monotonic() - begun, 3))
            cost = self.price.of(reply.input_tokens, reply.output_tokens)
            reserved.cost = reserved.usd if cost is None else cost
            await self.journal.keep(number, known.key, known.request, reply, cost)
            self._pace.went_well()
            self._answered = True
            return Completion(known.key, reply, cost)

    def stop(self, error: UserError) -> None:
        """Send nothing more, but raise this error; stored replies are found as before."""
        self._final = self._final or error

    def go_on(self) -> None:
        """Let further requests be sent after an error that stopped them: it concerned one kind of request."""
        self._final = None

    async def _book(self, error: RequestError, number: int, reserved: Reservation) -> None:
        cost = self.price.cost(*error.tokens) if error.tokens else None
        state: State = "unknown" if error.unknown else "paid" if error.tokens else "failed"
        reserved.cost = reserved.usd if error.unknown else cost or 0.0
        await self.journal.settle(number, state, error.what, cost)

    def _slow_down(self, error: RequestError, sent: float) -> None:
        if error.overload:
            self._pace.pushed_back(sent)
        self._pace.close_for(error.wait_seconds)
        if error.wait_seconds > _LONG:
            log.warning("the server asked to wait %.0f s: waiting", error.wait_seconds)

    def _warn_of_length(self, reply: Reply) -> None:
        most = self.settings.max_completion_tokens
        if (reply.output_tokens or 0) > _OVER * most and not self._too_long:
            self._too_long = True
            log.warning(
                f"a reply has {reply.output_tokens} tokens although max_completion_tokens is {most}: the"
                f' server may not know the limit by this name; {self.settings.section}.limit_name = "both"'
                " sends both names"
            )

    def final_error(self, error: RequestError) -> EgostError:
        """Return what to raise; a server that refuses every request stops the run."""
        final = error.final(self.settings.base_url)
        if error.about == "request" and not self._answered:
            self._refused += 1
            if self._refused >= _REFUSED_AT_FIRST:
                what = f"refused the first {self._refused} requests, the last time: {error.what}"
                final = UserError(self.settings.base_url, what, error.fix)
        if isinstance(final, UserError):
            self.stop(final)
        return final

    def _cut_early(self, reply: Reply) -> bool:
        return cut_early(reply, self.settings)


def cut_early(reply: Reply, settings: ModelSettings) -> bool:
    """Return whether a reply was cut off well before the limit: the server may not know its name."""
    return reply.finish == "length" and reply.most_tokens < _NEARLY * settings.max_completion_tokens
