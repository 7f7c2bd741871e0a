"""The pages in the browser and what stands behind them: who may call, what is streamed and kept,
what OpenAI's client gets, and what a headless Chromium sees.
"""

import json
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
import torch
from course_files import ROOT
from torch import nn

from ch02.tokenizer import END_OF_TEXT
from ch04.bonus.serving import pieces_of, stream_scored
from ch04.gpt import GPTConfig, GPTModel
from ch05.gpt_generate import generate, next_token_probabilities, stream_text
from ch05.gpt_weights import load_pretrained
from ch06 import gpt_class_finetune
from ch06.gpt_class_finetune import GPTClassifier, classify, save_classifier
from ch06.spam_page import scores_after_each, spam_routes
from ch07 import chat
from ch07.chat import crop_messages, stream_reply
from ch07.chat_page import make_speaker, read_dialogue, trimmed
from course import web
from course.browser import Browser, program
from course.chat_server import ChatServer, Piece, Settings, Speaker, cut_at
from course.web import address_of, bind, is_loopback, running

# Neither a proxy nor certificates, which take a while to read.
PLAIN = {"trust_env": False, "verify": False, "timeout": 60}
SAID = ["Ge", "ese", " are", " 거위", "."]


class Canned:
    """A speaker that answers with the question's last word, then SAID, or for ever; it counts."""

    def __init__(self):
        self.n_written, self.n_open, self.most_open, self.order = 0, 0, 0, []

    def speak(self, messages: Sequence[dict], settings: Settings) -> tuple[int, Iterator[Piece]]:
        question = messages[-1]["content"]
        if question == "too long":
            raise ValueError("the question has 999 tokens, and only 100 fit")
        return len(messages), self.write(question, settings)

    def write(self, question: str, settings: Settings) -> Iterator[Piece]:
        self.n_open += 1
        self.order.append(question)
        self.most_open = max(self.most_open, self.n_open)
        try:
            if question == "fail":
                raise RuntimeError("out of memory, somewhere")
            words = [question.split()[-1], *SAID]
            for i in range(settings.max_tokens or 10**6):
                if "slow" in question or "for ever" in question:
                    time.sleep(0.01)
                if i >= len(words) and "for ever" not in question:
                    yield Piece("", 0.9, ends=True)
                    return
                self.n_written += 1
                yield Piece(words[i % len(words)], 0.05 + 0.9 / (i + 1), 1, (("a", 0.5),))
        finally:
            self.n_open -= 1


@pytest.fixture
def canned() -> Canned:
    return Canned()


@pytest.fixture
def server(canned) -> ChatServer:
    return ChatServer(Speaker("canned", canned.speak, "It knows nothing.", ("Say geese",)), 3)


@pytest.fixture
def url(server) -> Iterator[str]:
    with running(server.routes()) as address:
        yield address


@pytest.fixture
def client(url) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, **PLAIN) as made:
        yield made


@pytest.fixture(scope="module")
def reader() -> Iterator[httpx.Client]:
    """For requests that leave nothing behind."""
    routes = ChatServer(Speaker("canned", Canned().speak)).routes()
    with running(routes) as url, httpx.Client(base_url=url, **PLAIN) as made:
        yield made


