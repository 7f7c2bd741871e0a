"""What the course's pages in the browser share: who may call them, what they refuse, how they run.

A page is for the person at this machine: it listens on the loopback address, and answers only to
that name, so that a page from elsewhere cannot speak through the browser (a "rebound" DNS name),
and only to its own origin. With another address everybody in the network could call it. Then a
random token, printed once, has to be in the address of the page (?token=...) or in the header
"Authorization: Bearer ...".

Every refusal is one sentence, in the form that OpenAI's clients read.
"""

import base64
import hashlib
import hmac
import ipaddress
import json
import re
import secrets
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import anyio
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

MOST_BYTES = 2**18  # of a request
MOST_WAITING = 16  # requests in the queue
KINDS = {401: "authentication_error", 403: "permission_error", 503: "server_error"}
CODES = {401: "invalid_api_key", 403: "forbidden", 503: "busy"}


class Refused(Exception):
    """A request that is not answered: status, the sentence that says why, and what it is about."""

    def __init__(self, status: int, message: str, param: str | None = None, code: str = ""):
        super().__init__(message)
        self.status, self.message, self.param = status, message, param
        self.code = code or CODES.get(status)

    def as_json(self) -> dict:
        """The form of OpenAI's errors."""
        kind = KINDS.get(self.status, "invalid_request_error")
        named = {"message": self.message, "type": kind, "param": self.param, "code": self.code}
        return {"error": named}


def refusal_response(request: Request, error: Exception) -> Response:
    """Any error as an answer: what we refuse, and what Starlette does (no such page, ...)."""
    if isinstance(error, HTTPException):
        error = Refused(error.status_code, f"{request.url.path}: {error.detail.lower()}")
    return JSONResponse(error.as_json(), error.status)


def is_loopback(host: str) -> bool:
    """Whether only programs of this machine reach the address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Guard:
    """Lets through who may call; without a token only who names this machine as it names itself."""

    def __init__(self, app: ASGIApp, token: str | None):
        self.app, self.token = app, token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            try:
                self.check(Request(scope))
            except Refused as refusal:
                await JSONResponse(refusal.as_json(), refusal.status)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def check(self, request: Request) -> None:
        """Raises: Refused."""
        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            name = ""
        if self.token is None and not is_loopback(name):
            raise Refused(403, f"the Host header is {host!r:.60}, not localhost or 127.0.0.1")
        if origin is not None and origin != f"http://{host}":
            raise Refused(403, f"a page of {origin!r:.60} may not call this one")
        if self.token is not None:
            given = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
            given = given or request.query_params.get("token", "")
            if not hmac.compare_digest(given.encode(), self.token.encode()):
                what = "the token is missing or wrong: take the address that the command printed"
                raise Refused(401, what)


async def read_json(request: Request) -> dict:
    """The JSON object that a request holds.

    Raises: Refused if it is something else, or too long. Only as application/json can no page of
    another origin send it without asking first.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/json":
        raise Refused(415, f"the Content-Type is {kind!r:.40}, not 'application/json'")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > MOST_BYTES:
            raise Refused(413, f"the request is longer than {MOST_BYTES:,} bytes")
    try:
        found = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the request is not JSON: {str(error):.100}") from None
    if not isinstance(found, dict):
        raise Refused(400, f"the request is a JSON {type(found).__name__}, not an object")
    return found


class Turns:
    """One generation at a time; who comes first is served first."""

    def __init__(self, most_waiting: int = MOST_WAITING):
        self.lock, self.most_waiting, self.waiting = anyio.Semaphore(1), most_waiting, 0

    @property
    def ahead(self) -> int:
        """How many a newcomer would have to wait for."""
        return self.waiting + (self.lock.value == 0)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for one's turn, and have it. Raises: Refused if too many wait."""
        if self.waiting >= self.most_waiting:
            raise Refused(503, f"{self.waiting} requests are waiting already: try again later")
        self.waiting += 1
        try:
            await self.lock.acquire()
        finally:
            self.waiting -= 1
        try:
            yield
        finally:
            self.lock.release()


