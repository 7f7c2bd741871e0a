"""A headless Chromium that is told what to do through its own protocol."""

import base64
import json
import shutil
import subprocess
import time
import urllib.request
from pathlib import Path

PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")


def program() -> str | None:
    """Where Chromium is, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Browser:
    """One page of a headless Chromium.

    Raises: OSError if it does not start.
    """

    def __init__(self, program: str, folder: Path):
        self.process = subprocess.Popen(
            [
                *(program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run"),
                *("--disable-background-networking", "--disable-component-update"),
                *("--disable-sync", "--remote-allow-origins=*", "--remote-debugging-port=0"),
                *(f"--user-data-dir={folder}", "about:blank"),
            ],
            stderr=subprocess.DEVNULL,
        )
        port_file = folder / "DevToolsActivePort"
        deadline = time.monotonic() + 90
        while not port_file.exists() or not port_file.read_text().strip():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise OSError(f"{program} has not started")
            time.sleep(0.05)
        self.port = port_file.read_text().splitlines()[0]
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"http://127.0.0.1:{self.port}/json/list", timeout=90) as answer:
            targets = [t for t in json.load(answer) if t["type"] == "page"]
        import websocket

        self.socket = websocket.create_connection(
            targets[0]["webSocketDebuggerUrl"], timeout=90, suppress_origin=True
        )
        self.n, self.events = 0, []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.tell(f"{domain}.enable")

    def tell(self, method: str, **params: object) -> dict:
        self.n += 1
        self.socket.send(json.dumps({"id": self.n, "method": method, "params": params}))
        while True:
            message = json.loads(self.socket.recv())
            if message.get("id") == self.n:
                assert "error" not in message, message
                return message["result"]
            self.events.append(message)

    def open(self, url: str, width: int, height: int = 900) -> None:
        self.tell(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )
        self.events = []
        self.tell("Page.navigate", url=url)
        while not any(event["method"] == "Page.loadEventFired" for event in self.events):
            self.events.append(json.loads(self.socket.recv()))

    def ask(self, expression: str) -> object:
        """What a JavaScript expression gives; one that ends in a promise is waited for."""
        answer = self.tell(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        if "exceptionDetails" in answer:
            raise ValueError(answer["exceptionDetails"]["exception"].get("description"))
        return answer["result"].get("value")

    def picture(self, path: Path, quality: int | None = None) -> None:
        """Save what the window shows: a PNG, or a JPEG of this quality."""
        kind = {"format": "jpeg", "quality": quality} if quality else {"format": "png"}
        data = self.tell("Page.captureScreenshot", **kind)["data"]
        path.write_bytes(base64.b64decode(data))

    def complaints(self) -> list:
        """Console messages, exceptions, and requests that failed or went elsewhere."""
        found = []
        for event in self.events:
            method, params = event["method"], event["params"]
            if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
                found.append(params)
            elif method == "Network.loadingFailed":
                found.append(params)
            elif method == "Network.responseReceived" and params["response"]["status"] >= 400:
                found.append(params["response"]["url"])
            elif method == "Network.requestWillBeSent":
                url = params["request"]["url"]
                if not url.startswith(("http://127.0.0.1:", "data:", "file:")):
                    found.append(url)
        return found

    def close(self) -> None:
        self.socket.close()
        self.process.terminate()
        self.process.wait(timeout=20)
