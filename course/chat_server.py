"""A model that answers in the browser (chat.html) and to OpenAI's clients (/v1).

It knows nothing of models: a Speaker brings a function that turns a conversation into pieces of
text. One answer is written at a time, whoever asks; the others wait in their order. Whoever goes
away, which is also what the page's stop button does, ends the answer that was for him.

    POST /api/sessions                  -> {"id": ...}; the oldest conversations are dropped
    GET  /api/sessions/ID               -> its turns
    POST /api/sessions/ID/messages      {"text": ..., "temperature": ...} -> events, as they come
    POST /api/sessions/ID/reset
    GET  /v1/models, POST /v1/chat/completions    as OpenAI's clients call them
"""

import json
import math
import secrets
import time
import traceback
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import anyio
from anyio.to_thread import run_sync as in_thread
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import Send

from course.web import Refused, Turns, page_route, read_json, unless_gone

MOST_SESSIONS = 64
MOST_TURNS = 100  # of a conversation; no model here reads as many
MOST_TEMPERATURE = 2.0
MOST_STOPS = 4
MOST_OTHERS = 5  # what else might have come, for each piece
NEUTRAL = {  # what would change the answer in a way that is not offered: value -> without effect
    "n": (1, None),
    "tools": ([], None),
    "functions": ([], None),
    "response_format": ({"type": "text"}, None),
    "frequency_penalty": (0, None),
    "presence_penalty": (0, None),
    "logit_bias": ({}, None),
}


@dataclass(frozen=True)
class Piece:
    """Some whole characters of an answer, with the probability that the model gave to them.

    The others are what the model thought likeliest in place of the first token. A piece that ends
    the answer has no text, and the probability of ending there.
    """

    text: str
    probability: float
    n_tokens: int = 1
    others: tuple[tuple[str, float], ...] = ()
    ends: bool = False


@dataclass(frozen=True)
class Settings:
    """How an answer is drawn. Without max_tokens, the speaker's own limit."""

    max_tokens: int | None = None
    temperature: float = 0.0
    top_p: float | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()


class DoesNotFit(ValueError):
    """A conversation that is too long for the model."""


# A conversation (role and content of each message) -> the number of tokens that the model reads,
# and the pieces as it writes them. Raises: ValueError if the model cannot read the conversation,
# DoesNotFit if it is too long.
Speak = Callable[[Sequence[dict], Settings], tuple[int, Iterator[Piece]]]


@dataclass(frozen=True)
class Speaker:
    """A model with its name, and what the page says of it."""

    name: str
    speak: Speak
    about: str = ""
    examples: tuple[str, ...] = ()


@dataclass
class Turn:
    question: str
    pieces: list[Piece] = field(default_factory=list)
    ended: str = ""  # stop, length or stopped

    @property
    def answer(self) -> str:
        return "".join(piece.text for piece in self.pieces)


@dataclass
class Session:
    """A conversation. Its turns are written one after the other."""

    turns: list[Turn] = field(default_factory=list)
    one: anyio.Semaphore = field(default_factory=lambda: anyio.Semaphore(1))

    def messages(self, text: str) -> list[dict]:
        """The conversation as a speaker reads it, up to a new question."""
        pairs = (
            ({"role": "user", "content": t.question}, {"role": "assistant", "content": t.answer})
            for t in self.turns
        )
        return [m for pair in pairs for m in pair] + [{"role": "user", "content": text}]


class Sessions:
    """The conversations of the page, by random names; those unused for longest are dropped."""

    def __init__(self, most: int = MOST_SESSIONS):
        self.most, self.known = most, OrderedDict()

    def new(self) -> str:
        name = secrets.token_urlsafe(12)
        self.known[name] = Session()
        while len(self.known) > self.most:
            self.known.popitem(last=False)
        return name

    def get(self, name: str) -> Session:
        """Raises: Refused if there is none of this name."""
        if name not in self.known:
            what = "this conversation is not kept any more: begin a new one"
            raise Refused(404, what, code="no_such_session")
        self.known.move_to_end(name)
        return self.known[name]


