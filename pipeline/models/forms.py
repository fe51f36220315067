"""Which form of request a server accepts, as learned from its refusals and replies."""

import logging
from collections.abc import Collection, Mapping, Sequence

from pipeline.models.chat import Form, forms
from pipeline.models.failures import RequestError
from pipeline.models.settings import ModelSettings

log = logging.getLogger(__name__)


class Forms:
    """The forms of requests that one server is asked in; `current` is the one that was accepted."""

    def __init__(self, settings: ModelSettings, *, plain: bool) -> None:
        either = settings.limit_name == "auto"
        known = forms(settings, plain=plain)
        self._all = [
            form
            for form in known
            if form.limit == settings.limit_name or (either and form.limit != "both")
        ]
        self._section = settings.section
        self.current = self._all[0]
        self._accepted = False  # a request in the current form was answered
        self._all_refused = False  # one request was refused in every form
        self._limit_known = not either

    def accepted(self, form: Form, refusal: RequestError | None) -> None:
        """Record that a request in this form was answered, and report what had to be changed for it."""
        if self._accepted:
            return
        self._accepted, first = True, self._all[0]
        self.current = form
        if refusal and first.schema and not form.schema:
            log.warning(
                f"the server refuses schemas ({refusal.what}): continuing without;"
                f" {self._section}.structured = false leaves them out from the start"
            )
        if refusal and first.limit != form.limit:
            self._report_limit(form, refusal.what)

    def next(self, tried: Sequence[Form], error: RequestError) -> Form | None:
        """Return the form in which to repeat a refused request; None if the refusal stands."""
        if self.current not in tried:
            return self.current  # another request has found it meanwhile
        if not error.form or self._accepted:
            return None
        named = error.kind in ("schema", "limit")
        if self._all_refused and not named:
            return None
        last = tried[-1]
        left = [form for form in self._all if form not in tried]
        if error.about == "moment" and error.kind != "limit":
            left = [form for form in left if last.schema and form.limit == last.limit]
        if error.kind == "limit":
            left.sort(key=lambda form: (form.limit == last.limit, form.schema != last.schema))
        self._all_refused |= not left
        return left[0] if left else None

    def other_limit(self, tried: Collection[Form]) -> Form | None:
        """Return the form with the other name of the limit, for a request whose answer was cut off early.

        None if it was tried, or if the server is known not to obey it.
        """
        names = {form.limit for form in tried}
        same = [form for form in self._all if form.schema == self.current.schema]
        left = [form for form in same if form.limit not in names]
        wanted = [form for form in left if not self._limit_known or form == self.current]
        return wanted[0] if wanted else None

    def recall(self, stored: Mapping[str, bool]) -> None:
        """Learn from stored replies: by name of the limit, whether one of them was not cut off.

        If the server has answered under both names, an earlier run has found out which it obeys: a
        reply that was cut off is not paid for again.
        """
        if not self._limit_known and len(stored) > 1:
            self._limit_known = True
            found = [form for form in self._all if form.schema == self.current.schema]
            self.current = next((form for form in reversed(found) if stored[form.limit]), found[0])

    def limit_is_known(self, form: Form | None = None) -> None:
        """Record that the server obeys the current name of the limit, or that of a form."""
        self._limit_known = True
        if form and form.limit != self.current.limit:
            self.current = form
            self._report_limit(form, "it cut an answer off")

    def _report_limit(self, form: Form, why: str) -> None:
        log.warning(
            f"the server knows the limit on tokens as {form.limit} ({why});"
            f' {self._section}.limit_name = "{form.limit}" uses it from the start'
        )
