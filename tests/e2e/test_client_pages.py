"""What docs/clients says about SDKs is so: the pages' code runs as it stands, and their traps are there."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.answers import Answer
from tests.e2e.connect_proxy import ConnectProxy
from tests.e2e.route import Route, proxied
from tests.e2e.sdks.environment import NEEDS_NODE_SDKS, NEEDS_PYTHON_SDKS, NODE_MODULES, PYTHON, environment, run
from tests.e2e.sdks.foundry import Foundry
from tests.e2e.sdks.laws import verify
from tests.e2e.snippets import snippet

pytestmark = pytest.mark.e2e

CERTIFICATE, PROXY = "/home/dev/foundry-compress/certs/mitmproxy-ca-cert.pem", "http://127.0.0.1:8080"
HELLO = "Hello from a stand-in."
KEY = "made-up-key"
KEYS = dict.fromkeys(("ANTHROPIC_FOUNDRY_API_KEY", "AZURE_OPENAI_API_KEY", "AZURE_AI_KEY"), KEY)
NODE_PAGE = "docs/clients/node-foundry-sdk.md"


@pytest.fixture(scope="module")
def way(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Route]:
    with (
        Foundry([Answer((HELLO,))]) as foundry,
        proxied(foundry, tmp_path_factory.mktemp("route") / "route") as found,
    ):
        yield found


def follow(page: str, program: list[str], directory: Path, way: Route) -> str:
    """What `program` prints after the page's shell commands, in `directory`."""
    own = {CERTIFICATE: str(way.proxy.certificate), PROXY: way.proxy.url}
    commands = snippet(page, "sh", replacing=own)
    return run(["sh", "-e", "-c", f'{commands}\nexec "$@"', "sh", *program], directory, environment(directory, KEYS))


@pytest.mark.parametrize(
    ("page", "position", "path"),
    [
        ("python-anthropic", 0, "/anthropic/v1/messages"),
        ("python-openai", 0, "/openai/deployments/my-gpt/chat/completions"),
        ("python-openai", 1, "/openai/v1/responses"),
        ("azure-ai-inference", 0, "/models/chat/completions"),
    ],
)
@NEEDS_PYTHON_SDKS
def test_a_python_page_works_as_it_stands(page: str, position: int, path: str, tmp_path: Path, way: Route) -> None:
    page = f"docs/clients/{page}.md"
    program = tmp_path / "page.py"
    program.write_text(snippet(page, "python", position), encoding="utf-8")
    before = len(way.exchanges()) if way.stand_in.requests else 0
    assert follow(page, [str(PYTHON), str(program)], tmp_path, way) == f"{HELLO}\n"

    (exchange,) = way.exchanges()[before:]
    assert exchange.arrived.path.partition("?")[0] == path
    assert any(value.endswith(KEY) for _, value in exchange.arrived.headers)
    verify(exchange)
    bundle = (tmp_path / "foundry-bundle.pem").read_text()
    assert way.proxy.certificate.read_text() in bundle
    assert bundle.count("BEGIN CERTIFICATE") > 1, "the system's certificates are missing"


def node_program(directory: Path, code: str) -> list[str]:
    (directory / "node_modules").symlink_to(NODE_MODULES)
    (directory / "page.mjs").write_text(code, encoding="utf-8")
    return ["node", "page.mjs"]


@NEEDS_NODE_SDKS
def test_the_page_for_node_works_as_it_stands(tmp_path: Path, way: Route) -> None:
    before = len(way.exchanges()) if way.stand_in.requests else 0
    program = node_program(tmp_path, snippet(NODE_PAGE, "js"))
    assert follow(NODE_PAGE, program, tmp_path, way) == f"{HELLO}\n"

    (exchange,) = way.exchanges()[before:]
    assert exchange.arrived.path == "/anthropic/v1/messages"
    assert exchange.arrived.header("x-api-key") == KEY
    verify(exchange)


# The traps: where a program fails, and where its requests go.

AZURE_ASYNC = """
import asyncio

from azure.ai.inference.aio import ChatCompletionsClient
from azure.core.credentials import AzureKeyCredential


async def main() -> None:
    endpoint = "https://my-resource.services.ai.azure.com/models"
    async with ChatCompletionsClient(endpoint, retry_total=0, credential=AzureKeyCredential("made-up-key")) as client:
        completion = await client.complete(model="my-model", messages=[{"role": "user", "content": "Hello"}])
        print(completion.choices[0].message.content)


asyncio.run(main())
"""


