"""The real Claude Code on other providers than Foundry, through a real mitmdump, against a stand-in in their forms."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import ssl
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import provider_hosts
from billing.entry import Ending, Entry
from compression_engine import tokens
from demo.answers import Answer
from tests.e2e.claude_code import NEEDS_CLIENT, STREAMS, ClaudeCode, Drip
from tests.e2e.client import Tunnel, exchange, request
from tests.e2e.laws import Exchange, messages_exchanges, verify
from tests.e2e.noted import ledger
from tests.e2e.other_providers import HOSTS, other_provider
from tests.e2e.route import Route
from tests.e2e.scripted import session
from tests.e2e.sdks.environment import NEEDS_PYTHON_SDKS, PROJECT, PYTHON, environment, run
from tests.e2e.snippets import snippet
from tests.e2e.test_billing import bills

pytestmark = pytest.mark.e2e

EVERYTHING = ",".join(provider_hosts.PROVIDERS)
NAME = "claude-sonnet-4-5-20250929"
"""What the answers call the model."""


@dataclass(frozen=True)
class Case:
    """A provider: the page that says how Claude Code uses it, and what stands there for the reader's own values."""

    page: str
    host: str
    credential: tuple[str, str]
    model: str
    own_values: dict[str, str]
    others: dict[str, str] = field(default_factory=dict)

    @property
    def provider(self) -> str:
        """What the page names in `foundry_providers`."""
        words = shlex.split(snippet(self.page, "sh"))
        return next(word for word in words if word.startswith("foundry_providers=")).partition("=")[2]

    @property
    def variables(self) -> dict[str, str]:
        """What the page sets, and `others`. Foundry's, which the client has otherwise, is off."""
        words = shlex.split(snippet(self.page, "sh", 1, self.own_values))
        assert words[-1] == "claude"
        set_by_page = dict(word.split("=", 1) for word in words if "=" in word)
        del set_by_page["HTTPS_PROXY"], set_by_page["NODE_EXTRA_CA_CERTS"]  # those of this route
        return {"CLAUDE_CODE_USE_FOUNDRY": "", **set_by_page, **self.others}


VERTEX = Case(
    "docs/clients/vertex.md",
    "us-east5-aiplatform.googleapis.com",
    ("authorization", "Bearer made-up-token"),
    "claude-sonnet-4-5@20250929",
    {"your-project": "made-up"},
    # In the place of Google's sign-in, which asks hosts that are not here.
    {"CLAUDE_CODE_SKIP_VERTEX_AUTH": "1", "ANTHROPIC_CUSTOM_HEADERS": "Authorization: Bearer made-up-token"},
)
BEDROCK = Case(
    "docs/clients/bedrock.md",
    "bedrock-runtime.us-east-1.amazonaws.com",
    ("authorization", "Bearer made-up-key"),
    f"us.anthropic.{NAME}-v1:0",
    {"your-bedrock-api-key": "made-up-key"},
)
ANTHROPIC = Case(
    "docs/clients/anthropic-api.md",
    "api.anthropic.com",
    ("x-api-key", "made-up-key"),
    NAME,
    {"your-key": "made-up-key"},
)
each = pytest.mark.parametrize("case", [pytest.param(case, id=case.host) for case in (VERTEX, BEDROCK, ANTHROPIC)])


def client(way: Route, work: Path, case: Case, *without: str, **others: str) -> ClaudeCode:
    variables = {name: value for name, value in case.variables.items() if name not in without}
    return way.client(work, case.model, **variables, **others)


def asked(way: Route) -> list[Exchange]:
    """The requests of the session: the client tries out beforehand which models there are on Bedrock."""
    return [one for one in messages_exchanges(way.exchanges()) if "system" in one.arrived.json]


def passed_as_it_was(found: list[Exchange]) -> bool:
    return all((one.arrived.body, one.arrived.headers) == (one.sent, one.sent_headers) for one in found)


def of_session(entries: list[Entry], found: list[Exchange]) -> list[Entry]:
    assert len(entries) >= len(found)
    return entries[-len(found) :]


