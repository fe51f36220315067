"""People's accounts on a Label Studio server, created through an invitation link as a browser would."""

import re
import secrets
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from pipeline.engine.rows import digest
from pipeline.errors import UserError
from pipeline.labelstudio.client import LabelStudioClient, unreachable


def sign_up(url: str, invitation: str, email: str, password: str, name: str) -> bool:
    """Create an account through an invitation link; return False, and change nothing, if it exists already.

    The API's `users.create` creates users without access to any project.
    """
    with session(url) as browser:
        browser.get(invitation)
        form = {
            "email": email,
            "password": password,
            "allow_newsletters": "false",
            "how_find_us": "",
            "elaborate": "",
        }
        made = browser.post(invitation, data=form | csrf(browser))
        if made.status_code != 302:
            return False
        me = browser.get("/api/current-user/whoami").json()["id"]
        browser.patch(
            f"/api/users/{me}/",
            json={"first_name": name},
            headers={"X-CSRFToken": browser.cookies["csrftoken"]},
        )
        return True


def log_in(url: str, email: str, password: str) -> str:
    """Return an account's legacy token; raise UserError for a wrong password."""
    with session(url) as browser:
        browser.get("/user/login/")
        done = browser.post(
            "/user/login/", data={"email": email, "password": password} | csrf(browser)
        )
        if done.status_code != 302:
            raise UserError(
                f"{url}: {email}",
                "the server refuses this login",
                "check the address and the password",
            )
        return str(browser.get("/api/current-user/token").json()["token"])


@dataclass(frozen=True)
class LogIn:
    """The login of an invited person; the password is stored nowhere else."""

    name: str
    email: str
    password: str = field(repr=False)


def invite(client: LabelStudioClient, names: Iterable[str]) -> Iterator[LogIn | UserError]:
    """Create an account for each name (or e-mail address); yield each login once it works.

    Yields an error for a name that fails, such as one that has an account already: its password
    can't be shown again. The other names don't depend on it.
    """
    for name in names:
        email = name if "@" in name else _address(name)
        one = LogIn(name, email, secrets.token_urlsafe(9))
        try:
            if not sign_up(client.url, client.invitation(), email, one.password, name):
                raise UserError(
                    f"{client.url}: {email}",
                    "no account was made: there is one already, or the server refuses this address",
                    "use another name; an administrator can set a new password for an old account",
                )
            log_in(client.url, email, one.password)
        except UserError as error:
            yield error
        else:
            yield one


def _address(name: str) -> str:
    """Return the login address of a name: the server accepts ASCII letters and digits only."""
    letters = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore")
    words = re.findall(r"[a-z0-9]+", letters.decode().lower())
    return f"{'.'.join(words) or f'person-{digest(name)}'}@localhost.local"


@contextmanager
def session(url: str) -> Iterator[httpx.Client]:
    """Yield an HTTP client that keeps cookies and sends a Referer, as the server's forms require."""
    try:
        with httpx.Client(base_url=url, timeout=60, headers={"Referer": url}) as browser:
            yield browser
    except httpx.HTTPError as error:
        raise unreachable(url, error) from error
    except (KeyError, ValueError) as error:  # no cookie, or an answer that isn't JSON
        what = "doesn't answer as a Label Studio server does"
        raise UserError(url, what, "check the address of the server") from error


def csrf(browser: httpx.Client) -> dict[str, str]:
    """Return the CSRF field that every form needs."""
    return {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}
