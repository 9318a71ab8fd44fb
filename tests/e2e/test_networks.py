"""docs/networks.md, network by network: what a reader starts is started here, with servers on loopback behind it."""

from __future__ import annotations

import contextlib
import http.client
import json
import shlex
import shutil
import socket
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509

from demo.answers import Answer
from demo.stand_in import Request
from tests.e2e import foundry_request
from tests.e2e.claude_code import NEEDS_CLIENT, ClaudeCode, Run, client_path
from tests.e2e.client import Tunnel, exchange, plain, request
from tests.e2e.mitmdump import ADDON, PROJECT, Mitmdump, free_port, wait_for
from tests.e2e.networks.documented import client_variables, command_lines, configuration, proxy_arguments, said
from tests.e2e.networks.gateway import DRIP, PREFIX, Gateway
from tests.e2e.networks.sign_in import LOGIN, MACHINE, TOKEN, SignIn
from tests.e2e.recording_origin import RecordingOrigin
from tests.e2e.scripted import SOURCE, bash, make_project, read
from tests.e2e.test_launcher import Launch
from tests.e2e.traces import traces

pytestmark = pytest.mark.e2e

NETWORKS = Path(__file__).with_name("networks")
LEADS_TO = NETWORKS / "leads_to.py"
SHOW_ISSUERS = f"{sys.executable} {NETWORKS / 'show_issuers.py'}"

# Those of the page.
RESOURCE = "my-resource"
HOST = f"{RESOURCE}.services.ai.azure.com"
GATEWAY = "gateway.example.com"
PRIVATE = f"{RESOURCE}.privatelink.services.ai.azure.com"
COMPANY = "http://proxy.example.com:8080"
PROXY, CERTIFICATE = "http://127.0.0.1:8080", "certs/mitmproxy-ca-cert.pem"

OTHER = "other.example"
SOVEREIGN = tuple(
    f"{RESOURCE}.{service}.azure.{cloud}"
    for service in ("services.ai", "openai", "cognitiveservices")
    for cloud in ("us", "cn")
)
BODY = foundry_request.body()
PASSWORD = "planted-password"
OURS, COMPANYS = "Foundry Compress", "mitmproxy"  # organisations of the authorities
SECONDS = 180


def _has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True


needs_ipv6 = pytest.mark.skipif(not _has_ipv6(), reason="this machine has no IPv6 on loopback")


class Project(NamedTuple):
    """What the client works on, and Foundry, as which one server stands for every host there is."""

    directory: Path
    foundry: Gateway

    def since(self, number: int) -> list[Request]:
        """The requests that arrived after the first `number`."""
        return self.foundry.requests[number:]

    @property
    def arrived(self) -> int:
        return len(self.foundry.requests)


def _script(directory: Path) -> Any:
    def answer(asked: Request) -> Answer:
        if asked.turn:
            return Answer(("The session is over.",))
        prompt = str(asked.json["messages"][0])
        if "certificates" not in prompt:
            return Answer((read(directory / SOURCE),))
        return Answer((bash(f"{SHOW_ISSUERS} {HOST} {OTHER} >{directory}/issuers 2>&1"),))

    return answer


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    directory = tmp_path_factory.mktemp("work") / "project"
    make_project(directory)
    # Of the names between only the one that a test needs: for the others Azure has no certificates either.
    with Gateway(_script(directory), (HOST, GATEWAY, PRIVATE, OTHER, *SOVEREIGN)) as foundry:
        yield Project(directory, foundry)


@pytest.fixture
def sign_in(sign_in_server: RecordingOrigin) -> SignIn:
    sign_in_server.forget()
    answers = sign_in_server.answer = SignIn()
    return answers


@pytest.fixture(scope="module")
def sign_in_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RecordingOrigin]:
    with RecordingOrigin(tmp_path_factory.mktemp("sign-in"), LOGIN) as server:
        yield server