def wait_for(found, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


def events_of(lines: Iterator[str]) -> Iterator[tuple[str, dict]]:
    """The server-sent events of a response."""
    name = ""
    for line in lines:
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


def new_session(client: httpx.Client) -> str:
    return client.post("/api/sessions", json={}).json()["id"]


def ask(client: httpx.Client, session: str, text: str, **more: object) -> list[tuple[str, dict]]:
    path = f"/api/sessions/{session}/messages"
    with client.stream("POST", path, json={"text": text, **more}) as answer:
        return list(events_of(answer.iter_lines()))


def text_of(events: list[tuple[str, dict]]) -> str:
    return "".join(data["text"] for name, data in events if name == "piece")


# ---- Who may call.


@pytest.mark.parametrize(
    ("headers", "status", "sentence"),
    [
        ({}, 200, ""),
        ({"Host": "localhost"}, 200, ""),
        ({"Host": "[::1]:80"}, 200, ""),
        ({"Host": "evil.example"}, 403, "the Host header is 'evil.example', not localhost"),
        ({"Host": "127.0.0.1.evil.example"}, 403, "the Host header is"),
        ({"Host": "[::1"}, 403, "the Host header is"),
        ({"Origin": "http://evil.example"}, 403, "a page of 'http://evil.example' may not call"),
        ({"Origin": "null"}, 403, "a page of 'null' may not"),
        ({"Origin": "http://127.0.0.1:1"}, 403, "may not call"),  # another server on this machine
        ({"Host": "localhost:7", "Origin": "http://localhost:7"}, 200, ""),
        ({"Host": "localhost:7", "Origin": "https://localhost:7"}, 403, "may not call"),
    ],
)
def test_on_loopback_only_this_machine_and_this_page_may_call(reader, headers, status, sentence):
    for answer in (reader.get("/api/about", headers=headers), reader.get("/", headers=headers)):
        assert answer.status_code == status
        assert not sentence or sentence in answer.json()["error"]["message"]


def test_a_token_is_asked_for_in_the_address_or_the_header(server):
    with running(server.routes(), token="geheim") as url, httpx.Client(**PLAIN) as client:
        for path in ("/", "/api/about", "/v1/models"):
            for given in ({}, {"params": {"token": "gehei"}}, {"params": {"token": "ü"}}):
                answer = client.get(url + path, **given)
                assert answer.status_code == 401
                assert answer.json()["error"]["code"] == "invalid_api_key"
            assert client.get(url + path, params={"token": "geheim"}).status_code == 200
            right = {"Authorization": "Bearer geheim", "Host": "elsewhere.example"}
            assert client.get(url + path, headers=right).status_code == 200
            wrong = {"Authorization": "Bearer geheim", "Origin": "http://evil.example"}
            assert client.get(url + path, headers=wrong).status_code == 403


@pytest.mark.parametrize(("host", "inside"), [("127.0.0.1", True), ("localhost", True),
    ("::1", True), ("127.9.9.9", True), ("0.0.0.0", False), ("192.168.0.7", False),
    ("localhost.evil.example", False), ("", False)])  # fmt: skip
def test_what_is_loopback(host, inside):
    assert is_loopback(host) is inside


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_the_token_is_printed_once_and_only_where_it_is_needed(host, server, monkeypatch, capsys):
    ran = []
    run = SimpleNamespace(run=lambda sockets: ran.append(sockets[0].getsockname()))
    monkeypatch.setattr(web, "new_server", lambda app: run)
    web.serve(server.routes(), host, 0)
    out = capsys.readouterr().out
    assert ran[0][0] == host and f":{ran[0][1]}/" in out
    tokens = {part.split()[0] for part in out.split("token=")[1:]}
    assert len(tokens) == (host == "0.0.0.0")
    assert all(len(token) >= 32 and f"Bearer {token}" in out for token in tokens)


def test_an_address_is_one_for_the_browser():
    with bind("127.0.0.1", 0) as bound:
        port = bound.getsockname()[1]
        assert address_of(bound, "::1", "abc") == f"http://[::1]:{port}/?token=abc"


def test_a_page_loads_nothing_and_runs_only_what_stands_in_it(reader):
    answer = reader.get("/")
    rules = answer.headers["content-security-policy"]
    assert "default-src 'none'" in rules and "unsafe" not in rules and rules.count("sha256-") == 2
    assert answer.headers["referrer-policy"] == "no-referrer"
    for page in (ROOT / "course" / "chat.html", ROOT / "ch06" / "spam.html"):
        html = page.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "://" not in html and "src=" not in html and "innerHTML" not in html
        assert any("가" <= letter <= "힣" for letter in html)  # in Korean, too


# ---- What is refused, each with a sentence.


def test_a_port_that_is_taken_is_refused_in_one_line(url, refusal, monkeypatch, tmp_path):
    port = url.rpartition(":")[2]
    tokenizer = load_pretrained("course")[1]
    model = GPTModel(GPTConfig(2048, 64, 8, 2, 1))
    save_classifier(GPTClassifier(model), tokenizer, tmp_path)
    said = refusal(gpt_class_finetune, "--web", "--out", tmp_path, "--port", port)
    assert said.startswith(f"gpt_class_finetune: cannot listen on 127.0.0.1:{port} (")
    assert "choose another --port" in said
    with pytest.raises(SystemExit, match=f"^chat: cannot listen on 127.0.0.1:{port}"):
        chat.main(["--web", "--model", "course", "--port", port, "--device", "cpu"])
    with pytest.raises(SystemExit, match="^chat: port=70000 must be from 0 to 65535"):
        chat.main(["--web", "--model", "course", "--port", "70000", "--device", "cpu"])


def test_a_model_or_classifier_that_is_not_there_is_asked_for(refusal, tmp_path):
    said = refusal(gpt_class_finetune, "--web", "--out", tmp_path)
    assert "there is no classifier in" in said and "makes one" in said
    with pytest.raises(SystemExit, match="^chat: there is no model in .* makes one"):
        chat.main(["--web", "--model", str(tmp_path)])


USER = [{"role": "user", "content": "Say geese"}]
GOOD = {"model": "canned", "messages": USER}


@pytest.mark.parametrize(
    ("asked", "status", "param", "sentence"),
    [
        (b"{", 400, None, "the request is not JSON"),
        (b"[" * 9999, 400, None, "the request is not JSON"),
        (b"\xff", 400, None, "the request is not JSON"),
        (b"[]", 400, None, "the request is a JSON list, not an object"),
        (b'"' + b"a" * 2**18 + b'"', 413, None, "longer than 262,144 bytes"),
        ({}, 404, "model", "there is no model None here, only 'canned'"),
        (GOOD | {"model": "gpt-4o"}, 404, "model", "there is no model 'gpt-4o' here"),
        (GOOD | {"messages": []}, 400, "messages", "a list with at least one message"),
        (GOOD | {"messages": ["a"]}, 400, "messages[0].role", "the role is None"),
        (
            GOOD | {"messages": [{"role": "tool", "content": "a"}]},
            *(400, "messages[0].role", "the role is 'tool', not system, user or assistant"),
        ),
        (
            GOOD | {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            *(400, "messages[0].content", "the content is not a text"),
        ),
        (GOOD | {"messages": [{"role": "user", "content": " "}]}, 400, "messages", "not empty"),
        (GOOD | {"max_tokens": 1.5}, 400, "max_tokens", "1.5 and not a whole number of at least 1"),
        (GOOD | {"max_tokens": -1}, 400, "max_tokens", "-1 and not a whole number"),
        (GOOD | {"max_completion_tokens": True}, 400, "max_completion_tokens", "True and not"),
        (GOOD | {"temperature": "hot"}, 400, "temperature", "'hot' and not a number from 0 to 2"),
        (GOOD | {"temperature": 2.1}, 400, "temperature", "2.1 and not a number from 0 to 2"),
        (GOOD | {"top_p": 0}, 400, "top_p", "top_p is 0"),
        (GOOD | {"stop": [""]}, 400, "stop", "not up to 4 texts"),
        (GOOD | {"n": 2}, 400, "n", "n is not offered here"),
        (GOOD | {"tools": [{}]}, 400, "tools", "tools is not offered"),
        (
            GOOD | {"messages": [{"role": "user", "content": "too long"}]},
            *(400, "messages", "the question has 999 tokens"),
        ),
    ],
)
def test_what_cannot_be_answered_is_refused_in_openais_form(reader, asked, status, param, sentence):
    given = {"json": asked} if isinstance(asked, dict) else {"content": asked}
    answer = reader.post(
        "/v1/chat/completions", headers={"Content-Type": "application/json"}, **given
    )
    error = answer.json()["error"]
    assert answer.status_code == status and error["param"] == param
    assert sentence in error["message"] and "\n" not in error["message"]
    assert error["type"] == "invalid_request_error"


def test_a_form_of_another_page_cannot_be_sent(reader):
    for kind in ("text/plain", "application/x-www-form-urlencoded"):
        answer = reader.post(
            "/v1/chat/completions", content=json.dumps(GOOD), headers={"Content-Type": kind}
        )
        assert answer.status_code == 415 and "Content-Type" in answer.json()["error"]["message"]
    assert reader.get("/v1/chat/completions").status_code == 405
    assert reader.get("/v1/elsewhere").json()["error"]["message"] == "/v1/elsewhere: not found"


# ---- Sessions.


def test_a_message_is_streamed_and_kept(client):
    session = new_session(client)
    events = ask(client, session, " Say 안녕 ")
    assert [name for name, _ in events] == ["waiting"] + 7 * ["piece"] + ["end"]
    assert text_of(events) == "안녕Geese are 거위." and events[-1][1] == {"reason": "stop"}
    assert events[1][1]["probability"] == pytest.approx(0.95)
    assert events[1][1]["others"] == [["a", 0.5]]
    (turn,) = client.get(f"/api/sessions/{session}").json()["turns"]
    assert turn["question"] == "Say 안녕" and turn["ended"] == "stop"
    assert turn["pieces"] == [data for name, data in events if name == "piece"]
    assert ask(client, session, "and", max_tokens=2)[-1][1] == {"reason": "length"}
    client.post(f"/api/sessions/{session}/reset", json={})
    assert client.get(f"/api/sessions/{session}").json() == {"turns": []}


def test_a_speaker_is_told_the_history_of_the_session_and_of_no_other(client, server, canned):
    heard = []
    spoken = canned.speak
    speak = lambda messages, settings: heard.append(messages) or spoken(messages, settings)  # noqa: E731
    server.speaker = Speaker("canned", speak)
    a, b = new_session(client), new_session(client)
    for session, text in ((a, "one"), (b, "two"), (a, "three")):
        ask(client, session, text)
    assert [m["content"] for m in heard[1]] == ["two"]
    assert [m["content"] for m in heard[2]] == ["one", "oneGeese are 거위.", "three"]
    assert [m["role"] for m in heard[2]] == ["user", "assistant", "user"]


def test_the_oldest_session_is_dropped(client):
    names = [new_session(client) for _ in range(3)]
    client.get(f"/api/sessions/{names[0]}")  # used again
    names.append(new_session(client))
    codes = [client.get(f"/api/sessions/{name}").status_code for name in names]
    assert codes == [200, 404, 200, 200]
    answer = client.post(f"/api/sessions/{names[1]}/messages", json={"text": "a"})
    assert answer.json()["error"]["code"] == "no_such_session"


def test_an_error_in_an_answer_is_told_and_the_server_goes_on(client, capfd):
    session = new_session(client)
    assert ask(client, session, "too long")[-1][1]["message"].startswith("the question has 999")
    assert ask(client, session, "fail")[-1] == (
        "error",
        {"message": "the model failed: RuntimeError"},
    )
    assert client.get(f"/api/sessions/{session}").json() == {"turns": []}
    assert text_of(ask(client, session, "hello")).startswith("hello")
    assert "out of memory, somewhere" in capfd.readouterr().err  # for who runs the server


@pytest.mark.parametrize("text", ["", "  ", 3, None])
def test_an_empty_message_is_refused(client, text):
    path = f"/api/sessions/{new_session(client)}/messages"
    assert client.post(path, json={"text": text}).status_code == 400


# ---- One at a time, in order; who leaves frees the place.


def test_two_at_once_do_not_mix_and_are_served_in_order(url, canned):
    results = {}

    def talk(word: str) -> None:
        with httpx.Client(base_url=url, **PLAIN) as client:
            results[word] = ask(client, new_session(client), f"slow {word}")

    threads = [threading.Thread(target=talk, args=(f"w{i}",)) for i in range(4)]
    for i, thread in enumerate(threads):
        thread.start()
        wait_for(lambda i=i: len(canned.order) > 0 if i == 0 else True)
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    assert canned.most_open == 1
    assert sorted(canned.order) == [f"slow w{i}" for i in range(4)]
    assert canned.order[0] == "slow w0"
    assert {word: text_of(e) for word, e in results.items()} == {
        f"w{i}": f"w{i}Geese are 거위." for i in range(4)
    }


def test_who_leaves_ends_the_answer_and_what_was_told_is_kept(client, canned, server):
    session = new_session(client)
    path = f"/api/sessions/{session}/messages"
    with client.stream("POST", path, json={"text": "for ever"}) as answer:
        events = events_of(answer.iter_lines())
        told = [next(events) for _ in range(5)]
    wait_for(lambda: canned.n_open == 0 and server.turns.ahead == 0)
    n = canned.n_written
    assert n < 200
    (turn,) = client.get(f"/api/sessions/{session}").json()["turns"]
    assert turn["ended"] == "stopped" and len(turn["pieces"]) >= len(told) - 1
    assert text_of(ask(client, session, "next")).startswith("next")
    assert canned.n_written == n + 6


@pytest.mark.parametrize("stream", [True, False])
def test_a_program_that_leaves_ends_its_answer(url, canned, server, stream):
    asked = {"model": "canned", "messages": [{"role": "user", "content": "for ever"}]}
    with pytest.raises(httpx.ReadTimeout):
        # A short patience: between two pieces of a stream it lasts.
        with httpx.Client(base_url=url, **PLAIN | {"timeout": 0.5}) as client:
            if stream:
                sent = client.stream("POST", "/v1/chat/completions", json=asked | {"stream": True})
                with sent as answer:
                    for _ in zip(range(5), answer.iter_lines()):
                        pass
                raise httpx.ReadTimeout("left")
            client.post("/v1/chat/completions", json=asked)
    wait_for(lambda: canned.n_open == 0 and server.turns.ahead == 0)


def test_who_leaves_while_waiting_is_passed_over(url, client, canned, server):
    session = new_session(client)
    path = f"/api/sessions/{session}/messages"
    with client.stream("POST", path, json={"text": "for ever"}) as answer:
        lines = answer.iter_lines()  # kept: without it httpx would hang up
        next(lines)
        with httpx.Client(base_url=url, **PLAIN) as other:
            waits = f"/api/sessions/{new_session(other)}/messages"
            with other.stream("POST", waits, json={"text": "slow never"}) as waiting:
                events = events_of(waiting.iter_lines())
                assert next(events) == ("waiting", {"ahead": 1})
                wait_for(lambda: server.turns.waiting == 1)
        wait_for(lambda: server.turns.waiting == 0)
    wait_for(lambda: canned.n_open == 0)
    assert text_of(ask(client, session, "next")).startswith("next")
    assert "slow never" not in canned.order


def test_a_full_queue_refuses(client, server, url):
    server.turns.most_waiting = 0
    answer = client.post("/v1/chat/completions", json=GOOD)
    assert answer.status_code == 503
    assert answer.json()["error"] == {
        "message": "0 requests are waiting already: try again later",
        "type": "server_error", "param": None, "code": "busy",
    }  # fmt: skip


# ---- OpenAI's own client.


@pytest.fixture
def openai_client(url):
    openai = pytest.importorskip("openai", reason="the openai package is not installed")
    with openai.OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=60) as made:
        yield made


def test_openais_client_lists_the_model(openai_client):
    assert [model.id for model in openai_client.models.list()] == ["canned"]
    assert openai_client.models.retrieve("canned").owned_by == "course"


def test_openais_client_gets_an_answer_whole_and_in_pieces(openai_client):
    create = openai_client.chat.completions.create
    whole = create(**GOOD, logprobs=True, top_logprobs=1)
    (choice,) = whole.choices
    assert choice.message.content == "geeseGeese are 거위." and choice.finish_reason == "stop"
    assert whole.usage.completion_tokens == 7 and whole.usage.prompt_tokens == 1
    tokens = choice.logprobs.content
    assert [t.token for t in tokens] == ["geese", *SAID]
    assert torch.tensor(tokens[0].logprob).exp().item() == pytest.approx(0.95)
    assert bytes(tokens[4].bytes).decode() == " 거위" and tokens[0].top_logprobs[0].token == "a"
    chunks = list(create(**GOOD, stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == choice.message.content
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage.total_tokens == 8
    assert create(**GOOD, max_tokens=2).choices[0].finish_reason == "length"
    for stop in ("e are", ["nothing", " 거위"]):
        cut = create(**GOOD, stop=stop).choices[0]
        assert cut.message.content + ("e are" if stop == "e are" else " 거위") in text
        assert cut.finish_reason == "stop"


def test_openais_client_understands_our_errors(openai_client):
    import openai

    create = openai_client.chat.completions.create
    with pytest.raises(openai.NotFoundError) as raised:
        create(model="gpt-4o", messages=USER)
    assert raised.value.code == "model_not_found" and "only 'canned'" in raised.value.message
    with pytest.raises(openai.BadRequestError) as raised:
        create(**GOOD, temperature=3)
    assert raised.value.param == "temperature"


def test_openais_client_shows_its_key_as_the_token(server):
    openai = pytest.importorskip("openai", reason="the openai package is not installed")
    with running(server.routes(), token="geheim") as url:
        told = {"base_url": f"{url}/v1", "max_retries": 0, "timeout": 60}
        with openai.OpenAI(**told, api_key="geheim") as client:
            assert client.models.list().data[0].id == "canned"
        with openai.OpenAI(**told, api_key="other") as client:
            with pytest.raises(openai.AuthenticationError):
                client.models.list()


# ---- Texts that end an answer.


@pytest.mark.parametrize("number", range(30))
def test_pieces_are_cut_where_the_whole_text_is(number):
    torch.manual_seed(number)
    text = "".join("ab.\n"[i] for i in torch.randint(0, 4, (30,)))
    bounds = sorted({0, 30, *torch.randint(0, 30, (9,)).tolist()})
    parts = [text[a:b] for a, b in zip(bounds, bounds[1:])]
    stops = [text[a : a + 1 + number % 4] for a in torch.randint(5, 29, (2,))]
    pieces = list(cut_at((Piece(part, 0.5) for part in parts), stops))
    end = min(text.find(stop) for stop in stops)
    assert "".join(p.text for p in pieces) == text[:end] and pieces[-1].ends
    assert all(p.text for p in pieces[:-1])


def test_what_may_begin_a_stop_waits_and_nothing_else_does():
    taken = []

    def source() -> Iterator[Piece]:
        for text in ("a", "b<", "|", "c", "<"):
            taken.append(text)
            yield Piece(text, 0.5)

    seen = [(piece.text, len(taken)) for piece in cut_at(source(), ["<|end|>"])]
    assert seen == [("a", 1), ("b<", 4), ("|", 4), ("c", 4), ("<", 5)]


# ---- Tokens with their probabilities, and the models of the course.


@pytest.fixture(scope="module")
def course() -> tuple:
    return load_pretrained("course")


def test_a_scored_token_is_the_one_that_generate_draws(course):
    model, tokenizer = course
    idx = torch.tensor([tokenizer.encode_ordinary("Clara is a baker, and")])
    for settings in ({"temperature": 0}, {"temperature": 0.9, "top_p": 0.9}):
        drawn = list(
            stream_scored(
                model, idx, 25, partial(next_token_probabilities, **settings),
                generator=torch.Generator().manual_seed(3),
            )
        )  # fmt: skip
        expected = generate(model, idx, 25, **settings, generator=torch.Generator().manual_seed(3))
        assert [token.id for token in drawn] == expected[0, idx.shape[1] :].tolist()
        with torch.no_grad():
            own = model(expected).softmax(dim=-1)[0]
        for t, token in enumerate(drawn, idx.shape[1] - 1):
            assert token.probability == pytest.approx(own[t, token.id].item(), abs=1e-5)
            top = own[t].topk(5)
            assert [i for i, _ in token.likeliest] == top.indices.tolist()


def test_a_stop_token_is_the_last(course):
    model, tokenizer = course
    idx = torch.tensor([tokenizer.encode_ordinary("Clara is a baker, and")])
    greedy = partial(next_token_probabilities, temperature=0)
    ids = [token.id for token in stream_scored(model, idx, 20, greedy)]
    some = list(stream_scored(model, idx, 20, greedy, stop_id=ids[6]))
    assert [token.id for token in some] == ids[: ids.index(ids[6]) + 1]
    pieces = list(pieces_of(tokenizer.decode, some, ids[6]))
    assert pieces[-1].ends and pieces[-1].text == ""


def test_pieces_are_whole_characters_and_their_probability_is_the_product(course):
    _, tokenizer = course
    ids = tokenizer.encode_ordinary("한국 £4 a 가")
    drawn = [SimpleNamespace(id=i, probability=0.5, likeliest=((i, 0.5),)) for i in ids]
    pieces = list(pieces_of(tokenizer.decode, drawn))
    assert [p.text for p in pieces] == list(stream_text(tokenizer.decode, ids))
    assert sum(p.n_tokens for p in pieces) == len(ids) > len(pieces)
    assert all(p.probability == 0.5**p.n_tokens for p in pieces)
    half = list(pieces_of(tokenizer.decode, drawn[:1]))
    assert half[0].text == "\N{REPLACEMENT CHARACTER}"


def test_white_space_around_an_answer_is_left_out():
    for said in ("", " \n", " a", "a b \n c \n", "\n\n가 나 "):
        pieces = trimmed(Piece(letter, 0.5) for letter in said)
        assert "".join(piece.text for piece in pieces) == said.strip()


def test_two_sessions_at_once_get_the_texts_that_the_terminal_gives(course):
    model, tokenizer = course
    speaker = make_speaker(model, tokenizer, "course", one_line=True)
    questions = {
        "a": ["What is the plural of goose?", "What is the plural of mouse?"],
        "b": ["What is the capital of Sweden?", "And of Norway?"],
    }
    answers = {}
    with running(ChatServer(speaker).routes()) as url:

        def talk(name: str) -> None:
            with httpx.Client(base_url=url, **PLAIN) as client:
                session = new_session(client)
                answers[name] = [text_of(ask(client, session, q)) for q in questions[name]]

        threads = [threading.Thread(target=talk, args=(name,)) for name in questions]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for name, asked in questions.items():
        history = []
        for text, answer in zip(asked, answers[name], strict=True):
            expected = "".join(stream_reply(model, tokenizer, history, text, one_line=True))
            assert answer == expected and answer and "\n" not in answer
            history.append({"instruction": text, "input": "", "output": answer})


def test_an_answer_over_http_is_the_text_of_generate(course):
    """A finetuned model ends with <|endoftext|>; here generate goes on in the same way."""
    model, tokenizer = course
    speaker = make_speaker(model, tokenizer, "course")
    asked = {"messages": USER, "model": "course", "max_tokens": 30, "temperature": 0.8, "seed": 5}
    with running(ChatServer(speaker).routes()) as url:
        answer = httpx.post(f"{url}/v1/chat/completions", json=asked, **PLAIN)
    prompt = "Question:\nSay geese\nAnswer:\n"
    ids = generate(
        model, torch.tensor([tokenizer.encode_ordinary(prompt)]), 30, 0.8,
        stop_id=tokenizer.special_tokens[END_OF_TEXT],
        generator=torch.Generator().manual_seed(5),
    )  # fmt: skip
    text = tokenizer.decode(ids[0].tolist()).removeprefix(prompt).partition(END_OF_TEXT)[0]
    content = answer.json()["choices"][0]["message"]["content"]
    assert content == text.strip()


@pytest.mark.parametrize(
    ("roles", "sentence"),
    [
        (["system", "user"], "this model was taught no system messages"),
        (["user", "user"], "user and assistant have to take turns"),
        (["assistant", "user"], "user and assistant have to take turns"),
    ],
)
def test_a_conversation_that_a_model_cannot_read_is_refused(course, roles, sentence):
    speaker = make_speaker(*course, "course")
    with pytest.raises(ValueError, match=sentence):
        speaker.speak([{"role": role, "content": "a"} for role in roles], Settings())


def test_a_question_that_does_not_fit_is_refused_with_its_length(course):
    speaker = make_speaker(*course, "course")
    ask_with = lambda text, n=None: speaker.speak(  # noqa: E731
        [{"role": "user", "content": text}], Settings(n)
    )
    with pytest.raises(ValueError, match=r"the instruction has \d+ tokens, and only 224 fit"):
        ask_with("goose " * 300)
    with pytest.raises(ValueError, match="max_tokens=256 is more than the context of 256 tokens"):
        ask_with("goose", 256)


def test_a_system_message_stays_when_old_turns_go():
    messages = [{"role": "system", "content": "Be short."}]
    for i in range(3):
        messages += [{"role": "user", "content": f"q{i}"}, {"role": "assistant", "content": "a"}]
    entry = read_dialogue([*messages, {"role": "user", "content": "q3"}], in_roles=True)
    tokenizer = SimpleNamespace(
        special_tokens={"<|im_start|>": -1, "<|im_end|>": -2},
        encode_ordinary=lambda text: list(text.encode()),
    )
    whole = crop_messages(entry, tokenizer, 10_000)
    cropped = crop_messages(entry, tokenizer, len(whole) - 1)
    text = bytes(i for i in cropped if i > 0).decode()
    assert "Be short." in text and "q0" not in text and "q1" in text


# ---- The spam filter's page.


@pytest.fixture(scope="module")
def classifier(course) -> tuple:
    torch.manual_seed(0)
    model, tokenizer = course
    made = GPTClassifier(model).eval()
    nn.init.normal_(made.head.weight, std=0.5)  # an opinion, though not a trained one
    return made, tokenizer


MESSAGE = "You have won a bicycle! 지금 £4."


def test_a_score_after_each_token_is_that_of_the_message_up_to_there(classifier):
    model, tokenizer = classifier
    scores = scores_after_each(MESSAGE, model, tokenizer)
    assert "".join(piece for piece, _ in scores) == MESSAGE
    assert len({round(p, 3) for _, p in scores}) > 3
    for n in (1, 3, len(scores)):
        text = "".join(piece for piece, _ in scores[:n])
        label, probability = classify(text, model, tokenizer)
        ids = tokenizer.encode_ordinary(text)
        assert ids == tokenizer.encode_ordinary(MESSAGE)[: len(ids)]
        spam = probability if label == "spam" else 1 - probability
        assert scores[n - 1][1] == pytest.approx(spam, abs=1e-5)


def test_several_messages_are_scored_and_a_bad_one_is_named(classifier):
    with running(spam_routes(*classifier, "runs/spam")) as url:
        post = lambda messages: httpx.post(  # noqa: E731
            f"{url}/api/scores", json={"messages": messages}, **PLAIN
        )
        good, empty, long, none = post([MESSAGE, " ", "goose " * 300, 3]).json()["results"]
        assert good["label"] in ("ham", "spam") and good["tokens"][0][0] == "You"
        assert empty["error"].startswith("the message is empty")
        assert "but the model reads at most 255" in long["error"]
        assert none["error"] == "the message must be a text, not 3"
        for wrong in ([], ["a"] * 9, "a", None):
            answer = post(wrong)
            assert answer.status_code == 400
            assert "a list of 1 to 8 texts" in answer.json()["error"]["message"]


# ---- In the browser.


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    found = program()
    if found is None:
        pytest.skip("there is no Chromium here")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        window = Browser(found, Path(folder))
        try:
            yield window
        finally:
            window.close()


@contextmanager
def opened(browser: Browser, url: str) -> Iterator[Browser]:
    browser.open(f"{url}/", 1000)
    until(browser, "document.body.dataset.ready == 'yes'")
    yield browser
    aborted = "net::ERR_ABORTED"  # as the stop button does
    assert [c for c in browser.complaints() if aborted not in str(c)] == []


def until(browser: Browser, expression: str, seconds: float = 60) -> None:
    wait_for(lambda: browser.ask(expression), seconds)


ANSWER = "[...document.querySelectorAll('.answer')].at(-1)"
STATE = "[...document.querySelectorAll('.state')].at(-1).textContent"


def test_the_chat_page_shows_tokens_as_they_come_stops_and_resets(browser, url, canned, server):
    with opened(browser, url) as page:
        press = lambda name: page.ask(f"document.getElementById('{name}').click()")  # noqa: E731

        def type_in(text: str) -> None:
            page.ask(f"document.getElementById('text').value = {json.dumps(text)}")
            press("send")

        assert page.ask("document.getElementById('model').textContent") == "canned"
        type_in("Say <b>안녕</b>")
        until(page, f"{ANSWER}?.textContent == '<b>안녕</b>Geese are 거위.'")
        classes = page.ask(f"[...{ANSWER}.children].map(e => e.className + '|' + e.title)")
        assert classes[0] == "piece s0|95 %" and classes[2].startswith("piece s1|")
        page.ask(f"{ANSWER}.children[1].click()")  # what else the model thought of
        assert "50 %" in page.ask("document.getElementById('detail').textContent")
        page.ask("document.getElementById('numbers').click()")
        assert page.ask("document.getElementById('log').className") == "numbers"

        type_in("for ever")
        until(page, f"{ANSWER}.children.length > 5")  # they come while it is written
        assert canned.n_open == 1 and page.ask("document.getElementById('send').disabled")
        press("stop")
        wait_for(lambda: canned.n_open == 0)
        until(page, f"{STATE} == 'Stopped.' || {STATE} == '멈췄습니다.'")

        press("new")  # another conversation beside it
        until(page, "document.querySelectorAll('#talks li').length == 2")
        assert page.ask("document.querySelectorAll('.question').length") == 0
        type_in("other")
        until(page, f"{ANSWER}?.textContent == 'otherGeese are 거위.'")
        page.ask("document.querySelector('#talks button').click()")
        assert page.ask("document.querySelectorAll('.question').length") == 2

        press("reset")
        until(page, "document.querySelectorAll('.question').length == 0")
        kept = [len(session.turns) for session in server.sessions.known.values()]
        wait_for(lambda: sorted(len(s.turns) for s in server.sessions.known.values())[-1] == 1)
        assert len(kept) == 2

        press("language")
        assert page.ask("document.getElementById('stop').textContent") in ("멈추기", "Stop")
        type_in("too long")
        until(page, f"{STATE}.startsWith('the question has 999 tokens')")
    with opened(browser, url) as page:  # a reload finds the conversations of this tab again
        assert "otherGeese are 거위." in page.ask(
            "document.querySelectorAll('#talks li').length == 2"
            " && document.getElementById('log').textContent"
        )


def test_the_chat_page_takes_the_token_out_of_the_address(browser, server):
    with running(server.routes(), token="geheim") as url:
        browser.open(f"{url}/?token=geheim", 1000)
        until(browser, "document.body.dataset.ready == 'yes'")
        assert browser.ask("location.search") == ""
        assert browser.ask("document.getElementById('model').textContent") == "canned"
        assert browser.complaints() == []


def test_the_spam_page_shows_a_score_for_each_token(browser, classifier):
    with running(spam_routes(*classifier, "runs/spam")) as url, opened(browser, url) as page:
        page.ask(f"document.getElementById('text').value = {json.dumps(MESSAGE)}")
        page.ask("document.getElementById('send').click()")
        until(page, "document.querySelectorAll('article').length == 1")
        assert page.ask("document.querySelector('.text').textContent") == MESSAGE
        n = len(scores_after_each(MESSAGE, *classifier))
        assert page.ask("document.querySelectorAll('.text span').length") == n
        assert page.ask("document.querySelectorAll('circle').length") == n
        page.ask("document.querySelector('#examples button').click()")
        until(page, "document.querySelectorAll('article').length == 2")  # beside the first
        page.ask("document.getElementById('text').value = 'goose '.repeat(300)")
        page.ask("document.getElementById('send').click()")
        until(page, "document.getElementById('state').textContent.includes('at most 255')")