@NEEDS_CLIENT
@each
def test_a_session_keeps_every_law_gets_smaller_and_is_billed_to_the_token(
    case: Case, tmp_path: Path, work: Path
) -> None:
    script = session(work)
    with other_provider(script, tmp_path / "route", foundry_providers=case.provider) as way:
        run = client(way, work, case).run("Rename the twelfth item.")
        found = asked(way)
        entries = ledger(way, len(way.stand_in.requests))
        billed = bills(way)
        log = way.proxy.log()

    assert (run.code, run.out) == (0, "The session is over.\n"), run.err
    assert [one.arrived.turn for one in found] == list(range(len(script)))
    assert {one.arrived.header("host") for one in found} == {case.host}
    assert {one.arrived.header(case.credential[0]) for one in found} == {case.credential[1]}
    verify(found)
    results = found[-1].results
    assert sum(tokens.count(one.arrived) for one in results) < 0.6 * sum(tokens.count(one.sent) for one in results)

    assert Counter(entry.usage for entry in entries) == Counter(billed)
    assert {entry.ending for entry in entries} == {Ending.COMPLETE}
    of_this = of_session(entries, found)
    assert {(entry.deployment, entry.model) for entry in of_this} == {(case.model, NAME)}
    assert of_this[-1].outcome == "rewritten"
    assert all(one.follows == one.conversation and one.prefix_kept for one in of_this[1:])
    assert "passed as it was" not in log
    assert "is not known" not in log


@NEEDS_CLIENT
def test_what_bedrock_streams_reaches_the_client_as_it_drips(tmp_path: Path, work: Path) -> None:
    text = " ".join(f"word{number}" for number in range(60))
    with other_provider([Answer((text,), pause=1.0)], tmp_path / "route", foundry_providers="bedrock") as way:
        way.stand_in._server.stopping = drip = Drip()
        run = client(way, work, BEDROCK).run("Talk.", *STREAMS, tells=drip.tells)
        (entry,) = of_session(ledger(way, len(way.stand_in.requests)), asked(way))

    assert run.code == 0, run.err
    partial = [event["event"] for event in map(json.loads, run.out.splitlines()) if event["type"] == "stream_event"]
    deltas = [event["delta"]["text"] for event in partial if event["type"] == "content_block_delta"]
    assert "".join(deltas) == text
    assert drip.pauses > len(deltas) > 8
    assert not drip.is_held_back
    assert entry.ending is Ending.COMPLETE


@NEEDS_CLIENT
def test_what_is_signed_with_aws_credentials_passes_byte_for_byte_and_is_billed(tmp_path: Path, work: Path) -> None:
    keys = {"AWS_ACCESS_KEY_ID": "AKIDMADEUP", "AWS_SECRET_ACCESS_KEY": "made-up"}
    with other_provider(session(work), tmp_path / "route", foundry_providers=BEDROCK.provider) as way:
        run = client(way, work, BEDROCK, "AWS_BEARER_TOKEN_BEDROCK", **keys).run("Rename the twelfth item.")
        found = asked(way)
        entries = ledger(way, len(way.stand_in.requests))
        billed = bills(way)
        log = way.proxy.log()

    assert run.code == 0, run.err
    assert found[-1].results
    assert passed_as_it_was(found)
    for one in found:
        assert (one.arrived.header("authorization") or "").startswith("AWS4-HMAC-SHA256 Credential=AKIDMADEUP/")
        assert one.arrived.header("x-amz-content-sha256") == hashlib.sha256(one.arrived.body).hexdigest()
    assert {entry.outcome for entry in entries} == {"signed"}
    assert Counter(entry.usage for entry in entries) == Counter(billed)
    assert log.count("AWS's signature covers its body: give the client a Bedrock API key") == 1


@NEEDS_CLIENT
def test_bodies_in_which_claude_code_wrote_their_hash_pass_byte_for_byte(tmp_path: Path, work: Path) -> None:
    with other_provider(session(work), tmp_path / "route", foundry_providers=ANTHROPIC.provider) as way:
        run = client(way, work, ANTHROPIC, "CLAUDE_CODE_ATTRIBUTION_HEADER").run("Rename the twelfth item.")
        found = asked(way)
        log = way.proxy.log()

    assert run.code == 0, run.err
    assert found[-1].results
    assert b" cch=" in found[-1].sent
    assert passed_as_it_was(found)
    assert log.count("Claude Code wrote a hash of the body into it") == 1