async def unless_gone(request: Request, answer: Callable[[], Awaitable[Response]]) -> Response:
    """The answer, whose making ends as soon as the client has left."""
    made, failed = Response(status_code=499), None  # which nobody will see
    async with anyio.create_task_group() as group:

        async def watch() -> None:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            group.cancel_scope.cancel()

        group.start_soon(watch)
        try:
            made = await answer()
        except Exception as error:
            failed = error  # out of the group, which would wrap it
        group.cancel_scope.cancel()
    if failed:
        raise failed
    return made


def page_route(path: Path) -> Route:
    """The address / shows an HTML file that loads nothing and may run only what stands in it."""
    html = path.read_text(encoding="utf-8")
    rules = ["default-src 'none'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'"]
    for kind in ("script", "style"):
        texts = re.findall(rf"<{kind}>(.*?)</{kind}>", html, flags=re.S)
        hashes = [base64.b64encode(hashlib.sha256(t.encode()).digest()).decode() for t in texts]
        rules.append(f"{kind}-src " + " ".join(f"'sha256-{text}'" for text in hashes))
    headers = {"Content-Security-Policy": "; ".join([*rules, "frame-ancestors 'none'"])}

    async def show(request: Request) -> Response:
        return HTMLResponse(html, headers=headers)

    return Route("/", show)


def application(routes: Sequence[Route], token: str | None = None) -> ASGIApp:
    """What answers the requests: these routes behind the guard."""
    on_errors = {Refused: refusal_response, HTTPException: refusal_response}
    app = Guard(Starlette(routes=list(routes), exception_handlers=on_errors), token)
    kept = {"cache-control": "no-store", "x-content-type-options": "nosniff"}
    kept |= {"referrer-policy": "no-referrer"}  # the token stands in the address

    async def with_headers(scope: Scope, receive: Receive, send: Send) -> None:
        async def add(message: dict) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(k.encode(), v.encode()) for k, v in kept.items()]
            await send(message)

        await app(scope, receive, add if scope["type"] == "http" else send)

    return with_headers


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens there; port 0 is any free one.

    Raises: OSError, one sentence, if the port is taken or the address is not of this machine.
    """
    if not 0 <= port < 2**16:
        raise ValueError(f"port={port} must be from 0 to 65535")
    try:
        ((family, *_, address), *_) = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        bound = socket.socket(family, socket.SOCK_STREAM)
        try:
            if sys.platform != "win32":  # where it would share the port
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.listen(128)
        except OSError:
            bound.close()
            raise
    except OSError as error:
        what = f"cannot listen on {host}:{port} ({error.strerror}): choose another --port"
        raise OSError(what) from None
    return bound


def address_of(bound: socket.socket, host: str, token: str | None) -> str:
    """What one types into the browser; a host that means all addresses is called by its name."""
    if host in ("0.0.0.0", "::"):
        host = socket.gethostname()
    host = f"[{host}]" if ":" in host else host
    query = f"/?token={token}" if token else "/"
    return f"http://{host}:{bound.getsockname()[1]}{query}"


def new_server(app: ASGIApp) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            limit_concurrency=4 * MOST_WAITING,
            # A log of the requests would show the token.
            **{"log_level": "warning", "access_log": False, "server_header": False},
            **{"http": "h11", "ws": "none", "lifespan": "off", "timeout_graceful_shutdown": 2},
        )
    )


@contextmanager
def running(routes: Sequence[Route], port: int = 0, token: str | None = None) -> Iterator[str]:
    """A server on the loopback address beside the program, for as long as the block lasts.

    Gives its address, for instance http://127.0.0.1:8080.
    """
    bound = bind("127.0.0.1", port)
    server = new_server(application(routes, token))
    thread = threading.Thread(target=server.run, args=([bound],), daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            time.sleep(0.01)
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(timeout=20)
        bound.close()


def serve(routes: Sequence[Route], host: str, port: int) -> None:
    """Run until Ctrl+C, and print the address first.

    Raises: OSError as bind.
    """
    token = None if is_loopback(host) else secrets.token_urlsafe(24)
    with bind(host, port) as bound:
        print(f"Open {address_of(bound, host, token)} (Ctrl+C ends)", flush=True)
        if token:
            print(
                f"Who knows this address can use the model, and it is not encrypted. For programs: "
                f"Authorization: Bearer {token}",
                flush=True,
            )
        new_server(application(routes, token)).run([bound])
