"""The page of results in Chromium: time to the first item, and from item to item, of 5,000 items of two models.

A quarter of the items is answered in words and judged. They come last in the list; both kinds are paged through.

    python benchmarks/results_page.py            5,000 items of two models
    python benchmarks/results_page.py 20000 4    20,000 items of four

Targets: open in under 2 s, and from one item to the next in under 200 ms.
"""

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "integration"))

from browser import FLAGS
from many_results import many_results

_OPEN_MS, _PAGE_MS, _STEPS, _TRIES = 2000, 200, 200, 3
_TO_NEXT = """async (key) => {
  const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const start = performance.now();
  dispatchEvent(new KeyboardEvent("keydown", { key }));
  await painted();
  return performance.now() - start;
}"""
_FILTER = """async () => {
  const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  const field = document.querySelector("select[name=outcome]");
  const start = performance.now();
  field.value = "wrong";
  field.dispatchEvent(new Event("input", { bubbles: true }));
  await painted();
  return performance.now() - start;
}"""


def measure(items: int, models: int) -> None:
    """Write the page, open it several times and page through it; print the times."""
    chromium = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if chromium is None:
        print("not measured: chromium is not installed")
        return
    with tempfile.TemporaryDirectory() as name, sync_playwright() as kit:
        started = time.perf_counter()
        path = many_results(Path(name), items, models)
        written = time.perf_counter() - started
        size = path.stat().st_size / 1e6
        print(f"{items} items of {models} models: {size:.1f} MB, written in {written:.1f} s")
        browser = kit.chromium.launch(executable_path=chromium, args=FLAGS)
        opened = []
        for _ in range(_TRIES):
            page = browser.new_page()
            page.goto(path.as_uri(), wait_until="commit")
            page.wait_for_selector(".reply")
            opened.append(page.evaluate("performance.now()"))
        steps = [page.evaluate(_TO_NEXT, "j") for _ in range(_STEPS)]
        page.select_option("select[name=task]", "route_forward")
        page.evaluate("document.activeElement.blur()")
        in_words = [page.evaluate(_TO_NEXT, "j") for _ in range(_STEPS)]
        page.select_option("select[name=task]", "")
        filtered = page.evaluate(_FILTER)
        browser.close()
    best = min(opened)
    print(f"  opened in {best:.0f} ms, {best / _OPEN_MS:.2f} of the target")
    for kind, some in (("item", steps), ("item in words", in_words)):
        slow = sorted(some)[int(0.99 * len(some))]
        print(
            f"  next {kind} in {statistics.median(some):.0f} ms, 99 % within {slow:.0f} ms, {slow / _PAGE_MS:.2f} of the target"
        )
    print(f"  filtered by outcome in {filtered:.0f} ms")


if __name__ == "__main__":
    numbers = [int(one) for one in sys.argv[1:] if one.isdecimal()]
    measure(*(numbers or [5000, 2]))
