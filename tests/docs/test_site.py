"""The documentation site: it builds strictly, loads nothing from other hosts, and leaves nothing out."""

import importlib.util
import json
import os
import re
import shutil
import sys
import warnings
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import partial
from html import unescape
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import ModuleType
from typing import Any

import click
import pyarrow.parquet as pq
import pytest
from pydantic import Field

from pipeline.cli.main import cli
from pipeline.engine.rows import Row
from pipeline.engine.settings import Settings
from pipeline.engine.tables import TABLES
from pipeline.flow import SECTIONS, STAGES
from pipeline.releases.layout import Evidence, QuestionRow
from pipeline.routes.rows import Step
from pipeline.tuning.presets import GrpoSettings, ModelSettings, SftSettings

ROOT = Path(__file__).parent.parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAGES = ("commands", "settings", "stages", "tables", "release", "exit-codes")


def build(target: Path) -> None:
    """Build the site as `make docs` does. In this process, where no socket leaves the machine."""
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        warnings.simplefilter("ignore")  # of the tools that build it
        patch.setenv("NO_MKDOCS_2_WARNING", "1")
        from mkdocs.commands.build import build as build_site
        from mkdocs.config import load_config

        config = load_config(str(ROOT / "mkdocs.yml"), strict=True, site_dir=str(target))
        config.plugins.on_startup(command="build", dirty=False)
        build_site(config)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("docs") / "site"
    build(target)
    return target


