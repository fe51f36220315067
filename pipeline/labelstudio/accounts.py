"""People's accounts on a Label Studio server: made behind an invitation, as a browser would."""

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx

from pipeline.errors import UserError
from pipeline.labelstudio.client import LabelStudioClient, unreachable


def sign_up(url: str, invitation: str, email: str, password: str, name: str) -> None:
    """Make an account behind an invitation, as a person would; an account that is there stays.

    (`users.create` of the API makes users that can't work.)
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
            return  # the address is taken: `log_in` says whether by this password
        me = browser.get("/api/current-user/whoami").json()["id"]
        browser.patch(
            f"/api/users/{me}/",
            json={"first_name": name},
            headers={"X-CSRFToken": browser.cookies["csrftoken"]},
        )


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
                "the server refuses this log-in",
                "check the address and the password",
            )
        return str(browser.get("/api/current-user/token").json()["token"])


@dataclass(frozen=True)
class LogIn:
    """What an invited person needs to begin; the password is known nowhere else."""

    name: str
    email: str
    password: str = field(repr=False)


def invite(client: LabelStudioClient, names: Sequence[str]) -> list[LogIn]:
    """Make an account for each name (or e-mail address) and return each one's log-in, once.

    Raises UserError for a name whose account is already there: its password can't be told again.
    """
    invited = []
    for name in names:
        email = name if "@" in name else f"{name.replace(' ', '.').lower()}@localhost.local"
        one = LogIn(name, email, secrets.token_urlsafe(9))
        sign_up(client.url, client.invitation(), email, one.password, name)
        log_in(client.url, email, one.password)
        invited.append(one)
    return invited


@contextmanager
def session(url: str) -> Iterator[httpx.Client]:
    """Yield what a browser is to the server: cookies, and where its forms come from."""
    try:
        with httpx.Client(base_url=url, timeout=60, headers={"Referer": url}) as browser:
            yield browser
    except httpx.HTTPError as error:
        raise unreachable(url, error) from error


def csrf(browser: httpx.Client) -> dict[str, str]:
    """Return the field that every form needs."""
    return {"csrfmiddlewaretoken": browser.cookies["csrftoken"]}