@NEEDS_CLIENT
def test_a_provider_that_is_not_named_is_tunnelled(tmp_path: Path, work: Path) -> None:
    with other_provider(session(work), tmp_path / "route", foundry_providers="vertex,anthropic") as way:
        trusting_the_service = client(way, work, BEDROCK, NODE_EXTRA_CA_CERTS=str(way.stand_in.ca_path))
        run = trusting_the_service.run("Rename the twelfth item.")
        requests, tunnels = way.stand_in.requests, way.tunnels()
        seen = way.proxy.local("/api/stats")["requests"]

    assert (run.code, run.out) == (0, "The session is over.\n"), run.err
    assert requests
    assert f"{BEDROCK.host}:443" in tunnels
    assert seen == 0
    assert not (tmp_path / "route/sent.jsonl").exists(), "mitmproxy saw a request"


# The certificate authority


def test_without_a_word_every_provider_shows_its_own_certificate(tmp_path: Path) -> None:
    with other_provider([], tmp_path / "route") as way:
        own = ssl.PEM_cert_to_DER_cert(way.stand_in.ca_path.read_text())
        for host in (VERTEX.host, BEDROCK.host, ANTHROPIC.host):
            with Tunnel(way.proxy.port, host) as tunnel:
                assert tunnel.start_tls(host, way.stand_in.ca_path) == own


def test_one_region_is_looked_into_and_no_other(tmp_path: Path) -> None:
    with other_provider([], tmp_path / "route", foundry_providers="vertex:us-east5,bedrock:xx-new-9") as way:
        for host, is_ours in (
            ("us-east5-aiplatform.googleapis.com", True),
            ("bedrock-runtime.xx-new-9.amazonaws.com", True),
            ("us-east4-aiplatform.googleapis.com", False),
            ("aiplatform.googleapis.com", False),
            ("bedrock-runtime.us-east-1.amazonaws.com", False),
        ):
            trusted = way.proxy.certificate if is_ours else way.stand_in.ca_path
            with Tunnel(way.proxy.port, host) as tunnel:
                assert tunnel.start_tls(host, trusted)
        for lacking in ("vertex:us-east4", "vertex:global", "bedrock:us-east-1"):
            assert way.proxy.logged(f"once {lacking} stands in foundry_providers")


@pytest.fixture(scope="module")
def everything_on(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Route]:
    """With the largest certificate there is: the sessions above have one for a single region."""
    directory = tmp_path_factory.mktemp("everything")
    with other_provider([], directory / "route", foundry_providers=EVERYTHING) as way:
        yield way


def test_with_every_provider_on_python_trusts_the_authority_for_each_of_their_hosts(everything_on: Route) -> None:
    for host in HOSTS:
        with Tunnel(everything_on.proxy.port, host) as tunnel:
            assert tunnel.start_tls(host, everything_on.proxy.certificate)


NODE = """
const [port, host] = process.argv.slice(1);
const opened = (_, socket) => require("tls").connect({socket, servername: host}, function () {
  this.write(`GET / HTTP/1.1\\r\\nHost: ${host}\\r\\nConnection: close\\r\\n\\r\\n`);
  this.pipe(process.stdout);
});
require("http").request({host: "127.0.0.1", port, method: "CONNECT", path: `${host}:443`}).on("connect", opened).end();
"""


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("curl -sS --cacert $CA -x http://127.0.0.1:$PORT https://$HOST/", id="curl, OpenSSL"),
        pytest.param(
            "wget -qO- --content-on-error --ca-certificate=$CA -e https_proxy=http://127.0.0.1:$PORT https://$HOST/",
            id="wget, GnuTLS on Debian",
        ),
        pytest.param('NODE_EXTRA_CA_CERTS=$CA node -e "$SCRIPT" $PORT $HOST', id="node, its own OpenSSL"),
    ],
)
def test_with_every_provider_on_other_programs_trust_it_as_well(command: str, everything_on: Route) -> None:
    program = "node" if "node" in command else command.split(maxsplit=1)[0]
    if not shutil.which(program):
        pytest.skip(f"no {program} here")
    proxy = everything_on.proxy
    for host in (VERTEX.host, BEDROCK.host, ANTHROPIC.host):
        ran = subprocess.run(
            ["sh", "-c", command],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(everything_on.directory),
                "CA": str(proxy.certificate),
                "HOST": host,
                "PORT": str(proxy.port),
                "SCRIPT": NODE,
            },
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert "Resource not found" in ran.stdout, ran.stderr


