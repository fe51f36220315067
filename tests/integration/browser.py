"""A real browser, logged in to a Label Studio server, of the size that the pages are laid out for."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

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