def _mitmdump(home: Path, project: Project, *arguments: str, leads_to: Mapping[str, int]) -> Mitmdump:
    """A proxy with the addon and `arguments` that trusts `project`'s Foundry; hosts are where `leads_to` says."""
    options: dict[str, str | None] = {
        "listen_host": None if "--listen-host" in arguments else "127.0.0.1",
        "ssl_verify_upstream_trusted_ca": str(project.foundry.ca_path),
        "foundry_state_dir": str(home / "state"),
    }
    environment = {"LEADS_TO": json.dumps(dict(leads_to))}
    return Mitmdump(home, ADDON, LEADS_TO, options=options, arguments=arguments, environment=environment)


class Way(NamedTuple):
    """The proxy that most tests share: a regular one, and in reverse mode for Foundry and for a gateway."""

    proxy: Mitmdump
    reverse_port: int
    reverse_to_gateway_port: int

    @property
    def readers(self) -> dict[str, str]:
        """What stands on the page for a reader's own proxy, and what it is here."""
        return {PROXY: self.proxy.url, CERTIFICATE: str(self.proxy.certificate)}


@pytest.fixture(scope="module")
def way(project: Project, sign_in_server: RecordingOrigin, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Way]:
    reverse, to_gateway = free_port(), free_port()
    proxy = _mitmdump(
        tmp_path_factory.mktemp("way"),
        project,
        *proxy_arguments("A gateway", {}),
        *proxy_arguments("Without a certificate authority", {"8081": str(reverse)}),
        *("--mode", f"reverse:http://{GATEWAY}:4000@{to_gateway}"),
        leads_to={"*": project.foundry.port, LOGIN: sign_in_server.port, MACHINE: sign_in_server.port},
    )
    with proxy:
        yield Way(proxy, reverse, to_gateway)


def _claude(home: Path, project: Project, variables: Mapping[str, str]) -> Run:
    """Real Claude Code with the page's `variables`."""
    base = {"ANTHROPIC_FOUNDRY_RESOURCE": "" if "ANTHROPIC_FOUNDRY_BASE_URL" in variables else RESOURCE}
    client = ClaudeCode(home / "client", project.directory, "", Path(), extra=base | dict(variables))
    return client.run("Look at the project.")


def _is_rewritten(arrived: Request) -> bool:
    """Whether the file that the client read in its first turn is written shorter in this request."""
    results = [
        str(block["content"])
        for entry in arrived.json["messages"]
        for block in entry["content"]
        if isinstance(block, dict) and block["type"] == "tool_result"
    ]
    return len(results) == 1 and "[view " in results[0]


def _sent(arrived: Request) -> dict[str, Any]:
    """What a request asks for, without what names its session."""
    headers = {name: arrived.header(name) for name in ("anthropic-beta", "anthropic-version", "user-agent")}
    return {**arrived.json, **headers, "metadata": None}


def _ask(proxy: Mitmdump, host: str, *trusted: Path) -> int:
    """The status of a request to `host` that can be made smaller."""
    return exchange(proxy.port, host, request(host, BODY), *(trusted or (proxy.certificate,))).status


def _until(part: bytes, connection: socket.socket) -> bytes:
    """What comes, up to `part` at least. Fails if the connection ends before."""
    received = b""
    while part not in received:
        piece = connection.recv(65536)
        assert piece, received
        received += piece
    return received


def _issuer(port: int, host: str, *trusted: Path) -> str:
    """The organisation that issued the certificate that a client is shown for `host`."""
    with Tunnel(port, host) as tunnel:
        leaf = x509.load_der_x509_certificate(tunnel.start_tls(host, *trusted))
    (name,) = leaf.issuer.get_attributes_for_oid(x509.NameOID.ORGANIZATION_NAME)
    return str(name.value)


def _der(certificate: Path) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate.read_text())