def that_tries_once(page: str) -> str:
    """The page's program, without second tries where it fails."""
    code = snippet(f"docs/clients/{page}.md", "python")
    for begin, once in (
        # Nor does it give up where a hand is not shaken in 5 s.
        ("Foundry(", "max_retries=0, timeout=300, "),
        ("AzureOpenAI(", "max_retries=0, timeout=300, "),
        ("Client(\n", "retry_total=0,"),
    ):
        code = code.replace(begin, f"{begin}{once}")
    assert "=0" in code
    return code


# A program, and the variable by which it finds what it trusts.
PROGRAMS = {
    "anthropic": (that_tries_once("python-anthropic"), "SSL_CERT_FILE"),
    "openai": (that_tries_once("python-openai"), "SSL_CERT_FILE"),
    "azure-ai-inference": (that_tries_once("azure-ai-inference"), "REQUESTS_CA_BUNDLE"),
    "azure-ai-inference, asynchronous": (AZURE_ASYNC, "SSL_CERT_FILE"),
}


def failure(command: list[str], directory: Path, given: dict[str, str]) -> str:
    """What `command` says as it fails."""
    done = subprocess.run(
        command,
        cwd=directory,
        env=environment(directory, given | KEYS),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode != 0, done.stdout
    return done.stderr


@pytest.mark.parametrize("name", PROGRAMS)
@NEEDS_PYTHON_SDKS
def test_a_python_client_does_not_know_the_others_variable(name: str, tmp_path: Path, way: Route) -> None:
    """That its own one does is shown by the pages, but for the asynchronous client, which the next test runs."""
    code, trusts = PROGRAMS[name]
    (other,) = {"SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"} - {trusts}
    with ConnectProxy(way.stand_in.port) as tunnel:
        given = {"HTTPS_PROXY": f"http://127.0.0.1:{tunnel.port}", other: str(way.stand_in.ca_path)}
        assert "CERTIFICATE_VERIFY_FAILED" in failure([str(PYTHON), "-c", code], tmp_path, given)
        assert tunnel.seen


@NEEDS_PYTHON_SDKS
def test_the_asynchronous_client_of_azure_takes_ssl_cert_file(tmp_path: Path, way: Route) -> None:
    given = {"HTTPS_PROXY": way.proxy.url, "SSL_CERT_FILE": str(way.proxy.certificate)}
    assert run([str(PYTHON), "-c", AZURE_ASYNC], tmp_path, environment(tmp_path, given)) == f"{HELLO}\n"


# A name that nobody has: what goes past the proxy gets nowhere.
NOWHERE = "my-resource.services.ai.azure.com.invalid"
GOT_NOWHERE = re.compile(
    r"Name or service not known|Temporary failure in name resolution|No address|ENOTFOUND|EAI_AGAIN"
)


def that_asks_nowhere(program: str) -> str:
    """`program`, with a name of Foundry's that only a proxy can resolve."""
    return (
        program.replace('resource="my-resource"', f'base_url="https://{NOWHERE}/anthropic"')
        .replace('resource: "my-resource"', f'baseURL: "https://{NOWHERE}/anthropic", maxRetries: 0')
        .replace("https://my-resource.openai.azure.com", f"https://{NOWHERE}")
        .replace("https://my-resource.services.ai.azure.com/", f"https://{NOWHERE}/")
    )


@pytest.mark.parametrize("name", PROGRAMS)
@NEEDS_PYTHON_SDKS
def test_no_proxy_leads_python_clients_past_the_proxy(name: str, tmp_path: Path, way: Route) -> None:
    command = [str(PYTHON), "-c", that_asks_nowhere(PROGRAMS[name][0])]
    with ConnectProxy(way.stand_in.port) as tunnel:
        given = {"HTTPS_PROXY": f"http://127.0.0.1:{tunnel.port}", "NO_PROXY": ".azure.com.invalid"}
        assert GOT_NOWHERE.search(failure(command, tmp_path, given))
        assert tunnel.seen == []


@pytest.mark.parametrize("why", ["NO_PROXY", "not told to use it"])
@NEEDS_NODE_SDKS
def test_what_leads_node_past_the_proxy(why: str, tmp_path: Path, way: Route) -> None:
    code = that_asks_nowhere(snippet(NODE_PAGE, "js"))
    dispatcher = "setGlobalDispatcher(new EnvHttpProxyAgent());\n"
    assert dispatcher in code
    command = node_program(tmp_path, code if why == "NO_PROXY" else code.replace(dispatcher, ""))
    with ConnectProxy(way.stand_in.port) as tunnel:
        given = {"HTTPS_PROXY": f"http://127.0.0.1:{tunnel.port}"}
        given |= {"NO_PROXY": ".azure.com.invalid"} if why == "NO_PROXY" else {}
        assert GOT_NOWHERE.search(failure(command, tmp_path, given))
        assert tunnel.seen == []