@NEEDS_CLIENT
def test_with_every_provider_on_claude_code_trusts_it(everything_on: Route, work: Path) -> None:
    run = client(everything_on, work, BEDROCK).run("Say hello.")
    assert (run.code, run.out) == (0, "Done.\n"), run.err


# Clients that are not Claude Code


def test_an_answer_of_bedrocks_that_is_not_streamed_is_billed(tmp_path: Path) -> None:
    body = json.dumps({"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": []}).encode()
    path = f"/model/arn:aws:bedrock:us-east-1:1:inference-profile%2Fus.anthropic.{NAME}-v1%3A0/invoke"
    with other_provider([Answer(("Hello.",))], tmp_path / "route", foundry_providers="bedrock") as way:
        raw = request(BEDROCK.host, body, "Authorization: Bearer made-up", path=path)
        answer = exchange(way.proxy.port, BEDROCK.host, raw, way.proxy.certificate)
        (entry,) = ledger(way, 1)
        billed = bills(way)

    assert json.loads(answer.body)["content"] == [{"type": "text", "text": "Hello."}]
    assert [entry.usage] == billed
    assert entry.deployment == f"arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.{NAME}-v1:0"


LOOKED = [
    {"role": "user", "content": "Look."},
    {"role": "assistant", "content": [{"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {}}]},
    {
        "role": "user",
        "content": [
            {"type": "tool_result", "tool_use_id": "toolu_1", "content": "\n".join(["WARN the queue is full"] * 200)}
        ],
    },
]


@NEEDS_PYTHON_SDKS
def test_anthropics_sdks_need_nothing_but_proxy_and_certificate(tmp_path: Path) -> None:
    ask = json.dumps({"max_tokens": 99, "messages": LOOKED})
    with other_provider(
        [Answer(("No.",)), Answer(("It is full.",))], tmp_path / "route", foundry_providers=EVERYTHING
    ) as way:
        variables = {"HTTPS_PROXY": way.proxy.url, "SSL_CERT_FILE": str(way.proxy.certificate)}
        program = str(PROJECT / "tests/e2e/sdks/other_providers_client.py")
        told = json.loads(run([str(PYTHON), program], tmp_path, environment(tmp_path, variables), ask))
        entries = ledger(way, 3)
        requests, billed, log = way.stand_in.requests, bills(way), way.proxy.log()

    assert {name: message["content"][0]["text"] for name, message in told.items()} == dict.fromkeys(
        ("bedrock", "vertex", "anthropic"), "It is full."
    )
    assert {request.header("host") for request in requests} == {VERTEX.host, BEDROCK.host, ANTHROPIC.host}
    assert all(len(request.body) < 0.3 * len(ask) for request in requests)
    assert [entry.usage for entry in entries] == billed
    assert {entry.outcome for entry in entries} == {"rewritten"}
    assert "passed as it was" not in log


def test_a_count_of_tokens_on_vertex_is_of_what_will_be_sent(tmp_path: Path) -> None:
    body = json.dumps({"model": VERTEX.model, "messages": LOOKED}, separators=(",", ":")).encode()
    path = "/v1/projects/p/locations/us-east5/publishers/anthropic/models/count-tokens:rawPredict"
    with other_provider([], tmp_path / "route", foundry_providers="vertex") as way:
        answer = exchange(way.proxy.port, VERTEX.host, request(VERTEX.host, body, path=path), way.proxy.certificate)
        (arrived,) = way.stand_in.requests
        assert way.proxy.local("/api/stats")["requests"] == 0, "nobody is billed for a count"

    assert answer.status == 200
    assert len(arrived.body) < 0.3 * len(body)