def _run(line: str, directory: Path) -> str:
    """What a command line of the page prints. It must not fail."""
    done = subprocess.run(
        ["sh", "-c", line], cwd=directory, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# A company's proxy, and a network that looks into TLS


@pytest.fixture(scope="module")
def company(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    """A proxy that wants a password and shows certificates of its own authority for every host."""
    options = {"proxyauth": f"user:{PASSWORD}", "ssl_verify_upstream_trusted_ca": str(project.foundry.ca_path)}
    environment = {"LEADS_TO": json.dumps({"*": project.foundry.port})}
    with Mitmdump(tmp_path_factory.mktemp("company"), LEADS_TO, options=options, environment=environment) as proxy:
        yield proxy


def _behind(company: Mitmdump, home: Path, heading: str, password: str = PASSWORD) -> Mitmdump:
    """A proxy as the page starts it under `heading`, with the page's file for the company's password."""
    (home / "ca").mkdir(parents=True)
    file = configuration("A company's proxy", {"USER:PASSWORD": f"user:{password}"})
    (home / "ca" / "config.yaml").write_text(file, encoding="utf-8")
    options = {"foundry_state_dir": str(home / "state")}
    return Mitmdump(home, options=options, arguments=proxy_arguments(heading, {COMPANY: company.url}))


def test_a_company_that_looks_into_tls_by_hand(company: Mitmdump, project: Project, tmp_path: Path) -> None:
    heading, home = "A network that looks into TLS", tmp_path / "home"
    proxy = _behind(company, home, heading)
    readers = {
        ".venv/bin/python": sys.executable,
        "company-ca.pem": str(company.certificate),
        CERTIFICATE: str(proxy.certificate),
    }
    make_upstream_bundle, make_clients_bundle = command_lines(heading, readers)[:2]
    before = project.arrived
    _run(make_upstream_bundle, home)
    with proxy:
        _run(make_clients_bundle, home)
        trusted = home / client_variables(heading, {PROXY: proxy.url})["NODE_EXTRA_CA_CERTS"]
        assert _ask(proxy, HOST, trusted) == 200
        assert _issuer(proxy.port, HOST, trusted) == OURS
        assert _issuer(proxy.port, OTHER, trusted) == COMPANYS
        assert _get(proxy, None, f"http://{OTHER}/") == 404  # with the company's password, for there was an answer
    (arrived,) = project.since(before)
    assert len(arrived.body) < len(BODY)
    assert arrived.header("proxy-authorization") is None
    assert PASSWORD not in proxy.log()


def test_what_a_network_wants_is_told_in_the_pages_words(company: Mitmdump, tmp_path: Path) -> None:
    """First a password, then that its authority is trusted; and a password is never told."""
    heading = "A company's proxy"
    with _behind(company, tmp_path / "password", heading, password="planted-mistake") as proxy:
        assert _ask(proxy, HOST) == 502
        assert proxy.logged(said(heading, {COMPANY.removeprefix("http://"): company.url.removeprefix("http://")}))
        assert "planted" not in proxy.log()
    with _behind(company, tmp_path / "authority", heading) as proxy:
        assert _ask(proxy, HOST) == 502
        assert proxy.logged(said("A network that looks into TLS", {}))


@NEEDS_CLIENT
def test_what_was_trusted_before_the_launcher_is_trusted_after_it(
    company: Mitmdump, project: Project, tmp_path: Path
) -> None:
    """By Claude Code, by the programs that it runs, whichever variable they read, and by our proxy.

    The company's proxy is reached over TLS here, with a certificate of the same authority.
    """
    launch = Launch(tmp_path)
    before = project.arrived
    launch.variables |= {
        "CLAUDE_FOUNDRY_CLIENT": str(client_path()),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "IS_SANDBOX": "1",
        "ANTHROPIC_FOUNDRY_RESOURCE": RESOURCE,
        "HTTPS_PROXY": f"https://user:{PASSWORD}@localhost:{company.port}",
        **dict.fromkeys(("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"), str(company.certificate)),
    }
    done = launch.run("-p", "Look at the certificates.", "--dangerously-skip-permissions")
    assert done.stdout == "The session is over.\n", done.stderr
    assert (project.directory / "issuers").read_text().splitlines() == [
        f"{host} {variable} {issuer}"
        for host, issuer in ((HOST, OURS), (OTHER, COMPANYS))
        for variable in ("NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")
    ]
    assert len(project.since(before)) == 2
    assert "2 requests to Foundry" in done.stderr


# Names of Foundry, and of what stands before it


@NEEDS_CLIENT
def test_a_gateway_with_a_port_and_a_path(way: Way, project: Project, tmp_path: Path) -> None:
    before = project.arrived
    run = _claude(tmp_path, project, client_variables("A gateway", way.readers))
    assert run.out == "The session is over.\n", run.err
    first, second = project.since(before)
    assert {one.path for one in (first, second)} == {f"{PREFIX}/anthropic/v1/messages?beta=true"}
    assert second.header("host") == f"{GATEWAY}:8443"
    assert _is_rewritten(second)
    assert way.proxy.logged(f"host={GATEWAY} path=messages outcome=rewritten")


@NEEDS_CLIENT
def test_the_launcher_before_a_gateway_that_speaks_plain_http(project: Project, tmp_path: Path) -> None:
    """The client sends plain HTTP through HTTPS_PROXY too, and even for this machine where NO_PROXY is silent."""
    launch, before = Launch(tmp_path), project.arrived
    launch.variables |= {
        "CLAUDE_FOUNDRY_CLIENT": str(client_path()),
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
        "ANTHROPIC_FOUNDRY_RESOURCE": "",
        "ANTHROPIC_FOUNDRY_BASE_URL": f"http://localhost:{project.foundry.port}{PREFIX}/anthropic",
        "NO_PROXY": "localhost,intranet.example",
        "IS_SANDBOX": "1",
    }
    done = launch.run("-p", "Look at the project.", "--dangerously-skip-permissions")
    assert done.stdout == "The session is over.\n", done.stderr
    assert _is_rewritten(project.since(before)[1])
    assert "2 requests to Foundry, 1 made smaller" in done.stderr


@pytest.mark.parametrize("host", [HOST, PRIVATE, *SOVEREIGN])
def test_every_name_of_foundry_is_rewritten(host: str, way: Way, project: Project) -> None:
    before = project.arrived
    assert _ask(way.proxy, host) == 200
    (arrived,) = project.since(before)
    assert arrived.header("host") == host
    assert len(arrived.body) < len(BODY)


def test_a_public_name_that_leads_to_a_private_address(way: Way, project: Project) -> None:
    """Nothing is set for it: the name says that it is Foundry's, wherever it leads."""
    variables, before = client_variables("Private endpoints", way.readers), project.arrived
    ask = [sys.executable, foundry_request.__file__, f"{variables['ANTHROPIC_FOUNDRY_RESOURCE']}.services.ai.azure.com"]
    done = subprocess.run(ask, env=variables, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert done.stdout == "200\n", done.stderr
    (arrived,) = project.since(before)
    assert arrived.header("host") == HOST
    assert len(arrived.body) < len(BODY)


def test_a_name_between_whose_certificate_is_for_the_public_name(way: Way) -> None:
    host = f"{RESOURCE}.privatelink.openai.azure.com"
    assert _ask(way.proxy, host) == 502
    assert way.proxy.logged(said("Private endpoints", {}))


@NEEDS_CLIENT
def test_claude_code_in_a_sovereign_cloud(way: Way, project: Project, tmp_path: Path) -> None:
    before = project.arrived
    run = _claude(tmp_path, project, client_variables("Sovereign clouds", way.readers))
    assert run.out == "The session is over.\n", run.err
    assert [one.header("host") for one in project.since(before)] == [f"{RESOURCE}.services.ai.azure.us"] * 2
    assert _is_rewritten(project.since(before)[1])


# IPv6


@needs_ipv6
@NEEDS_CLIENT
def test_a_proxy_on_ipv6(project: Project, tmp_path: Path) -> None:
    before = project.arrived
    proxy = _mitmdump(tmp_path, project, *proxy_arguments("IPv6", {}), leads_to={HOST: project.foundry.port})
    with proxy.launched():
        assert proxy.logged("mode balanced", SECONDS)
        assert proxy.logged(f"HTTP(S) proxy listening at [::1]:{proxy.port}.")
        readers = {
            PROXY.replace("127.0.0.1", "[::1]"): f"http://[::1]:{proxy.port}",
            CERTIFICATE: str(proxy.certificate),
        }
        run = _claude(tmp_path, project, client_variables("IPv6", readers))
        assert run.out == "The session is over.\n", run.err + proxy.log()
    assert _is_rewritten(project.since(before)[1])


@needs_ipv6
def test_a_bare_address_of_ipv6_is_tunnelled(way: Way, tmp_path: Path) -> None:
    with (
        RecordingOrigin(tmp_path, "address.example", address="::1") as server,
        Tunnel(way.proxy.port, "[::1]", server.port) as tunnel,
    ):
        assert tunnel.start_tls(None, server.certificate) == _der(server.certificate)
        raw = request("[::1]", BODY)
        assert tunnel.exchange(raw).status == 200
        (received,) = server.received
    assert received.head + b"\r\n\r\n" + received.body == raw


# A machine with several users


@pytest.fixture(scope="module")
def guarded(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mitmdump]:
    """A proxy with the page's file that asks for a password."""
    home = tmp_path_factory.mktemp("guarded")
    (home / "ca").mkdir()
    file = configuration("A machine with several users", {"NAME:PASSWORD": f"name:{PASSWORD}"})
    (home / "ca" / "config.yaml").write_text(file.splitlines()[0], encoding="utf-8")
    proxy = _mitmdump(home, project, leads_to={"*": project.foundry.port})
    with proxy.launched():
        assert wait_for(lambda: "listening at" in proxy.log() and _is_ready(proxy), SECONDS), proxy.log()
        yield proxy


def _is_ready(proxy: Mitmdump) -> bool:
    with contextlib.suppress(OSError):  # it hangs up on who comes too early
        return _get(proxy, PASSWORD) == 200
    return False


def _get(proxy: Mitmdump, password: str | None, target: str = "http://foundry.local/ready") -> int:
    """The status of a GET with this password; None: without any."""
    given = b64encode(f"name:{password}".encode()).decode()
    headers = {} if password is None else {"Proxy-Authorization": f"Basic {given}"}
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=20)
    try:
        connection.request("GET", target, headers=headers)
        return connection.getresponse().status
    finally:
        connection.close()


def test_without_the_password_nobody_is_served(guarded: Mitmdump) -> None:
    for password in (None, "wrong"):
        assert _get(guarded, password) == 407
        assert _get(guarded, password, f"http://{OTHER}/") == 407
    with Tunnel(guarded.port, HOST) as tunnel:
        assert tunnel.status == 407


@NEEDS_CLIENT
def test_claude_code_says_that_the_password_is_missing(guarded: Mitmdump, project: Project, tmp_path: Path) -> None:
    variables = {"HTTPS_PROXY": guarded.url, "NODE_EXTRA_CA_CERTS": str(guarded.certificate)}
    run = _claude(tmp_path, project, variables)
    assert run.code != 0
    # In other words since some version between 2.1.197 and 2.1.332.
    assert "API Error: 407 Proxy Authentication Required" in run.out or "check its credentials" in run.out


@NEEDS_CLIENT
def test_with_the_password_claude_code_and_our_commands_are(
    guarded: Mitmdump, project: Project, tmp_path: Path
) -> None:
    heading, before = "A machine with several users", project.arrived
    readers = {PROXY.replace("//", "//NAME:PASSWORD@"): guarded.url.replace("//", f"//name:{PASSWORD}@")}
    run = _claude(tmp_path, project, client_variables(heading, readers | {CERTIFICATE: str(guarded.certificate)}))
    assert run.out == "The session is over.\n", run.err
    first, second = project.since(before)
    assert _is_rewritten(second)
    assert _get(guarded, PASSWORD, f"http://{OTHER}/") == 404

    asks = [line for line in command_lines(heading, readers) if not line.startswith("export ")]
    told = [
        _run(line, PROJECT)
        for line in asks
        if shutil.which(shlex.split(line)[0], path=None) or line.startswith("scripts/")
    ]
    assert told[-1] == "balanced\n"
    assert all(json.loads(one)["requests"] == 2 for one in told[:-1])

    secrets = [PASSWORD.encode(), b64encode(f"name:{PASSWORD}".encode())]
    sent = repr([(one.headers, one.body) for one in (first, second)]).encode()
    assert not [place for place in (sent, guarded.log().encode()) if any(one in place for one in secrets)]
    assert traces(guarded.home / "state", [PASSWORD]) == []


# Without a certificate authority


@NEEDS_CLIENT
def test_claude_code_in_reverse_mode(way: Way, project: Project, tmp_path: Path) -> None:
    heading, before = "Without a certificate authority", project.arrived
    variables = client_variables(heading, {"8081": str(way.reverse_port)})
    asked_before = way.proxy.local("/api/stats")["requests"]
    model = {"ANTHROPIC_MODEL": "claude-opus-4-6[1m]"}
    # As if a company's proxy were set: without NO_PROXY the client sends it what is for loopback.
    run = _claude(tmp_path, project, model | {"HTTPS_PROXY": way.proxy.url} | variables)
    assert run.out == "The session is over.\n", run.err
    first, second = project.since(before)
    assert [one.header("host") for one in (first, second)] == [HOST, HOST]
    assert second.header("x-api-key") == "made-up-key"
    assert _is_rewritten(second)

    through = {"HTTPS_PROXY": way.proxy.url, "NODE_EXTRA_CA_CERTS": str(way.proxy.certificate)}
    assert _claude(tmp_path, project, model | through).out == "The session is over.\n"
    assert _sent(project.since(before)[2]) == _sent(first)

    (curl,) = (line for line in command_lines(heading, {PROXY: way.proxy.url}) if line.startswith("curl "))
    if shutil.which("curl"):
        assert json.loads(_run(curl, tmp_path))["requests"] == asked_before + 4


def test_who_comes_to_reverse_mode_through_the_proxy_is_told_of_no_proxy(way: Way) -> None:
    """As Claude Code does where HTTPS_PROXY is set and NO_PROXY is not; it tries again for minutes."""
    address = f"127.0.0.1:{way.reverse_port}"
    raw = request(address, BODY, path=f"http://{address}/anthropic/v1/messages")
    assert plain(way.proxy.port, raw).status == 508
    assert way.proxy.logged("its NO_PROXY must name that address's host")


@pytest.mark.parametrize("port", ["reverse_port", "reverse_to_gateway_port"])
def test_what_comes_back_in_reverse_mode_comes_as_it_is_sent(port: str, way: Way, project: Project) -> None:
    """The stand-in says the second half only once the client has the first."""
    project.foundry.go_on.clear()
    with socket.create_connection(("127.0.0.1", getattr(way, port)), timeout=SECONDS) as connection:
        connection.sendall(request("127.0.0.1", BODY, path=DRIP))
        first = _until(b"event: first", connection)
        project.foundry.go_on.set()
        assert b"event: second" in first + _until(b"0\r\n\r\n", connection)


def test_a_gateway_without_tls_in_reverse_mode(way: Way, project: Project) -> None:
    before = project.arrived
    raw = request("127.0.0.1", BODY, path=f"{PREFIX}/anthropic/v1/messages")
    assert plain(way.reverse_to_gateway_port, raw).status == 200
    (arrived,) = project.since(before)
    assert arrived.header("host") == f"{GATEWAY}:4000"
    assert len(arrived.body) < len(BODY)


def test_in_reverse_mode_too_it_is_told_that_foundry_is_out_of_reach(project: Project, tmp_path: Path) -> None:
    """Without the hook of connections nothing was said, as mitmproxy hangs up before there is a request."""
    port = free_port()
    arguments = proxy_arguments("Without a certificate authority", {"8081": str(port)})
    with _mitmdump(tmp_path, project, *arguments, leads_to={}) as proxy:
        with pytest.raises(ConnectionError):  # which of them depends on how much it has read by then
            plain(port, request("127.0.0.1", BODY))
        assert proxy.logged(f"This proxy could not reach {HOST}: nobody is at {HOST}")


# Signing in with Entra


@NEEDS_CLIENT
@pytest.mark.usefixtures("sign_in")
def test_claude_code_signs_in_with_entra(
    way: Way, project: Project, sign_in_server: RecordingOrigin, tmp_path: Path
) -> None:
    before = project.arrived
    both = tmp_path / "both.pem"
    both.write_bytes(way.proxy.certificate.read_bytes() + sign_in_server.certificate.read_bytes())
    identity = "11111111-2222-3333-4444-555555555555"
    readers = {"your-tenant": identity, "your-application": identity, "your-secret": PASSWORD}
    variables = client_variables("Signing in with Entra", readers | {PROXY: way.proxy.url, CERTIFICATE: str(both)})
    run = _claude(tmp_path, project, {"ANTHROPIC_FOUNDRY_API_KEY": ""} | variables)
    assert run.out == "The session is over.\n", run.err
    assert any(one.head.startswith(f"POST /{identity}/oauth2/v2.0/token".encode()) for one in sign_in_server.received)
    assert [one.header("authorization") for one in project.since(before)] == [f"Bearer {TOKEN}"] * 2
    assert all(one.header("x-api-key") is None for one in project.since(before))
    assert _is_rewritten(project.since(before)[1])
    assert TOKEN not in way.proxy.log()
    assert PASSWORD not in way.proxy.log()


@NEEDS_CLIENT
def test_claude_code_signs_in_as_a_virtual_machine(
    way: Way, project: Project, sign_in_server: RecordingOrigin, sign_in: SignIn, tmp_path: Path
) -> None:
    """Through the proxy, since NO_PROXY does not name the machine's service here; that must not break it.

    It is told where that service is, at its usual place: else it would look first whether there is one, for a second
    and no longer.
    """
    sign_in.go_on.set()
    before = project.arrived
    trusted = {"HTTPS_PROXY": way.proxy.url, "NODE_EXTRA_CA_CERTS": str(way.proxy.certificate)}
    service = {"ANTHROPIC_FOUNDRY_API_KEY": "", "AZURE_POD_IDENTITY_AUTHORITY_HOST": f"http://{MACHINE}"}
    run = _claude(tmp_path, project, trusted | service)
    assert run.out == "The session is over.\n", run.err
    asked = {one.head.partition(b"?")[0] for one in sign_in_server.received}
    assert asked == {b"GET /metadata/identity/oauth2/token/"}
    assert [one.header("authorization") for one in project.since(before)] == [f"Bearer {TOKEN}"] * 2


@pytest.mark.usefixtures("sign_in")
def test_entra_is_tunnelled(way: Way, sign_in_server: RecordingOrigin) -> None:
    raw = request(LOGIN, b"grant_type=client_credentials", path="/tenant/oauth2/v2.0/token")
    with Tunnel(way.proxy.port, LOGIN) as tunnel:
        assert tunnel.start_tls(LOGIN, sign_in_server.certificate) == _der(sign_in_server.certificate)
        assert json.loads(tunnel.exchange(raw).body)["access_token"] == TOKEN
    (received,) = sign_in_server.received
    assert received.head + b"\r\n\r\n" + received.body == raw


def test_the_token_of_a_virtual_machine_passes_as_it_is(
    way: Way, sign_in_server: RecordingOrigin, sign_in: SignIn
) -> None:
    """The machine's own service refuses requests that bear a proxy's marks; and its answer is not held back."""
    path = "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https%3A%2F%2Fcognitiveservices.azure.com"
    headers = f"Host: {MACHINE}\r\nMetadata: true\r\nUser-Agent: made-up\r\n\r\n".encode()
    with socket.create_connection(("127.0.0.1", way.proxy.port), timeout=SECONDS) as connection:
        connection.sendall(f"GET http://{MACHINE}{path} HTTP/1.1\r\n".encode() + headers)
        first = _until(b"token_type", connection)
        sign_in.go_on.set()
        assert TOKEN.encode() in first + _until(b"}", connection)
    (asked,) = sign_in_server.received
    assert asked.head + b"\r\n\r\n" == f"GET {path} HTTP/1.1\r\n".encode() + headers
