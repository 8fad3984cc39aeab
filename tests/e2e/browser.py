"""A real browser, driven by its DevTools protocol: a page is read again and again until it says what is waited for.

Time is the real one: a virtual clock runs ahead of servers on a busy machine, and a page is then read half built.
"""

import base64
import html
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect
from websockets.sync.connection import Connection

from tests.e2e.world import wait_for

_QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1400,1100",
    "--remote-debugging-port=0",
)  # fmt: skip
_START_SECONDS, _PAGE_SECONDS = 120.0, 120.0
_MOST_BYTES = 2**28  # of one answer: a screenshot is some megabytes


@pytest.fixture(scope="module")
def browser() -> str:
    """The program; without one, tests are skipped, but not in CI."""
    found = shutil.which("chromium") or shutil.which("google-chrome")
    if found is None and os.environ.get("CI") == "true":
        pytest.fail("chromium is missing: apt-get install chromium")
    if found is None:
        pytest.skip("chromium is missing: apt-get install chromium")
    return found


def visit(browser: str, url: str, *words: str, folder: Path) -> tuple[str, list[str]]:
    """The text of the page when all `words` stand in it, and what it said on the console; `page.png` in `folder`."""
    with _opened(browser, folder) as page:
        page.ask("Page.navigate", url=url)
        text = ""

        def told() -> bool:
            nonlocal text
            text = readable(page.evaluate("document.documentElement?.outerHTML ?? ''"))
            return all(word in text for word in words)

        try:
            wait_for(f"{url} to say {words}", told, seconds=_PAGE_SECONDS, every=0.2)
        except AssertionError:
            missing = [word for word in words if word not in text]
            raise AssertionError(f"{url} does not say {missing}, but: {text[:3000]}") from None
        picture = page.ask("Page.captureScreenshot", format="png")
        (folder / "page.png").write_bytes(base64.b64decode(picture["data"]))
        return text, page.said


def readable(page: str) -> str:
    """A page's HTML as a person reads it."""
    without = re.sub(r"<(script|style)\b.*?</\1>", " ", page, flags=re.DOTALL)
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", without)))


class _Page:
    """One tab. `said`: what came on its console, warnings and errors of the browser about it included."""

    def __init__(self, connection: Connection) -> None:
        self.said: list[str] = []
        self._connection, self._asked = connection, 0
        for domain in ("Page", "Runtime", "Log"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: object) -> dict[str, Any]:
        """The browser's answer."""
        self._asked += 1
        self._connection.send(json.dumps({"id": self._asked, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._connection.recv(timeout=_PAGE_SECONDS))
            if told.get("id") == self._asked:
                assert "error" not in told, f"{method}: {told['error']}"
                return dict(told["result"])
            if told["method"] in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
                self.said.append(json.dumps(told["params"]))

    def evaluate(self, expression: str) -> str:
        """What it is on the page; "" while one is replaced by another."""
        return str(self.ask("Runtime.evaluate", expression=expression)["result"].get("value", ""))


@contextmanager
def _opened(browser: str, folder: Path) -> Iterator[_Page]:
    """A new browser with a profile of its own, and its one tab."""
    profile = folder / "profile"
    profile.mkdir(parents=True)
    command = [browser, *_QUIET, f"--user-data-dir={profile}", "about:blank"]
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        tabs = wait_for("the browser's tab", lambda: _tabs(profile), seconds=_START_SECONDS)
        with connect(tabs[0], max_size=_MOST_BYTES, proxy=None) as connection:
            yield _Page(connection)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tabs(profile: Path) -> list[str]:
    """Where the browser listens, for each of its tabs; nothing while it starts."""
    told = profile / "DevToolsActivePort"
    port = told.read_text(encoding="utf-8").partition("\n")[0] if told.exists() else ""
    if not port:
        return []
    tabs = httpx.get(f"http://127.0.0.1:{port}/json/list", timeout=30, trust_env=False).json()
    return [tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"]
