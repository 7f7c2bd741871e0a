"""A judge over HTTP: a local server speaks Ollama's protocol, well and badly."""

import json
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from ch07 import ollama_evaluate
from ch07.gpt_instruction_finetuning import read_entries
from ch07.ollama_evaluate import (
    Unavailable,
    check_judge,
    full_address,
    judge_prompt,
    parse_score,
    read_responses,
    score_response,
    score_responses,
    summarise,
)

ENTRY = {"instruction": "Add.", "input": "3 and 4", "output": "7", "response": "8"}


@contextmanager
def judge(*replies, models=("llama3.2:latest",)):
    """A server that gives these replies one after the other, the last one again and again.

    A text is what the model says, a number an HTTP error, a function does what it likes.
    """

    class Handler(BaseHTTPRequestHandler):
        def send(self, body: bytes, code: int = 200):
            self.send_response(code)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self):
            server.asked.append((self.path, None))
            self.send(json.dumps({"models": [{"name": name} for name in models]}).encode())

        def do_POST(self):
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            reply = replies[min(len(server.questions), len(replies) - 1)]
            server.asked.append((self.path, question))
            server.questions.append(question)
            if callable(reply):
                reply(self)
            elif isinstance(reply, int):
                self.send(b'{"error": "out of order"}', reply)
            else:
                answer = {"message": {"role": "assistant", "content": reply}, "done": True}
                self.send(json.dumps(answer).encode())

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.questions = [], []
    server.url = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def free_url() -> str:
    with judge("1") as server:
        return server.url


def test_the_request_is_ollamas():
    with judge("85") as server:
        assert score_response(ENTRY, server.url, "llama3.2") == (85, "")
        ((path, question),) = server.asked
    assert path == "/api/chat" and question["model"] == "llama3.2" and question["stream"] is False
    (message,) = question["messages"]
    assert message["role"] == "user"
    assert all(ENTRY[name] in message["content"] for name in ENTRY)
    assert question["options"]["temperature"] == 0


def test_the_history_is_part_of_the_task():
    history = [{"instruction": "Add 1 and 1.", "input": "", "output": "2"}]
    prompt = judge_prompt(ENTRY | {"history": history})
    assert prompt.index("Add 1 and 1.") < prompt.index("3 and 4")


@pytest.mark.parametrize(
    ("text", "score"),
    [
        *[("85", 85), ("0", 0), (" 100\n", 100), ("Score: 85/100.", 85), ("**85**", 85)],
        *[("score = 7", 7), ("<think>70? No.</think>\n85", 85), ("85 / 100", 85)],
        *[("Very good!", None), ("850", None), ("101", None), ("8 or 9", None), ("", None)],
        *[("-5 of 10", None), ("8.5", None), ("It is 85, I think", None), ("It is 85", None)],
        *[("-5", None), ("score: -20", None), ("−5", None), (".5", None), ("≤ 30", None)],
        *[("> 30", None), ("~85", None), ("Score: <50", None), ("*-5*", None), ("($5)", None)],
        *[("ok\n</think>\n\n85", 85), ("</think> 7", 7), ("<think>9</think>8</think>7", 7)],
        *[("85 <think>why?</think>", 85), ("85</think>good", None), ("<think>85", None)],
        *[("“85”", 85), ('{"score": 85}', 85), ("**Score:** (85)", 85), ("# Score\n\n__85__", 85)],
    ],
)
def test_a_score_is_one_whole_number(text: str, score: int | None):
    assert parse_score(text) == score


def test_words_are_asked_about_again_with_another_seed():
    with judge("Well done!", "Hm.", "60") as server:
        assert score_response(ENTRY, server.url, "m", wait=0) == (60, "")
        assert len({question["options"]["seed"] for question in server.questions}) == 3


def test_a_judge_of_words_leaves_it_unscored_and_is_quoted():
    with judge("Well\ndone!") as server:
        score, reason = score_response(ENTRY, server.url, "m", wait=0)
        assert score is None and "'Well done!'" in reason and len(server.questions) == 3