def cut_at(pieces: Iterable[Piece], stops: Sequence[str]) -> Iterator[Piece]:
    """The pieces before the first of some texts; what may be its beginning waits."""
    held = []
    for piece in pieces:
        held.append(piece)
        text = "".join(p.text for p in held)
        found = [at for stop in stops if (at := text.find(stop)) >= 0]
        if found:
            room = min(found)
            for p in held:
                if room > 0:
                    yield replace(p, text=p.text[:room])
                room -= len(p.text)
            yield Piece("", 1.0, n_tokens=0, ends=True)
            return
        n_open = max(
            (n for stop in stops for n in range(1, len(stop)) if text.endswith(stop[:n])), default=0
        )
        while held and len(text) - len(held[0].text) >= n_open:
            text = text[len(held[0].text) :]
            yield held.pop(0)
    yield from held


class Stream(StreamingResponse):
    """Server-sent events, whose source is closed at once when the client leaves."""

    def __init__(self, events: AsyncIterator[str]):
        super().__init__(
            events, media_type="text/event-stream", headers={"x-accel-buffering": "no"}
        )

    async def stream_response(self, send: Send) -> None:
        async with aclosing(self.body_iterator):
            await super().stream_response(send)


def event(name: str, value: object) -> str:
    return f"event: {name}\ndata: {json.dumps(value, ensure_ascii=False)}\n\n"


def number(
    asked: dict, name: str, low: float, high: float, default: float | None, kind: type = float
) -> float | None:
    """A number of a request. Raises: Refused if it is none, or outside of low to high."""
    value = asked.get(name)
    if value is None:
        return default
    right = isinstance(value, int) or (kind is float and isinstance(value, float))
    if not right or isinstance(value, bool) or not low <= value <= high:
        what = "a whole number" if kind is int else "a number"
        limits = f"from {low:g} to {high:g}" if high < 2**31 else f"of at least {low:g}"
        raise Refused(400, f"{name} is {value!r:.40} and not {what} {limits}", name)
    return kind(value)


def read_settings(asked: dict) -> Settings:
    """How a request wants its answer to be drawn. Raises: Refused."""
    # The older name of max_completion_tokens.
    name = next((n for n in ("max_completion_tokens", "max_tokens") if asked.get(n)), "max_tokens")
    stops = asked.get("stop")
    stops = [] if stops is None else [stops] if isinstance(stops, str) else stops
    if not (
        isinstance(stops, list)
        and len(stops) <= MOST_STOPS
        and all(isinstance(stop, str) and 0 < len(stop) <= 1000 for stop in stops)
    ):
        raise Refused(400, f"stop is {stops!r:.40} and not up to {MOST_STOPS} texts", "stop")
    top_p = number(asked, "top_p", 0, 1, None)
    if top_p == 0:
        raise Refused(400, "top_p is 0, which no token reaches", "top_p")
    return Settings(
        number(asked, name, 1, 2**31, None, int),
        number(asked, "temperature", 0, MOST_TEMPERATURE, 0.0),
        top_p,
        number(asked, "seed", 0, 2**63 - 1, None, int),
        tuple(stops),
    )


def read_messages(asked: dict) -> list[dict]:
    """The conversation of a request, each content a text. Raises: Refused."""
    messages = asked.get("messages")
    if not isinstance(messages, list) or not messages:
        raise Refused(400, "messages has to be a list with at least one message", "messages")
    read = []
    for i, message in enumerate(messages):
        role, content = (
            (message.get("role"), message.get("content"))
            if isinstance(message, dict)
            else (None, None)
        )
        where = f"messages[{i}]"
        role = "system" if role == "developer" else role
        if role not in ("system", "user", "assistant"):
            what = f"{where}: the role is {role!r:.40}, not system, user or assistant"
            raise Refused(400, what, f"{where}.role")
        if isinstance(content, list):
            parts = [p for p in content if isinstance(p, dict) and p.get("type") == "text"]
            texts = [p.get("text") for p in parts]
            whole = len(parts) == len(content) and all(isinstance(t, str) for t in texts)
            content = "".join(texts) if whole else None
        if not isinstance(content, str):
            raise Refused(400, f"{where}: the content is not a text", f"{where}.content")
        read.append({"role": role, "content": content})
    if read[-1]["role"] != "user" or not read[-1]["content"].strip():
        what = "the last message has to be the user's, and not empty"
        raise Refused(400, what, "messages")
    return read