@pytest.fixture
def reference() -> ModuleType:
    """A fresh copy of the generator, which a test may break."""
    spec = importlib.util.spec_from_file_location("reference", ROOT / "docs" / "reference.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def plain(text: str) -> str:
    """Return HTML or Markdown as what a reader sees, without spaces."""
    return re.sub(
        r"[\s`\\]", "", unescape(re.sub(r"<[^>]*>", "", text)).replace("\N{PILCROW SIGN}", "")
    )


def sections(site: Path, page: str) -> dict[str, str]:
    """Return the HTML of each section of a reference page, by its anchor."""
    text = (site / "reference" / f"{page}.html").read_text(encoding="utf-8")
    text = text[text.index("<h1") : text.index("</article>")]
    parts = re.split(r'<h2 id="([^"]+)">', text)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def commands(group: click.Group, path: str = "egost") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")
        else:
            yield f"{path} {name}", command


# ---- nothing remote --------------------------------------------------------------------------------


class _Loads(HTMLParser):
    """Collects what a page loads by itself; a link that a reader may follow is none of it."""

    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.scripts: list[str] = []
        self.styles: list[str] = []
        self._inside = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        for name, value in attrs:
            if name in ("src", "srcset", "poster", "data", "action") or (
                name in ("href", "xlink:href") and tag not in ("a", "base")
            ):
                self.addresses.append(value or "")
            if name == "style":
                self.styles.append(value or "")
            if name.startswith("on"):
                self.scripts.append(value or "")

    def handle_endtag(self, tag: str) -> None:
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            self.scripts.append(data)
        if self._inside == "style":
            self.styles.append(data)


_REMOTE = re.compile(r"(?:https?:)?//[\w-]", re.IGNORECASE)


def remote_in_style(text: str) -> list[str]:
    found = re.findall(r"url\(\s*['\"]?([^)]*)\)|@import\s+['\"]([^'\"]*)", text)
    return [one for pair in found for one in pair if _REMOTE.match(one)]


def remote_in_script(text: str) -> list[str]:
    """Return every address in a script but those in comments and the names of XML namespaces."""
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    found = re.findall(r"https?://[^\s\"'`<>\\]*|[\"'`]//[\w-]+\.[^\"'`]*", code)
    return [one for one in found if not one.startswith("http://www.w3.org/")]


def remote(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".css":
        return remote_in_style(text)
    if path.suffix == ".js" and path.name != "search_index.js":  # that is the text of the pages
        return remote_in_script(text)
    if path.suffix != ".html":
        return []
    page = _Loads()
    page.feed(text)
    return [
        *(one for one in page.addresses if _REMOTE.match(one.strip())),
        *(one for style in page.styles for one in remote_in_style(style)),
        *(one for script in page.scripts for one in remote_in_script(script)),
    ]


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    files = [path for path in site.rglob("*") if path.suffix in (".html", ".css", ".js")]
    assert len(files) > 30
    assert {str(path.relative_to(site)): found for path in files if (found := remote(path))} == {}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.html", '<script src="https://cdn.example/x.js"></script>'),
        ("page.html", '<link rel="stylesheet" href="//fonts.example/css">'),
        ("page.html", '<link rel="icon" href="https://example.org/x.ico">'),
        ("page.html", "<style>@import 'https://example.org/x.css';</style>"),
        ("page.html", '<img src="http://example.org/x.png">'),
        ("page.html", "<script>fetch('https://example.org')</script>"),
        ("style.css", "@font-face { src: url( 'https://example.org/x.woff2') }"),
        ("script.js", 'const a="https://unpkg.com/mermaid@11/dist/mermaid.min.js";'),
    ],
)
def test_a_remote_address_is_found(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert remote(tmp_path / name)


def test_a_link_is_not_a_load(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('<a href="https://example.org">x</a>', encoding="utf-8")
    assert remote(tmp_path / "page.html") == []


def test_no_page_names_this_machine(site: Path) -> None:
    ours = (str(ROOT), str(site.parent), sys.prefix)
    files = [path for path in site.rglob("*") if path.suffix in (".html", ".js", ".json", ".xml")]
    for path in files:
        text = path.read_text(encoding="utf-8")
        assert not [one for one in ours if one in text], path


# ---- nothing left out ------------------------------------------------------------------------------


def test_every_command_with_every_option_is_there(site: Path) -> None:
    found = sections(site, "commands")
    common = {option for one in cli.params for option in one.opts}
    assert all(f"<code>{option}</code>" in found["common"] for option in common)
    for path, command in commands(cli):
        section = found[path.replace(" ", "-")]
        assert plain(command.help or "") in plain(section), path
        for one in command.params:
            if isinstance(one, click.Option) and not common & set(one.opts):
                assert all(f"<code>{option}</code>" in section for option in one.opts), path
                assert plain(one.help or "") in plain(section), path


def test_every_setting_is_there(site: Path) -> None:
    found = sections(site, "settings")
    assert list(found) == list(SECTIONS)
    for section, kind in SECTIONS.items():
        for name, info in kind.model_fields.items():
            row = re.search(rf"<tr>\s*<td><code>{name}</code>.*?</tr>", found[section], re.DOTALL)
            assert row, f"{section}.{name}"
            meaning = plain(info.description or "").rstrip(".")
            assert meaning[1:] in plain(row[0]), f"{section}.{name}"
            if info.default not in (None, ""):
                assert plain(json.dumps(info.default)) in plain(row[0]), f"{section}.{name}"


def test_every_setting_of_training_is_there(site: Path) -> None:
    text = (site / "train.html").read_text(encoding="utf-8")
    text = text[text.index('id="settings"') :]
    for kind in (ModelSettings, SftSettings, GrpoSettings):
        for name, info in kind.model_fields.items():
            row = re.search(rf"<tr>\s*<td><code>{name}</code>.*?</tr>", text, re.DOTALL)
            assert row, name
            assert plain(info.description or "")[1:] in plain(row[0]), name
    assert len(re.findall(r">required</td>", text)) == 2  # model.name and the learning rate


def test_a_setting_tells_what_it_redoes(site: Path) -> None:
    found = sections(site, "settings")

    def redone(section: str, name: str) -> str:
        row = re.search(rf"<tr>\s*<td><code>{name}</code>.*?</tr>", found[section], re.DOTALL)
        assert row
        return re.findall(r"<td>(.*?)</td>", row[0], re.DOTALL)[-1]

    assert redone("run", "workers") == "nothing"
    assert redone("frames", "budget") == "frames"
    assert redone("draft", "model") == "draft, write, guess"
    assert redone("export", "min_verified") == "nothing"


def test_every_stage_is_there(site: Path) -> None:
    found = sections(site, "stages")
    assert list(found) == [stage.name for stage in STAGES]
    for stage in STAGES:
        section = plain(found[stage.name])
        for kind in (*stage.reads, *stage.writes):
            assert kind.table in section


@pytest.mark.parametrize("kind", TABLES.values(), ids=lambda kind: kind.table)
def test_every_column_of_a_table_is_there(site: Path, kind: type[Row]) -> None:
    section = sections(site, "tables")[kind.table]
    shown = re.findall(r"<tr>\s*<td><code>(\w+)</code></td>", section)
    assert shown == list(kind.model_fields)
    for stage in STAGES:
        if kind in stage.writes:
            assert f'"stages.html#{stage.name}"' in section


def test_steps_are_there(site: Path) -> None:
    shown = re.findall(r"<td><code>(\w+)</code></td>", sections(site, "tables")["steps"])
    assert shown == list(Step.model_fields)


def test_every_exit_code_is_there(site: Path, reference: ModuleType) -> None:
    text = (site / "reference" / "exit-codes.html").read_text(encoding="utf-8")
    assert reference.codes() == {0, 1, 2, 3, 130}
    assert set(re.findall(r"<td><code>(\d+)</code>", text)) == {"0", "1", "2", "3", "130"}


def test_every_module_is_there(site: Path) -> None:
    for path in (ROOT / "pipeline").rglob("*.py"):
        if path.stem in ("__init__", "__main__"):
            continue
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        text = (site / "api" / f"{name.split('.')[1]}.html").read_text(encoding="utf-8")
        assert f'id="{name}"' in text, name


def test_every_generated_part_of_the_architecture_is_filled(site: Path) -> None:
    text = (site / "architecture.html").read_text(encoding="utf-8")
    assert "<!-- generated" not in text
    for stage in STAGES:
        assert f'"reference/stages.html#{stage.name}"' in text
    for package in (path.parent.name for path in (ROOT / "pipeline").glob("*/__init__.py")):
        assert f"<code>{package}</code>" in text, package
        assert f"<code>pipeline/{package}/" in text, package  # where a change belongs


# ---- the data dictionary against a real release ----------------------------------------------------


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from small_release import release, small_space

    with small_space(tmp_path_factory.mktemp("release") / "workspace") as space:
        return release(space, embed=True, withhold=["train"]).folder


def test_every_released_column_is_there(site: Path) -> None:
    found = sections(site, "release")
    for name, kind in (("questions", QuestionRow), ("evidence", Evidence)):
        shown = re.findall(r"<td><code>(\w+)</code></td>", found[name])
        assert shown[: len(kind.model_fields)] == list(kind.model_fields)


def test_every_released_file_is_described(released: Path, reference: ModuleType) -> None:
    known = reference.MEANINGS["release_files"]
    files = {
        path.relative_to(released).as_posix() for path in released.rglob("*") if path.is_file()
    }
    assert {name for name in files if not any(fnmatch(name, one) for one in known)} == set()
    assert {one for one in known if not any(fnmatch(name, one) for name in files)} <= {
        "plots/*.svg"
    }


def test_every_key_of_the_other_files_is_described(released: Path, reference: ModuleType) -> None:
    known = reference.MEANINGS
    manifest = json.loads((released / "manifest.json").read_text(encoding="utf-8"))
    assert set(manifest) == set(known["manifest"])
    (embedded, *_) = released.glob("with_frames/*.parquet")
    more = set(pq.read_schema(embedded).names) - set(QuestionRow.model_fields)
    assert more == set(known["with_frames"])
    (first, *_) = released.glob("adapters/ego_st/*.json")
    assert set(json.loads(first.read_text(encoding="utf-8"))[0]) == set(known["ego_st"])
    (table,) = released.glob("adapters/vlmevalkit/*.tsv")
    header = table.read_text(encoding="utf-8").splitlines()[0]
    assert header.split("\t") == list(known["vlmevalkit"])


# ---- what has no description stops the build -------------------------------------------------------


class Bare(Settings):
    """Settings of which one says nothing."""

    workers: int = Field(0, description="Processes.")
    silent: int = 1


def test_a_setting_without_a_description_stops_the_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from mkdocs.exceptions import Abort

    monkeypatch.setitem(SECTIONS, "run", Bare)  # type: ignore[index]
    with pytest.raises(Abort):
        build(tmp_path / "site")
    assert "run.silent has no description" in caplog.text


def broken(reference: ModuleType, what: str) -> Any:
    """Take away one description, or add one of nothing; return the page that misses it."""
    known = reference.MEANINGS
    if what == "column":
        del known["columns"]["Turn"]["moving"]
        return reference.tables
    if what == "released column":
        del known["columns"]["Evidence"]["verdicts"]
        return reference.release
    if what == "stale column":
        known["columns"]["Turn"]["colour"] = "Colour."
        return reference.tables
    if what == "table":
        del known["outside"]["verdicts"]
        return reference.tables
    if what == "argument":
        del known["arguments"]["egost verify folder"]
        return reference.commands
    if what == "exit code":
        del known["exit_codes"]["3"]
        return reference.exit_codes
    raise AssertionError(what)


@pytest.mark.parametrize(
    "what", ["column", "released column", "stale column", "table", "argument", "exit code"]
)
def test_what_is_not_described_stops_the_build(reference: ModuleType, what: str) -> None:
    from mkdocs.exceptions import PluginError

    with pytest.raises(PluginError, match=r"has no description|does not exist"):
        broken(reference, what)()


def test_an_option_without_help_stops_the_build(
    reference: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mkdocs.exceptions import PluginError

    silent = click.Command("silent", help="Do it.", params=[click.Option(["--loud"])])
    monkeypatch.setitem(cli.commands, "silent", silent)
    with pytest.raises(PluginError, match="egost silent --loud has no description"):
        reference.commands()


def test_a_path_that_is_not_there_stops_the_build(reference: ModuleType) -> None:
    from mkdocs.exceptions import PluginError

    with pytest.raises(PluginError, match=r"pipeline/nowhere\.py"):
        reference.on_page_markdown("see `pipeline/flow.py` and `pipeline/nowhere.py`")


# ---- in a real browser -----------------------------------------------------------------------------


@pytest.fixture
def served(site: Path) -> Iterator[str]:
    """The address of a server of the site."""
    handler = partial(SimpleHTTPRequestHandler, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


@pytest.mark.integration
def test_pages_open_and_load_only_local_files(site: Path, served: str, tmp_path: Path) -> None:
    from playwright.sync_api import expect, sync_playwright

    browser_path = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser_path is None:
        if os.environ.get("CI"):
            pytest.fail("CI has to have chromium")
        pytest.skip("needs chromium")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    flags += ["--disable-background-networking", "--disable-component-update"]
    with sync_playwright() as kit:
        browser = kit.chromium.launch_persistent_context(
            tmp_path / "profile", executable_path=browser_path, headless=True, args=flags
        )
        try:
            asked: list[str] = []
            errors: list[str] = []
            browser.on("request", lambda request: asked.append(request.url))
            browser.on("weberror", lambda error: errors.append(str(error.error)))
            page = browser.new_page()
            page.set_default_timeout(60_000)
            for name in ("architecture", *(f"reference/{one}" for one in PAGES), "api/engine"):
                page.goto((site / f"{name}.html").as_uri())
            # A search needs a server: browsers start no worker for a page from disk.
            page.goto(f"{served}/index.html")
            found = page.locator(".md-search-result__meta")
            # What is typed before the index is loaded is not searched for.
            expect(found).to_contain_text("Type to start searching", timeout=60_000)
            page.click("input[name=query]")
            page.keyboard.type("max_clip_seconds")
            expect(found).to_contain_text("matching", timeout=60_000)
            assert errors == []
            local = ("file:", "data:", "about:", "blob:", served)
            assert [url for url in asked if not url.startswith(local)] == []
        finally:
            browser.close()
