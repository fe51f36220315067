"""Items answered in words on the page of results, in a real browser: views, keys, scores, no markup from models."""

from pathlib import Path
from typing import Any

import pytest
from browser import OWNED, violations
from made_descriptions import add_descriptions, add_judgements, add_people, right, swapped
from made_results import knows, make_results
from playwright.sync_api import Page, Playwright, expect

from pipeline.evaluate.described_files import OPEN, read_section, write_section
from pipeline.evaluate.open_items import open_items
from pipeline.evaluate.open_rows import OpenItem
from pipeline.releases.reading import Released
from pipeline.report.results_page import write_results_page

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def items(released: Released) -> list[OpenItem]:
    """The items answered in words, by id: of the first, both models said what contains markup, of the second one refuses."""
    known = open_items(released).known.values()
    return sorted((one for one in known if one.split == "test"), key=lambda one: one.id)


@pytest.fixture(scope="module")
def path(
    released: Released, items: list[OpenItem], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A page of two models: the first is right and judged, the second swaps all sides and has no judge."""
    out = tmp_path_factory.mktemp("out")

    def second(item: OpenItem, arm: str) -> dict[str, Any]:
        said = {items[0].id: OWNED, items[1].id: "I'm sorry, but I can't help with that."}
        return {"reply": said.get(item.id, swapped(item)), "finish": "stop"}

    def first(item: OpenItem, arm: str) -> dict[str, Any]:
        found = right(item, arm)
        return found | ({"reasoning": OWNED, "finish": OWNED} if item.id == items[0].id else {})

    folders = [
        make_results(out, released, "model-a", knows(0.8)),
        make_results(out, released, "model-b", knows(0.3, 1)),
    ]
    for folder, say in zip(folders, (first, second), strict=True):
        add_descriptions(folder, released, say)
    add_judgements(folders[0], OWNED, judge=OWNED, calibrated=False)
    add_people(folders[0], items[0])
    return write_results_page(folders, released)


def current(page: Page) -> str:
    return page.locator("#item h3").inner_text()


def test_descriptions_are_filtered_paged_and_reopened(
    page: Page, path: Path, items: list[OpenItem]
) -> None:
    page.goto(path.as_uri())
    output = page.locator(".filters output")
    count = int(output.inner_text().split()[-2])
    assert count > len(items)
    page.select_option("select[name=outcome]", "described")
    expect(output).to_have_text(f"{len(items)} of {count} items")
    page.select_option("select[name=model]", "model-b")
    expect(output).to_have_text(f"{len(items) - 1} of {count} items")
    page.select_option("select[name=outcome]", "refused")
    expect(output).to_have_text(f"1 of {count} items")
    assert current(page) == items[1].id
    page.select_option("select[name=outcome]", "")
    page.select_option("select[name=task]", "route_reverse")
    back = {one.id for one in items if one.orientation == "reverse"}
    expect(output).to_have_text(f"{len(back)} of {count} items")
    page.select_option("select[name=error]", "mirror")
    mirrored = back - {one.id for one in items[:2]}
    expect(output).to_have_text(f"{len(mirrored)} of {count} items")
    page.evaluate("document.activeElement.blur()")
    seen = [current(page)]
    page.keyboard.press("j")
    seen.append(current(page))
    assert len(set(seen)) == 2
    assert set(seen) <= mirrored

    view = page.url
    assert page.locator("#item header a").evaluate("one => one.href") == view
    other = page.context.new_page()
    other.goto(view)
    assert current(other) == seen[1]
    expect(other.locator(".filters output")).to_have_text(output.inner_text())
    expect(other.locator(".reply .read")).to_have_count(2)
    other.close()

    page.keyboard.press("t")
    twins = {one.id: one.twin for one in items}
    assert current(page) != seen[1]
    assert twins[current(page)] == twins[seen[1]]
    page.keyboard.press("/")
    page.keyboard.type(items[2].reference)
    expect(page.locator("#item .asked").last).to_have_text(items[2].reference)


def test_an_item_shows_the_reference_what_was_read_and_who_scored_it(
    page: Page, path: Path, items: list[OpenItem]
) -> None:
    item = next(one for one in items[2:] if len(one.landmarks) > 2)
    page.goto(f"{path.as_uri()}#item={item.id}")
    shown = page.locator("#item")
    expect(shown.locator(".asked").first).to_contain_text(item.question)
    expect(shown.locator(".choices")).to_have_count(0)
    lists = shown.locator(".read").first.locator("td")
    assert lists.nth(0).locator(".chip").all_inner_texts() == item.moves
    assert lists.nth(1).locator(".chip").all_inner_texts() == item.landmarks
    assert shown.locator(".frames img").count() >= 4

    first, second = shown.locator(".reply").all()
    turns = [move for move in item.moves if move != "straight"]
    told = ["around"] * (item.orientation == "reverse") + turns
    row = first.locator(".read tr").first.locator("td")
    assert row.first.locator(".chip").all_inner_texts() == told
    expect(row.last).to_have_text("100 %")
    expect(first.locator(".read .chip.good")).to_have_count(len(item.landmarks))
    expect(first.locator("h6 .chip.warn")).to_have_text("uncalibrated")
    assert first.locator(".scores td").all_inner_texts() == ["4", "3", "5", "unreadable"]
    replies = first.locator("details .text")
    expect(replies.first).to_be_hidden()
    first.locator("summary").click()
    assert replies.first.evaluate("one => one.textContent") == OWNED

    expect(second.locator("h5")).to_contain_text("mirror error")
    expect(second.locator(".scores")).to_have_count(0)  # it has no judge
    page.select_option("select[name=arm]", "blind")
    expect(shown).to_contain_text("No frames were sent.")
    expect(shown.locator(".reply .read").first).to_contain_text("none")


def test_what_models_and_judges_wrote_is_shown_as_text(
    page: Page, path: Path, items: list[OpenItem]
) -> None:
    page.goto(f"{path.as_uri()}#item={items[0].id}")
    first, second = page.locator(".reply").all()
    # What is in the tags is the description; it says nothing that can be read.
    box = second.locator(".text").first
    assert box.evaluate("one => one.textContent") == OWNED
    expect(box.locator("mark")).to_have_text("B")
    assert OWNED in str(first.locator("h6").nth(1).evaluate("one => one.textContent"))
    expect(first.locator(".scores").last).to_contain_text("bot (a script, not counted)")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    assert page.locator("main img[src=x]").count() == 0
    assert page.title().endswith(": results")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_descriptions_fit_a_narrow_screen_and_axe_finds_no_serious_violation(
    page: Page,
    kit: Playwright,
    browser_path: str,
    axe: str,
    path: Path,
    items: list[OpenItem],
    scheme: Any,
) -> None:
    page.set_viewport_size({"width": 400, "height": 800})
    urls = [f"{path.as_uri()}#item={one.id}" for one in items[:3]]
    for url in urls:
        page.goto(url)
        page.reload()
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert page.evaluate("document.documentElement.scrollWidth") <= 400
    assert violations(kit, browser_path, axe, urls, scheme) == []


def test_a_model_that_was_not_asked_for_descriptions_is_not_shown_as_asked(
    page: Page, released: Released, tmp_path: Path
) -> None:
    folders = [make_results(tmp_path, released, name) for name in ("model-a", "model-b")]
    (item, *_) = add_descriptions(folders[0], released)
    body = read_section(folders[0], OPEN)
    write_section(folders[0], OPEN, body | {"prompt_sha256": "0" * 64})
    path = write_results_page(folders, released, tmp_path / "page.html")
    page.goto(f"{path.as_uri()}#item={item.id}")
    expect(page.locator(".reply")).to_have_count(1)
    heads = page.locator("#item h4").all_inner_texts()
    assert [head for head in heads if head.lower().startswith("frames")] == [heads[0]]
    assert page.locator(".frames img").count() >= 4
    expect(page.locator("#item .asked").first).to_have_text(item.question)
