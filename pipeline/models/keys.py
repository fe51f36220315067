"""Which key is sent to which server: one key for each role (drafting, tested model, judge, think texts).

The rule, in this order:

1. If the user names a variable for a role (`api_key_env`), its key is sent to that role's server, and no other.
2. Else the role's own variable counts: OPENAI_API_KEY for drafting, EGOST_MODEL_API_KEY for a tested model,
   EGOST_JUDGE_API_KEY for a judge, EGOST_SECOND_JUDGE_API_KEY for a second one, EGOST_THINK_API_KEY for the
   model that writes think texts.
3. Else OPENAI_API_KEY is used for another role if that role's server is the drafting server: the same base URL.
4. Else no key is sent. A server on this machine needs none; any other is refused before anything is sent to it.

So no key reaches the server of another role unless both are the same server or the user named the variable.
Without a workspace, the drafting server is api.openai.com, after which the variable is named.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from pipeline.errors import UserError
from pipeline.models.settings import DRAFTING_KEY, ModelSettings
from pipeline.models.wire import on_loopback

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Key:
    """The environment variable of a role's key, and its value; an empty value means that none is sent."""

    name: str
    value: str = field(default="", repr=False)


def key_for(settings: ModelSettings, environment: Mapping[str, str] = os.environ) -> Key:
    """Return the key for a role's server by the rule above; raise UserError if it can't be used."""
    named = settings.key_variable
    if named and not named.isidentifier():  # not shown: it may be the key itself
        raise UserError(
            f"{settings.section}.api_key_env",
            "is not the name of a variable",
            "give the name of the environment variable that holds the key, never the key",
        )
    own = named or settings.own_key
    key = Key(own, environment.get(own, "").strip())
    if not key.value and named:
        raise UserError(
            named,
            "is not set, but its key is to be sent to the model server",
            f"export {named}=... in the shell that runs egost, or name another variable",
        )
    if not key.value and same_server(settings.base_url, settings.drafting_server):
        key = Key(DRAFTING_KEY, environment.get(DRAFTING_KEY, "").strip())
    if not key.value and not on_loopback(settings.base_url):
        raise UserError(
            own,
            f"is not set, and {settings.base_url} needs a key",
            f"export {own}=... in the shell that runs egost",
        )
    if not (key.value.isascii() and key.value.isprintable()):
        raise UserError(
            key.name,
            "contains characters that no key has, such as a line break or an umlaut",
            f"copy the key again, then export {key.name}=... in the shell that runs egost",
        )
    return key if key.value else Key(own)


def same_server(one: str, other: str) -> bool:
    """Return whether two base URLs are the same address, however they are spelled."""
    return _address(one) == _address(other)


def _address(url: str) -> tuple[str, str, int | None, str]:
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme)
    return parts.scheme, (parts.hostname or "").rstrip("."), port, parts.path.rstrip("/")
