"""A real browser, logged in to a Label Studio server, of the size that the pages are laid out for."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Playwright, sync_playwright

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-sync",
    "--disable-background-networking",
    "--disable-component-update",
]
OWNED = (
    "</script><img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
    "\u2028\u202e\u200f<!-- <answer>B</answer>"
)
"""Text that changes the title of a page in which it becomes markup."""


@contextmanager
def logged_in(
    url: str, user: str, password: str, browser_path: str, profile: Path
) -> Iterator[Page]:
    """Yield a page of a fresh profile that this user has logged in on."""
    with sync_playwright() as kit:
        browser = kit.chromium.launch_persistent_context(
            profile,
            executable_path=browser_path,
            headless=True,
            args=FLAGS,
            viewport={"width": 1440, "height": 900},
        )
        try:
            page = browser.new_page()
            page.set_default_timeout(60_000)
            page.goto(f"{url}/user/login/")
            page.fill("input[name=email]", user)
            page.fill("input[name=password]", password)
            page.click("button[type=submit]")
            page.wait_for_url(lambda now: "/user/login" not in now)
            yield page
        finally:
            browser.close()


def violations(
    kit: Playwright, browser_path: str, axe: str, urls: Sequence[str], scheme: Any
) -> list[tuple[str, str]]:
    """Return the serious violations that axe-core, a script, finds on pages, each with the first element that has it."""
    browser = kit.chromium.launch(executable_path=browser_path, args=FLAGS)
    # axe-core is a script of its own, which the pages' content security policy doesn't allow.
    context = browser.new_context(bypass_csp=True, color_scheme=scheme)
    serious = []
    for url in urls:
        page = context.new_page()
        page.goto(url)
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        page.evaluate(axe)
        found = page.evaluate("axe.run()")
        assert len(found["passes"]) > 20
        serious += [
            (one["id"], one["nodes"][0]["html"])
            for one in found["violations"]
            if one["impact"] in ("serious", "critical")
        ]
    browser.close()
    return serious
