"""The machine's Chromium with a page in a file: one browser for each worker, a new profile for each visit.

Without Chromium these tests are skipped; with RECONCILER_TEST_BROWSER=required they fail instead.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, Request

REQUIRED = os.environ.get("RECONCILER_TEST_BROWSER") == "required"  # A fixture removes it later.
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TIMEOUT_MS = 60_000
WATCH = """
globalThis.violations = [];
document.addEventListener('securitypolicyviolation', (event) => violations.push(event.violatedDirective));
"""


def _skip(reason: str) -> NoReturn:
    if REQUIRED:
        pytest.fail(f"RECONCILER_TEST_BROWSER=required, but {reason}")
    pytest.skip(f"{reason}: the report's page is not tried in a browser")


@dataclass
class Visit:
    """An open page, and what it did that it must not do."""

    page: Page
    requests: list[str] = field(default_factory=list)  # Requests other than the file itself.
    complaints: list[str] = field(default_factory=list)  # Console messages, and exceptions.

    def note_request(self, own: str, sent: Request) -> None:
        if sent.url.split("#")[0] != own:
            self.requests.append(sent.url)

    def assert_quiet(self) -> None:
        assert self.requests == []
        assert self.complaints == []
        assert self.page.evaluate("globalThis.violations") == []
        assert self.page.evaluate("typeof globalThis.pwned") == "undefined"


class Chromium:
    """Runs Playwright in its own thread, as its event loop would disturb the loops of other tests."""

    def __init__(self, thread: ThreadPoolExecutor, browser: Browser, folder: Path) -> None:
        self._thread = thread
        self._browser = browser
        self._folder = folder
        self._count = 0

    def visit(
        self,
        html: str,
        scenario: Callable[[Visit], object],
        *,
        fragment: str = "",
        width: int = 1280,
        scripts: bool = True,
        before: str = "",
        **options: Any,
    ) -> Any:
        """Open the page from a file and run `scenario` in the browser's thread; assert that there was no complaint.

        `before` runs before the page's script.
        """
        self._count += 1
        path = self._folder / f"page-{self._count}.html"
        path.write_text(html, encoding="utf-8")
        return self._thread.submit(self._visit, path, scenario, fragment, width, scripts, before, options).result()

    def _visit(
        self,
        path: Path,
        scenario: Callable[[Visit], object],
        fragment: str,
        width: int,
        scripts: bool,
        before: str,
        options: dict[str, Any],
    ) -> object:
        context = self._browser.new_context(
            viewport={"width": width, "height": 800}, java_script_enabled=scripts, **options
        )
        try:
            context.set_default_timeout(TIMEOUT_MS)
            context.add_init_script(WATCH + before)
            page = context.new_page()
            visit = Visit(page)
            own = path.as_uri()
            page.on("request", partial(visit.note_request, own))
            page.on("console", lambda message: visit.complaints.append(f"{message.type}: {message.text}"))
            page.on("pageerror", lambda error: visit.complaints.append(str(error)))
            page.goto(own + fragment)
            if scripts:  # The data is unpacked after the page has loaded.
                page.locator("#_app, #_old").filter(visible=True).wait_for()
            result = scenario(visit)
            if scripts:
                visit.assert_quiet()
            return result
        finally:
            context.close()


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chromium]:
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        _skip("this machine has no Chromium")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        _skip("playwright is not installed")
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="chromium") as thread:
        playwright = thread.submit(lambda: sync_playwright().start()).result()
        try:
            browser = thread.submit(
                lambda: playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS), timeout=60_000)
            ).result()
            try:
                yield Chromium(thread, browser, tmp_path_factory.mktemp("pages"))
            finally:
                thread.submit(browser.close).result()
        finally:
            thread.submit(playwright.stop).result()
