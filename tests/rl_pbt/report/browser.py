"""A page in a headless Chromium, over its DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.websocket import WebSocketClientConnection, websocket_connect

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
LONGEST_S = 90.0
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed to show the page in")

# JavaScript: the view of the figure in a place, places that nothing was drawn in, texts of tooltips, and all figures.
VIEW = "const el = document.getElementById('{place}'); const view = [...Bokeh.index].find((one) => el.contains(one.el));"
UNDRAWN = "[...document.querySelectorAll('.figure')].filter((one) => !one.closest('details:not([open])') && !one.children.length)"
TOOLTIPS = """(() => {
  const found = [];
  const walk = (node) => { for (const child of node.children) {
    if (child.classList.contains('bk-Tooltip') && getComputedStyle(child).display !== 'none')
      found.push([...child.shadowRoot.children].filter((one) => one.tagName === 'DIV').map((one) => one.innerText).join(' '));
    if (child.shadowRoot) walk(child.shadowRoot);
    walk(child);
  } };
  walk(document.body);
  return found;
})()"""

FIGURES = "[...Bokeh.index].filter((view) => view.model.type === 'Figure')"


class Tab:
    """A page that has been opened. `complaints` are what its console was told; `requested` is what it wanted to load."""

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: WebSocketClientConnection) -> None:
        self._loop, self._socket, self._sent = loop, socket, 0
        self.complaints: list[str] = []
        self.requested: list[str] = []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What the browser answers."""
        return self._loop.run_until_complete(asyncio.wait_for(self._call(method, parameters), LONGEST_S))

    async def _call(self, method: str, parameters: dict[str, Any]) -> dict[str, Any]:
        self._sent += 1
        await self._socket.write_message(json.dumps({"id": self._sent, "method": method, "params": parameters}))
        while True:
            told = await self._socket.read_message()
            assert told is not None, "the browser has gone"
            message = json.loads(told)
            if message.get("id") == self._sent:
                assert "error" not in message, message
                found: dict[str, Any] = message["result"]
                return found
            self._note(message.get("method"), message.get("params", {}))

    def _note(self, event: str, told: dict[str, Any]) -> None:
        match event:
            case "Runtime.exceptionThrown":
                self.complaints.append(str(told["exceptionDetails"]))
            case "Runtime.consoleAPICalled" if told["type"] in ("error", "warning", "assert"):
                self.complaints.append(str(told["args"]))
            case "Log.entryAdded" if told["entry"]["level"] in ("error", "warning"):
                self.complaints.append(str(told["entry"]))
            case "Network.requestWillBeSent":
                self.requested.append(told["request"]["url"])

    def value(self, expression: str) -> Any:
        """Of JavaScript, awaited; an exception fails the test."""
        answer = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def open(self, page: Path, *, width: int = 1400, height: int = 1000, theme: str = "light") -> None:
        """Until all is drawn that is not folded away."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.theme(theme)
        self.call("Page.navigate", url=page.resolve().as_uri())
        self.until("document.documentElement?.dataset.drawn === 'all'")

    def theme(self, name: str) -> None:
        """As the system would set it."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def until(self, condition: str) -> None:
        """Waits; and then until what was drawn is on the screen."""
        self.value(
            "new Promise((done, failed) => { const end = Date.now() + 60000; const look = () => {"
            f"if ({condition}) requestAnimationFrame(() => requestAnimationFrame(() => done(true)));"
            "else if (Date.now() > end) failed(new Error('waited in vain')); else setTimeout(look, 30); }; look(); })"
        )

    def mouse(self, x: float, y: float, kind: str = "mouseMoved", **more: Any) -> None:
        """An event of the mouse."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, **more)

    def picture(self, path: Path, *, whole: bool = True) -> None:
        """A PNG of the page."""
        shot = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def chromium(profile: Path) -> Iterator[Tab]:
    """One tab; `profile` is a folder of its own."""
    assert CHROMIUM is not None
    flags = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--hide-scrollbars"]
    command = [CHROMIUM, *flags, "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    loop = asyncio.new_event_loop()
    try:
        socket = loop.run_until_complete(asyncio.wait_for(_connected(profile / "DevToolsActivePort"), LONGEST_S))
        yield Tab(loop, socket)
        socket.close()
        loop.run_until_complete(asyncio.sleep(0.1))
    finally:
        process.kill()  # it has nothing to save, and is slow to end by itself where other work keeps the cores busy
        process.wait()
        loop.close()


async def _connected(told: Path) -> WebSocketClientConnection:
    while not told.exists() or len(told.read_text().splitlines()) < 2:
        await asyncio.sleep(0.05)
    port = told.read_text().splitlines()[0]
    answer = await AsyncHTTPClient().fetch(f"http://127.0.0.1:{port}/json/list")
    (page,) = [target for target in json.loads(answer.body) if target["type"] == "page"]
    return await websocket_connect(page["webSocketDebuggerUrl"], max_message_size=2**28)
