"""Neither a key nor anything that was said is found in what the addon, and whatever reads from it, leaves behind.

A proxy gets a folder for all that it writes: its log with everything that is ever logged, what is remembered, its home,
its temporary files. What it says of itself, what is noted at flows, and what the doctor and the report print goes there
too. Then the whole folder is searched, once while the proxy runs and once when it has ended.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from demo.answers import Answer, Refusal, ToolUse, bad_request, overloaded, rate_limited, unauthorized
from demo.stand_in import Request, Script, StandIn
from tests.e2e.claude_code import NEEDS_CLIENT, ClaudeCode
from tests.e2e.client import Tunnel, exchange, request
from tests.e2e.conftest import FOUNDRY_HOST, HARNESS
from tests.e2e.mitmdump import ADDON, PROJECT, Mitmdump, free_port, wait_for
from tests.e2e.noted import noted
from tests.e2e.recording_origin import RecordingOrigin
from tests.e2e.scripted import bash, read
from tests.e2e.traces import traces

pytestmark = pytest.mark.e2e

REDIRECT = PROJECT / "scripts" / "demo" / "redirect.py"
SECONDS = 180

# What is planted. No word is part of another, or of anything that stands anywhere by itself.
KEY = "plantedkey7f3a9c51e2"
TOKEN = "plantedtoken4b0d88c1aa"
SYSTEM = "plantedsystemquince"
QUESTION = "plantedquestionwalnut"
FILE = "plantedfilemulberry"
OUTPUT = "plantedoutputtamarind"
COMMAND = "plantedcommandjuniper"
NAME = "plantednamesassafras"
ANSWER = "plantedanswerpersimmon"
REFUSAL = "plantedrefusalkumquat"
STUB = "request said: secret"  # of harness/engine_stub.py
WORDS = (KEY, TOKEN, SYSTEM, QUESTION, FILE, OUTPUT, COMMAND, NAME, ANSWER, REFUSAL, STUB)

OPTIONS = {"foundry_cache_ttl": "0", "foundry_recent_tokens": "100"}
"""Of a proxy that sets aside whatever is not the newest, at once."""

SOURCE = "\n".join(f"def {FILE}_{number}(a):\n    return {FILE} * {number}" for number in range(120))
NUMBERED = "\n".join(f"{number}\t{line}" for number, line in enumerate(SOURCE.split("\n"), 1))
PRINTED = "\n".join(f"the line {number} of an {OUTPUT}" for number in range(150))


# The proxy, and what it leaves


@dataclass(frozen=True)
class Watched:
    """A proxy in front of `stand_in` that leaves everything in `folder`."""

    stand_in: StandIn
    proxy: Mitmdump
    folder: Path

    def post(self, body: bytes, *headers: str, path: str = "/anthropic/v1/messages?beta=true") -> int:
        """Send a request as somebody who has a key and a token; return the status."""
        raw = request(FOUNDRY_HOST, body, f"x-api-key: {KEY}", f"Authorization: Bearer {TOKEN}", *headers, path=path)
        return exchange(self.proxy.port, FOUNDRY_HOST, raw, self.proxy.certificate).status

    def verify(self, *, by_others: bool = False) -> None:
        """Fail if one of the words is found. To be called while the proxy runs, which it ends.

        `by_others`: the doctor and the report speak too, of a ledger in which something is.
        """
        state = ("--state-dir", str(self.folder / "state"))
        for path in self._pages():
            status, text = self._page(path)
            assert status in (200, 501), text  # 501: a package is missing for it
            self._keep(f"page-{path.replace('/', '_')}", text)
        assert "traceback" not in self.proxy.log().lower()
        if by_others:
            # What is not written within two seconds of the end is given up.
            assert wait_for(lambda: noted(self.folder / "state"))
            where = ("--proxy", self.proxy.url, "--offline", "--confdir", str(self.proxy.confdir), *state)
            self._run("doctor_checks", *where)
            self._run("doctor_checks", *where, "--json")
        assert traces(self.folder, WORDS) == []
        self.proxy.stop()
        if by_others:
            for form in ([], ["--json"], ["--csv"], ["--html", str(self.folder / "said" / "report.html")]):
                assert self._run("report_savings", *state, *form) == 0
        assert traces(self.folder, WORDS) == []

    def _pages(self) -> Iterator[str]:
        """Every path that the site says it has: where there is no page, it names those that there are."""
        _, text = self._page("/there-is-no-such-page")
        assert b" /ready" in text
        yield from re.findall(r"(?<= )/[\w./-]*[\w/]|(?<= )/", text.decode())

    def _page(self, path: str) -> tuple[int, bytes]:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({"http": self.proxy.url}))
        try:
            with opener.open(f"http://foundry.local{path}", timeout=SECONDS) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read()

    def _run(self, script: str, *arguments: str) -> int:
        done = subprocess.run(
            [sys.executable, "-IB", str(PROJECT / "scripts" / script), *arguments],
            cwd=self.folder,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(self.folder.parent / "client"),  # with the client's own transcripts, which hold the words
                "CLAUDE_CODE_USE_FOUNDRY": "1",
                "ANTHROPIC_FOUNDRY_RESOURCE": "made-up",
                "ANTHROPIC_FOUNDRY_API_KEY": KEY,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        assert done.stdout
        self._keep(f"{script}-{arguments[-1].rpartition('/')[2]}", done.stdout + done.stderr)
        return done.returncode

    def _keep(self, name: str, said: bytes) -> None:
        (self.folder / "said").mkdir(exist_ok=True)
        (self.folder / "said" / name).write_bytes(said)


class Mitmweb(Mitmdump):
    """The same with pages for a person; flows get comments and marks there."""

    def __init__(self, *given: Any, options: dict[str, str], **more: Any) -> None:
        web = {"web_open_browser": "false", "web_port": str(free_port()), "web_password": "made-up"}
        super().__init__(*given, options=options | web, **more)
        self._command[0] = str(Path(sys.executable).with_name("mitmweb"))


@contextmanager
def watched(
    tmp_path: Path,
    *scripts: Path,
    variables: dict[str, str] | None = None,
    script: Script | None = None,
    program: type[Mitmdump] = Mitmdump,
    **options: str,
) -> Iterator[Watched]:
    """Start a stand-in and a proxy in front of it; `scripts` stand behind the addon."""
    folder = tmp_path / "proxy"
    temporary = folder / "tmp"
    temporary.mkdir(parents=True)
    given = {"foundry_state_dir": str(folder / "state"), "flow_detail": "0", "termlog_verbosity": "debug", **OPTIONS}
    with StandIn(script or answers) as stand_in:
        proxy = program(
            folder,
            *(ADDON, *scripts, REDIRECT, HARNESS / "flow_notes.py"),
            options={**given, "ssl_verify_upstream_trusted_ca": str(stand_in.ca_path), **options},
            environment={
                "FOUNDRY_STAND_IN_PORT": str(stand_in.port),
                "FLOW_NOTES": str(folder / "flow-notes.jsonl"),
                "TMPDIR": str(temporary),
                **(variables or {}),
            },
        )
        with proxy:
            yield Watched(stand_in, proxy, folder)


def answers(asked: Request) -> Answer | Refusal:
    """What a request asks for in a header; else an answer that says something."""
    wanted: dict[str | None, Answer | Refusal] = {
        None: Answer((f"It is {ANSWER}.", ToolUse("Bash", {"command": COMMAND}))),
        "400": bad_request(f"No: {REFUSAL}"),
        "401": unauthorized(),
        "429": rate_limited(0),
        "529": overloaded(),
        "echo": Refusal(500, asked.body, (("x-echo", KEY),)),
        "slow": Answer((f"It is {ANSWER}. " * 200,), pause=0.3),
    }
    return wanted[asked.header("x-wanted")]


# What is sent


def messages(turns: int, *more: dict[str, Any]) -> list[dict[str, Any]]:
    """A conversation in which files are read and commands are run, again and again."""
    said: list[dict[str, Any]] = [{"role": "user", "content": f"What of {QUESTION}?"}]
    for turn in range(turns):
        calls: list[tuple[str, dict[str, Any], str]] = [
            ("Read", {"file_path": f"/x/{NAME}_{turn}.py"}, NUMBERED),
            ("Bash", {"command": f"cat {COMMAND} {turn}"}, f"{PRINTED}\n{turn}"),
        ]
        uses = [
            {"type": "tool_use", "id": f"toolu_{turn}_{name}", "name": name, "input": given} for name, given, _ in calls
        ]
        results = [
            {"type": "tool_result", "tool_use_id": f"toolu_{turn}_{name}", "content": text} for name, _, text in calls
        ]
        said += [{"role": "assistant", "content": [{"type": "text", "text": ANSWER}, *uses]}]
        said += [{"role": "user", "content": results}]
    return [*said, *more]


def body(said: Sequence[dict[str, Any]], **more: Any) -> bytes:
    tools = [{"name": name, "description": SYSTEM, "input_schema": {"type": "object"}} for name in ("Read", "Bash")]
    whole = {"model": "claude-sonnet-4-5", "max_tokens": 10, "system": f"You are {SYSTEM}.", "tools": tools, **more}
    return json.dumps({**whole, "messages": list(said)}, separators=(",", ":")).encode()


def recalled(asked: Watched) -> bytes:
    """The next request, in which the assistant has read a path that the last one named."""
    path = re.findall(rb"\.foundry-compress/\w+\.txt", asked.stand_in.requests[-1].plain_body)[-1].decode()
    use = {"type": "tool_use", "id": "toolu_again", "name": "Read", "input": {"file_path": path}}
    gone = {"type": "tool_result", "tool_use_id": "toolu_again", "is_error": True, "content": "File does not exist."}
    turn = ({"role": "assistant", "content": [use]}, {"role": "user", "content": [gone]})
    return body(messages(4, *turn))


# Sessions


@pytest.mark.parametrize("mode", ["balanced", "lossless", "observe"])
def test_a_session_leaves_no_word_of_it(mode: str, tmp_path: Path) -> None:
    with watched(tmp_path, foundry_mode=mode) as asked:
        for turn in range(1, 5):
            assert asked.post(body(messages(turn), stream=True)) == 200
        if mode == "balanced":
            assert asked.post(recalled(asked)) == 200
        arrived = asked.stand_in.requests
        asked.verify(by_others=mode == "balanced")

    # The words were there to be found, and what is searched is what was written about these very requests.
    assert all(
        word in arrived[0].plain_body.decode() for word in (SYSTEM, QUESTION, FILE, OUTPUT, COMMAND, NAME, ANSWER)
    )
    assert (arrived[-1].header("x-api-key"), arrived[-1].header("authorization")) == (KEY, f"Bearer {TOKEN}")
    log = asked.proxy.log()
    assert log.count("outcome=") == len(arrived)
    assert ("outcome=observed" if mode == "observe" else "outcome=rewritten") in log
    assert bool(re.search(r" set_aside=[1-9]", log)) is (mode != "lossless")
    if mode == "balanced":
        assert OUTPUT in str(arrived[-1].json["messages"][-1])  # what was set aside has come back
    notes = (asked.folder / "flow-notes.jsonl").read_text().splitlines()
    assert len([note for note in notes if json.loads(note)["event"] == "request"]) >= len(arrived)
    assert list((asked.folder / "state").glob("*.sqlite3"))


def test_flows_that_a_person_can_look_at_leave_no_word(tmp_path: Path) -> None:
    export = tmp_path / "export.json"
    with watched(tmp_path, program=Mitmweb, variables={"FLOW_EXPORT": str(export)}) as asked:
        for turn in range(1, 5):
            assert asked.post(body(messages(turn), stream=True)) == 200
        assert asked.post(body(messages(2))[:-40]) == 400
        asked.verify()

    notes = [json.loads(line) for line in (asked.folder / "flow-notes.jsonl").read_text().splitlines()]
    assert any(note["comment"].startswith("rewritten: ") for note in notes)
    assert any(note["marked"] for note in notes)
    # What a person exports holds the conversation, and no credential.
    assert FILE in export.read_text()
    assert traces(tmp_path, [KEY, TOKEN]) == []


@NEEDS_CLIENT
def test_a_session_of_claude_code_leaves_no_word_of_it(tmp_path: Path) -> None:
    work = tmp_path / "work"
    work.mkdir()
    source = work / f"{NAME}.py"
    source.write_text(SOURCE)
    turns = [
        Answer((f"I see {ANSWER}.", read(source), bash(f"echo {COMMAND}; cat {source.name}"))),
        Answer((read(source), bash(f"cat {COMMAND}; cat {source.name} {source.name}"))),
        Answer((f"It was {ANSWER}.",)),
    ]

    with watched(tmp_path, script=turns, foundry_cache_ttl="auto") as asked:
        extra = {"ANTHROPIC_FOUNDRY_API_KEY": KEY}
        client = ClaudeCode(tmp_path / "client", work, asked.proxy.url, asked.proxy.certificate, extra=extra)
        run = client.run(f"What of {QUESTION}?")
        arrived = [one for one in asked.stand_in.requests if one.path.startswith("/anthropic/v1/messages?")]
        asked.verify(by_others=True)

    assert (run.code, run.out) == (0, f"It was {ANSWER}.\n"), run.err
    said = arrived[-1].plain_body.decode()
    assert all(word in said for word in (QUESTION, FILE, COMMAND, NAME, ANSWER))
    assert KEY in str(arrived[-1].headers)
    assert "outcome=rewritten" in asked.proxy.log()
    # The client keeps all of it, and the doctor saw its home.
    assert traces(tmp_path / "client", [QUESTION, FILE, ANSWER])


# What goes wrong


def test_refusals_leave_no_word(tmp_path: Path) -> None:
    wanted = ("400", "401", "429", "529", "echo")
    with watched(tmp_path) as asked:
        statuses = [asked.post(body(messages(2)), f"x-wanted: {each}") for each in wanted]
        assert asked.post(body(messages(2))) == 200
        asked.verify()
    assert statuses == [400, 401, 429, 529, 500]
    assert asked.proxy.log().count("ending=refused") == len(wanted)


BROKEN = {
    "cut off": (body(messages(1))[:-40], ()),
    "no JSON": (f"{FILE} {OUTPUT}".encode(), ()),
    "no UTF-8": (body(messages(1)).replace(FILE.encode(), FILE.encode() + b"\xff", 1), ()),
    "nested": (f'{{"messages":{"[" * 3000}"{FILE}"'.encode(), ()),
    "another shape": (json.dumps({"messages": {FILE: OUTPUT}, "model": [QUESTION]}).encode(), ()),
    "odd blocks": (body([{"role": FILE, "content": [{"type": OUTPUT, "text": 1}, QUESTION]}]), ()),
    "an unknown encoding": (body(messages(1)), ("Content-Encoding: x-made-up",)),
    "another encoding than it says": (body(messages(1)), ("Content-Encoding: gzip",)),
    "cut off and packed": (gzip.compress(body(messages(1)))[:-20], ("Content-Encoding: gzip",)),
    "packed": (zlib.compress(body(messages(1))), ("Content-Encoding: deflate",)),
    "a key for an id": (body(messages(1)), (f"x-claude-code-session-id: {KEY}", f"User-Agent: {TOKEN}")),
    "a user": (body(messages(1), metadata={"user_id": f"{KEY}_{QUESTION}"}), ()),
}


def test_bodies_that_cannot_be_read_leave_no_word(tmp_path: Path) -> None:
    with watched(tmp_path) as asked:
        for sent, headers in BROKEN.values():
            assert asked.post(sent, *headers) in (200, 400, 502), headers
            arrived = asked.stand_in.requests[-1]
            assert arrived.header("x-api-key") == KEY
        asked.verify()
    log = asked.proxy.log()
    assert log.count("outcome=") == len(BROKEN)
    assert "its content encoding cannot be read" in log
    assert "outcome=not-understood" in log


def test_other_paths_and_methods_leave_no_word(tmp_path: Path) -> None:
    paths = (
        f"/anthropic/v1/messages/count_tokens?api-key={KEY}",
        f"/openai/v1/chat/completions?api-key={KEY}",
        f"/openai/deployments/made-up/chat/completions?api-version=1&api-key={KEY}",
        f"/openai/v1/responses?api-key={KEY}",
        f"/nobody/knows/this?api-key={KEY}&q={QUESTION}",
    )
    with watched(tmp_path) as asked:
        for path in paths:
            asked.post(body(messages(2)), f"api-key: {KEY}", path=path)
        raw = f"GET /anthropic/v1/models?key={KEY} HTTP/1.1\r\nHost: {FOUNDRY_HOST}\r\nx-api-key: {KEY}\r\n\r\n"
        exchange(asked.proxy.port, FOUNDRY_HOST, raw.encode(), asked.proxy.certificate)
        assert len([one for one in asked.stand_in.requests if KEY in one.path]) == len(paths)
        asked.verify()
    assert "has a path whose format is not known (/nobody/knows/this)" in asked.proxy.log()


def test_clients_that_hang_up_leave_no_word(tmp_path: Path) -> None:
    sent = body(messages(2), stream=True)
    raw = request(FOUNDRY_HOST, sent, f"x-api-key: {KEY}", "x-wanted: slow")
    with watched(tmp_path) as asked:
        for part in (len(raw) // 2, len(raw)):  # in the middle of the request, and of the answer
            with Tunnel(asked.proxy.port, FOUNDRY_HOST) as tunnel:
                tunnel.start_tls(FOUNDRY_HOST, asked.proxy.certificate)
                tunnel.socket.sendall(raw[:part])
                if part == len(raw):
                    assert tunnel.socket.recv(1000).startswith(b"HTTP/1.1 200")
                else:
                    time.sleep(0.1)
        assert asked.proxy.logged("ending=client-left")
        asked.verify()


def test_a_service_that_cannot_be_reached_leaves_no_word(tmp_path: Path) -> None:
    with watched(tmp_path, connection_strategy="lazy", variables={"FOUNDRY_STAND_IN_PORT": str(free_port())}) as asked:
        assert asked.post(body(messages(2))) == 502
        asked.verify()
    assert "ending=unreached" in asked.proxy.log()


def test_a_service_that_says_nothing_that_is_http_leaves_no_word(tmp_path: Path) -> None:
    with RecordingOrigin(tmp_path, FOUNDRY_HOST) as origin:
        origin.answer = lambda _, send: send(f"{REFUSAL} {FILE}\r\n\r\n".encode())
        variables = {"FOUNDRY_STAND_IN_PORT": str(origin.port)}
        trusted = str(origin.certificate)
        with watched(tmp_path, variables=variables, ssl_verify_upstream_trusted_ca=trusted) as asked:
            assert asked.post(body(messages(2))) == 502
            assert FILE.encode() in origin.received[0].body
            asked.verify()


@pytest.mark.parametrize("error", ["ValueError", "OptionsError", "panic"])
def test_an_engine_that_fails_leaves_no_word(error: str, tmp_path: Path) -> None:
    with watched(tmp_path, HARNESS / "engine_stub.py", variables={"ENGINE_STUB": error}) as asked:
        assert [asked.post(body(messages(2))) for _ in range(2)] == [200, 200]
        asked.verify()
    assert "The engine failed (" in asked.proxy.log()
    assert asked.proxy.log().count("outcome=failed") == 2


def test_a_folder_that_cannot_be_used_leaves_no_word(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with watched(tmp_path, foundry_state_dir=str(tmp_path / "file" / "state")) as asked:
        assert asked.post(body(messages(3))) == 200
        assert asked.proxy.logged("cannot be kept in")
        asked.verify()


# That a leak would be found


@pytest.mark.parametrize(
    ("leak", "word", "place"),
    [
        ("log", FILE, "mitmdump.log"),
        ("key", KEY, "mitmdump.log"),
        ("comment", OUTPUT, "flow-notes.jsonl"),
        ("metadata", QUESTION, "flow-notes.jsonl"),
        ("file", FILE, "state/more/deep/file"),
        ("database", COMMAND, "state/leak.sqlite3"),
        ("temporary file", SYSTEM, "tmp/file"),
    ],
)
def test_a_leak_is_found(leak: str, word: str, place: str, tmp_path: Path) -> None:
    variables = {"LEAK": leak, "LEAK_STATE": str(tmp_path / "proxy" / "state")}
    with watched(tmp_path, HARNESS / "leaks.py", variables=variables) as asked:
        assert asked.post(body(messages(2))) == 200
        with pytest.raises(AssertionError):
            asked.verify()
    found = traces(asked.folder, WORDS)
    assert any(line.startswith(f"{place}: {word}") for line in found)
    assert {line.partition(":")[0] for line in found} == {place}