def test_a_slow_server_is_asked_again():
    def sleep(handler):
        time.sleep(0.6)

    with judge(sleep, "70") as server:
        assert score_response(ENTRY, server.url, "m", timeout=0.2, wait=0) == (70, "")


@pytest.mark.parametrize(
    "broken",
    [
        500,
        lambda handler: handler.send(b"not json"),
        lambda handler: handler.send(b'{"message": null}'),
        lambda handler: handler.send(b"[]"),
        lambda handler: handler.wfile.write(b"nonsense\r\n\r\n"),
        lambda handler: handler.connection.close(),
    ],
)
def test_a_broken_answer_is_asked_for_again(broken):
    with judge(broken, "70") as server:
        assert score_response(ENTRY, server.url, "m", timeout=5, wait=0) == (70, "")
    with judge(broken) as server:
        score, reason = score_response(ENTRY, server.url, "m", timeout=5, wait=0)
        assert score is None and reason


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            b'{"error": "model requires more\\n memory (9 GiB)"}',
            "model requires more memory (9 GiB)",
        ),
        (b'{"error": "' + b"x" * 5000 + b'"}', "x" * 200),
        (b"<html>", "Internal Server Error"),
        (b"[]", "Internal Server Error"),
    ],
)
def test_the_servers_reason_of_an_error_is_told(body, reason):
    with judge(lambda handler: handler.send(body, 500)) as server:
        score, said = score_response(ENTRY, server.url, "m", wait=0)
    assert score is None and said == f"the server answered with error 500 ({reason})"


def test_a_judge_that_refuses_to_say_what_it_has_is_quoted(monkeypatch):
    with judge("1") as server:
        monkeypatch.setattr(
            server.RequestHandlerClass,
            "do_GET",
            lambda handler: handler.send(b'{"error": "not yours"}', 403),
        )
        with pytest.raises(Unavailable, match=r"refuses: .* error 403 \(not yours\)"):
            check_judge(server.url, "llama3.2")


def test_an_entry_with_an_empty_output_is_left_unscored_and_the_others_are_judged(tmp_path):
    empty = ENTRY | {"output": " "}
    later = ENTRY | {"history": [{"instruction": "Say nothing.", "output": ""}]}
    path = tmp_path / "responses.json"
    path.write_text(json.dumps([empty, ENTRY, later, ENTRY | {"response": ""}]), encoding="utf-8")
    with judge("90") as server:
        scored = score_responses(read_responses(path), server.url, "m", wait=0)
        assert len(server.questions) == 3
    assert [entry["score"] for entry in scored] == [None, 90, 90, 90]
    assert "its output is empty" in scored[0]["unscored"]
    with pytest.raises(ValueError, match="entry 0: output is empty"):
        read_entries(path)  # to learn from it is another matter


def test_half_a_character_in_the_data_reaches_the_scores(tmp_path, capsys):
    path = tmp_path / "responses.json"
    path.write_text('[{"instruction": "\\ud83d", "output": "a", "response": "b\\ude00"}]')
    with judge("90") as server:
        ollama_evaluate.main(["--responses", str(path), "--url", server.url])
    (entry,) = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert (entry["instruction"], entry["response"], entry["score"]) == ("\ud83d", "b\ude00", 90)


def test_a_server_that_goes_away_is_not_waited_for_forever():
    started = time.perf_counter()
    scored = score_responses([ENTRY] * 200, free_url(), "m", timeout=1, wait=0)
    assert time.perf_counter() - started < 20
    assert len(scored) == 200 and all(entry["score"] is None for entry in scored)
    assert "stopped answering" in scored[-1]["unscored"]


def test_a_server_that_answers_badly_is_not_taken_for_silent():
    """Words, errors and other forms are answers: every entry is still asked about."""
    for reply in ("nothing to say", "no answer", 500, lambda handler: handler.send(b"[]")):
        with judge(reply) as server:
            scored = score_responses([ENTRY] * 5, server.url, "m", wait=0)
            assert len(server.questions) == 15, reply
        assert not any("stopped answering" in entry["unscored"] for entry in scored)