class ChatServer:
    """The addresses of a speaker."""

    def __init__(self, speaker: Speaker, most_sessions: int = MOST_SESSIONS):
        self.speaker, self.turns, self.sessions = speaker, Turns(), Sessions(most_sessions)
        self.started = int(time.time())

    def routes(self) -> list[Route]:
        at = Route
        return [
            page_route(Path(__file__).with_name("chat.html")),
            at("/api/about", self.about),
            at("/api/sessions", self.new_session, methods=["POST"]),
            at("/api/sessions/{name}", self.session),
            at("/api/sessions/{name}/messages", self.message, methods=["POST"]),
            at("/api/sessions/{name}/reset", self.reset, methods=["POST"]),
            at("/v1/models", self.models),
            at("/v1/models/{name:path}", self.one_model),
            at("/v1/chat/completions", self.completions, methods=["POST"]),
        ]

    async def pieces(self, messages: Sequence[dict], settings: Settings) -> AsyncIterator[Piece]:
        """The answer, when its turn has come. Each token is computed in another thread."""
        async with self.turns.turn():
            _, written = await in_thread(self.speaker.speak, messages, settings)
            stream = cut_at(written, settings.stop)
            try:
                while (piece := await in_thread(next, stream, None)) is not None:
                    yield piece
            finally:
                stream.close()
                written.close()  # now, not when Python finds time: it holds the model's cache

    # ---- The page.

    async def about(self, request: Request) -> Response:
        s = self.speaker
        return JSONResponse({"model": s.name, "about": s.about, "examples": s.examples})

    async def new_session(self, request: Request) -> Response:
        return JSONResponse({"id": self.sessions.new()})

    async def session(self, request: Request) -> Response:
        session = self.sessions.get(request.path_params["name"])
        return JSONResponse({"turns": [asdict(turn) for turn in session.turns]})

    async def reset(self, request: Request) -> Response:
        session = self.sessions.get(request.path_params["name"])
        async with session.one:
            session.turns.clear()
        return JSONResponse({})

    async def message(self, request: Request) -> Response:
        session = self.sessions.get(request.path_params["name"])
        asked = await read_json(request)
        text = asked.get("text")
        if not isinstance(text, str) or not text.strip():
            raise Refused(400, "the message is empty, or no text", "text")
        if self.turns.waiting >= self.turns.most_waiting:
            raise Refused(503, f"{self.turns.waiting} requests are waiting already")
        return Stream(self.events(session, text.strip(), read_settings(asked)))

    async def events(self, session: Session, text: str, settings: Settings) -> AsyncIterator[str]:
        """What the page is told of an answer. What it was told stays in the conversation."""
        yield event("waiting", {"ahead": self.turns.ahead})
        async with session.one:
            turn = Turn(text)
            try:
                async with aclosing(self.pieces(session.messages(text), settings)) as pieces:
                    async for piece in pieces:
                        turn.pieces.append(piece)
                        turn.ended = "stop" if piece.ends else ""
                        yield event("piece", asdict(piece))
                turn.ended = turn.ended or "length"
                yield event("end", {"reason": turn.ended})
            except (ValueError, Refused) as error:  # nothing was written yet
                yield event("error", {"message": str(error)})
            except Exception as error:
                traceback.print_exc()
                yield event("error", {"message": f"the model failed: {type(error).__name__}"})
            finally:
                turn.ended = turn.ended or "stopped"
                if turn.pieces:
                    session.turns.append(turn)
                    del session.turns[:-MOST_TURNS]

    # ---- OpenAI's clients.

    def model_card(self) -> dict:
        """A model as /v1/models lists it."""
        return {
            "id": self.speaker.name,
            "object": "model",
            "created": self.started,
            "owned_by": "course",
        }

    async def models(self, request: Request) -> Response:
        return JSONResponse({"object": "list", "data": [self.model_card()]})

    async def one_model(self, request: Request) -> Response:
        self.check_model(request.path_params["name"])
        return JSONResponse(self.model_card())

    def check_model(self, name: object) -> None:
        """Raises: Refused for another model than this one."""
        if name != self.speaker.name:
            what = f"there is no model {name!r:.60} here, only {self.speaker.name!r}"
            raise Refused(404, what, "model", "model_not_found")

    async def completions(self, request: Request) -> Response:
        asked = await read_json(request)
        self.check_model(asked.get("model"))
        for name, without_effect in NEUTRAL.items():
            if asked.get(name) not in without_effect:
                raise Refused(400, f"{name} is not offered here: leave it out", name)
        messages, settings = read_messages(asked), read_settings(asked)
        n_others = number(asked, "top_logprobs", 0, MOST_OTHERS, 0, int)
        try:
            n_prompt, never_begun = await in_thread(self.speaker.speak, messages, settings)
            never_begun.close()
        except ValueError as error:
            code = "context_length_exceeded" if isinstance(error, DoesNotFit) else ""
            raise Refused(400, str(error), "messages", code) from None
        about = {
            "id": f"chatcmpl-{secrets.token_hex(12)}",
            "created": int(time.time()),
            "model": self.speaker.name,
        }
        told = {"logprobs": n_others} if asked.get("logprobs") else {}
        if asked.get("stream"):
            options = asked.get("stream_options") or {}
            usage = isinstance(options, dict) and bool(options.get("include_usage"))
            chunks = self.chunks(about, messages, settings, told, n_prompt if usage else None)
            return Stream(chunks)
        return await unless_gone(
            request, lambda: self.completion(about, messages, settings, told, n_prompt)
        )

    async def completion(
        self, about: dict, messages: list[dict], settings: Settings, told: dict, n_prompt: int
    ) -> Response:
        """The whole answer at once."""
        pieces = [piece async for piece in self.pieces(messages, settings)]
        choice = {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "".join(piece.text for piece in pieces),
                "refusal": None,
            },
            "finish_reason": "stop" if pieces and pieces[-1].ends else "length",
            "logprobs": logprobs(pieces, told["logprobs"]) if told else None,
        }
        whole = {"object": "chat.completion", "choices": [choice]}
        return JSONResponse(about | whole | {"usage": usage_of(n_prompt, pieces)})

    async def chunks(
        self,
        about: dict,
        messages: list[dict],
        settings: Settings,
        told: dict,
        n_prompt: int | None,
    ) -> AsyncIterator[str]:
        """The answer as OpenAI streams it."""

        def chunk(delta: dict, reason: str | None = None, **more: object) -> str:
            choices = [{"index": 0, "delta": delta, "finish_reason": reason, **more}]
            return f"data: {json.dumps(head | {'choices': choices}, ensure_ascii=False)}\n\n"

        head, written = about | {"object": "chat.completion.chunk"}, []
        try:
            yield chunk({"role": "assistant", "content": ""})
            async with aclosing(self.pieces(messages, settings)) as pieces:
                async for piece in pieces:
                    written.append(piece)
                    more = {"logprobs": logprobs([piece], told["logprobs"])} if told else {}
                    if piece.text:
                        yield chunk({"content": piece.text}, **more)
            yield chunk({}, "stop" if written and written[-1].ends else "length")
            if n_prompt is not None:
                last = head | {"choices": [], "usage": usage_of(n_prompt, written)}
                yield f"data: {json.dumps(last)}\n\n"
        except Refused as error:
            yield f"data: {json.dumps(error.as_json())}\n\n"
        yield "data: [DONE]\n\n"


def usage_of(n_prompt: int, pieces: Sequence[Piece]) -> dict:
    n = sum(piece.n_tokens for piece in pieces)
    return {"prompt_tokens": n_prompt, "completion_tokens": n, "total_tokens": n_prompt + n}


def logprobs(pieces: Sequence[Piece], n_others: int) -> dict:
    """The logarithms of the probabilities in OpenAI's form, an entry for each piece with text."""

    def entry(text: str, probability: float) -> dict:
        logarithm = math.log(max(probability, 1e-300))
        return {"token": text, "logprob": logarithm, "bytes": list(text.encode())}

    return {
        "content": [
            entry(piece.text, piece.probability)
            | {"top_logprobs": [entry(*other) for other in piece.others[:n_others]]}
            for piece in pieces
            if piece.text
        ],
        "refusal": None,
    }
