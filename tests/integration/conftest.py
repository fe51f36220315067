"""One real Label Studio server and one real browser for all integration tests of a session.

Without them, tests are skipped with the reason; with CI set they fail.
"""

import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import FLAGS
from needs import missing
from playwright.sync_api import BrowserContext, Page, Playwright, sync_playwright
from small_release import release, small_space, varied

from pipeline.engine.folder import WorkspaceFolder
from pipeline.errors import UserError
from pipeline.labelstudio import client as labelstudio
from pipeline.labelstudio import install as labelstudio_install
from pipeline.labelstudio import server as labelstudio_server
from pipeline.labelstudio.client import LabelStudioClient
from pipeline.labelstudio.server import Server
from pipeline.releases.reading import Released, open_release

sys.path.insert(0, str(Path(__file__).parent.parent))  # for walked.py

AXE = "axe-core@4.10.3"  # fetched from npm by the test, or found in the folder that AXE_CORE names
_BROWSERS = ("chromium", "chromium-browser", "google-chrome")


@pytest.fixture(scope="session")
def server_place(tmp_path_factory: pytest.TempPathFactory) -> WorkspaceFolder:
    folder = WorkspaceFolder(tmp_path_factory.mktemp("workspace"))
    folder.media.mkdir()
    return folder


@pytest.fixture(scope="session")
def server(server_place: WorkspaceFolder) -> Iterator[Server]:
    try:
        labelstudio_install.environment()
    except UserError as error:
        missing(f"Label Studio's own environment ({error.what.splitlines()[0]})")
    try:
        yield labelstudio_server.start(server_place)
    finally:
        labelstudio_server.stop(server_place)


@pytest.fixture(scope="session")
def client(server: Server) -> LabelStudioClient:
    return labelstudio.connect(server.url, server.token)


@pytest.fixture(scope="session")
def browser_path() -> str:
    found = next((path for name in _BROWSERS if (path := shutil.which(name))), None)
    if found is None:
        missing("chromium")
    return str(found)


@pytest.fixture(scope="module")
def kit() -> Iterator[Playwright]:
    with sync_playwright() as found:
        yield found


@pytest.fixture(scope="module")
def browser(
    kit: Playwright, browser_path: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserContext]:
    context = kit.chromium.launch_persistent_context(
        tmp_path_factory.mktemp("profile"),
        executable_path=browser_path,
        headless=True,
        args=FLAGS,
        viewport={"width": 1280, "height": 900},
    )
    yield context
    context.close()


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """A page whose console must stay empty."""
    shown, messages = browser.new_page(), list[str]()
    shown.on("console", lambda message: messages.append(message.text))
    shown.on("pageerror", lambda error: messages.append(str(error)))
    yield shown
    shown.close()
    assert messages == []


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> Released:
    root = tmp_path_factory.mktemp("results") / "w"
    with small_space(root, 12, walk=varied) as space:
        return open_release(release(space).folder)


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe-core."""
    given = os.environ.get("AXE_CORE")
    if given:
        return (Path(given) / "axe.min.js").read_text(encoding="utf-8")
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("axe")
    if npm is None:
        pytest.skip("not checked: needs npm, to fetch axe-core")
    made = subprocess.run(
        [str(npm), "pack", "--silent", AXE], cwd=folder, capture_output=True, text=True, timeout=120
    )
    if made.returncode:
        pytest.skip(f"not checked: npm has no {AXE}: {made.stderr.strip()[:200]}")
    with tarfile.open(folder / made.stdout.strip()) as archive:
        script = archive.extractfile("package/axe.min.js")
        assert script
        return script.read().decode()