@pytest.mark.parametrize("text", ["no number", "error 500: no luck", "no answer: 7 of 8"])
def test_silence_is_said_by_the_server_and_not_found_in_the_words(monkeypatch, text: str):
    """A failure counts as silence whatever its message says, also if it speaks of a number."""
    asked = []

    def fail(*arguments):
        asked.append(arguments)
        raise OSError(text)

    monkeypatch.setattr(ollama_evaluate, "ask_server", fail)
    scored = score_responses([ENTRY] * 5, "host", "m", wait=0)
    assert len(asked) == 9 and "stopped answering" in scored[3]["unscored"]


def test_unscored_responses_are_counted_and_not_averaged():
    with judge("80", "Well!", "Well!", "Well!", "40") as server:
        scored = score_responses([ENTRY] * 3, server.url, "m", wait=0)
    assert [entry["score"] for entry in scored] == [80, None, 40]
    text = summarise(scored)
    assert "2 of 3" in text and "60.0" in text and "1 unscored" in text and "Well!" in text
    assert "0 of 1" in summarise(scored[1:2])


def test_an_address_may_leave_its_scheme_out():
    assert full_address("localhost:11434", "/api/chat") == "http://localhost:11434/api/chat"
    assert full_address("https://judge.example/", "/api/tags") == "https://judge.example/api/tags"
    assert full_address("http://host/ollama", "/api/chat") == "http://host/ollama/api/chat"
    for wrong in ("file:///etc/passwd", "", "ftp://host", "host:abc", "http://host:99999"):
        with pytest.raises(ValueError, match="is not the address of a server"):
            full_address(wrong, "/api/chat")


def test_an_address_without_scheme_and_port_means_ollamas_port():
    assert full_address("127.0.0.1", "/api/tags") == "http://127.0.0.1:11434/api/tags"
    assert full_address("judge.example/ollama", "") == "http://judge.example:11434/ollama"
    assert full_address("[::1]", "/api/tags") == "http://[::1]:11434/api/tags"
    assert full_address("host:", "/api/tags") == "http://host:11434/api/tags"
    assert full_address("host:80", "/api/tags") == "http://host:80/api/tags"
    assert full_address("http://host", "/api/tags") == "http://host/api/tags"  # as for Ollama: 80


@pytest.mark.parametrize(
    ("host", "address"),
    [  # what Ollama's own clients make of OLLAMA_HOST
        ("1.2.3.4", "http://1.2.3.4:11434"),
        (":56789", "http://127.0.0.1:56789"),
        ("1.2.3.4:56789", "http://1.2.3.4:56789"),
        ("http://1.2.3.4", "http://1.2.3.4"),
        ("https://1.2.3.4:56789", "https://1.2.3.4:56789"),
        ("http://:80/", "http://127.0.0.1:80"),
        ("example.com:56789/", "http://example.com:56789"),
        ("example.com:56789/path/", "http://example.com:56789/path"),
        ("https://example.com/path", "https://example.com/path"),
        ("0001:002:003:0004::1", "http://[0001:002:003:0004::1]:11434"),
        ("[0001:002:003:0004::1]:56789", "http://[0001:002:003:0004::1]:56789"),
        ("http://[::1]", "http://[::1]"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("http://0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("::", "http://[::1]:11434"),
        ("[::]:8080", "http://[::1]:8080"),
        (" '1.2.3.4' ", "http://1.2.3.4:11434"),
        ('"http://1.2.3.4:1"\n', "http://1.2.3.4:1"),
    ],
)
def test_a_host_is_read_as_ollama_reads_it(host, address):
    assert full_address(host, "/api/tags") == f"{address}/api/tags"
    assert full_address(full_address(host, ""), "") == address


def test_no_proxy_stands_between(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    with judge("85") as server:
        assert score_response(ENTRY, server.url, "m", wait=0)[0] == 85


def test_what_is_missing_is_said_before_anything_is_asked():
    with pytest.raises(Unavailable, match="ollama serve"):
        check_judge(free_url(), "llama3.2")
    with judge("1") as server:
        check_judge(server.url, "llama3.2")
        with pytest.raises(Unavailable, match=r"ollama pull mistral.*it has llama3.2:latest"):
            check_judge(server.url, "mistral")
    with judge("1", models=()) as server:
        with pytest.raises(Unavailable, match="no model yet"):
            check_judge(server.url, "llama3.2")


def test_the_command_writes_scores_and_says_their_mean(tmp_path, capsys):
    path = tmp_path / "responses.json"
    path.write_text(json.dumps([ENTRY] * 4), encoding="utf-8")
    with judge("90", "Well!", "Well!", "Well!", "50") as server:
        ollama_evaluate.main(["--responses", str(path), "--url", server.url, "--limit", "3"])
    assert "2 of 3 responses scored, on average 70.0 of 100; 1 unscored" in capsys.readouterr().out
    scores = json.loads((tmp_path / "scores.json").read_text(encoding="utf-8"))
    assert [entry["score"] for entry in scores] == [90, None, 50]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["responses.json", "scores.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not a JSON file"),
        ("[]", "a list of entries is needed"),
        ('[{"instruction": "a", "output": "b"}]', "entry 0 has no response"),
        ('[{"instruction": "a", "output": "b", "response": 3}]', "entry 0 has no response"),
        ("[7]", "entry 0 is not an entry"),
        (json.dumps([ENTRY, ENTRY | {"input": None}]), "entry 1: input is None"),
        (json.dumps([ENTRY | {"history": ["x"]}]), "entry 0: history"),
        (json.dumps([ENTRY | {"history": None}]), "entry 0: history"),
        (json.dumps([ENTRY | {"history": [{"instruction": "a"}]}]), "entry 0: .*output is None"),
    ],
)
def test_a_file_without_responses_is_refused_by_name(tmp_path, text: str, message: str):
    path = tmp_path / "responses.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read_responses(path)
    with pytest.raises(SystemExit, match=message):
        ollama_evaluate.main(["--responses", str(path)])


def test_the_command_refuses_in_one_sentence(tmp_path):
    path = tmp_path / "responses.json"
    path.write_text(json.dumps([ENTRY]), encoding="utf-8")
    for options, message in (
        (["--responses", str(tmp_path / "none.json")], "none.json"),
        (["--limit", "0"], "limit=0"),
        *[
            (["--timeout", t], "timeout=.* must be more than 0 and at most 86400")
            for t in ("0", "-1", "inf", "nan", "1e12")
        ],
        (["--out", str(tmp_path)], "is a folder"),
        (["--url", free_url()], "ollama serve"),
        (["--url", "ftp://x"], "is not the address"),
    ):
        with pytest.raises(SystemExit, match=message):
            ollama_evaluate.main(["--responses", str(path), *options])
    assert not (tmp_path / "scores.json").exists()


def test_where_nothing_can_be_written_nothing_is_judged(tmp_path):
    path = tmp_path / "responses.json"
    path.write_text(json.dumps([ENTRY]), encoding="utf-8")
    for out in (tmp_path, path / "scores.json"):
        with judge("85") as server:
            given = ["--responses", str(path), "--url", server.url, "--out", str(out)]
            with pytest.raises(SystemExit, match=r"^ollama_evaluate: .*responses|is a folder"):
                ollama_evaluate.main(given)
            assert server.questions == []
    assert [p.name for p in tmp_path.iterdir()] == ["responses.json"]


def test_the_command_asks_the_server_that_ollama_host_names(tmp_path, monkeypatch, capsys):
    path = tmp_path / "responses.json"
    path.write_text(json.dumps([ENTRY]), encoding="utf-8")
    with judge("85") as server:
        monkeypatch.setenv("OLLAMA_HOST", server.url.removeprefix("http://"))
        ollama_evaluate.main(["--responses", str(path)])
    assert "1 of 1 responses scored" in capsys.readouterr().out
    asked = []
    monkeypatch.setattr(ollama_evaluate, "check_judge", lambda url, model: asked.append(url))
    monkeypatch.setattr(ollama_evaluate, "score_response", lambda *given, **more: (1, ""))
    for host in ("", None):
        monkeypatch.delenv("OLLAMA_HOST", raising=False)
        if host is not None:
            monkeypatch.setenv("OLLAMA_HOST", host)
        ollama_evaluate.main(["--responses", str(path)])
    assert asked == [ollama_evaluate.DEFAULT_URL] * 2
