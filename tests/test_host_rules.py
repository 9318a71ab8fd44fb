from __future__ import annotations

import pytest

from billing.answer_formats import ANSWERS
from compression_engine import WireFormat
from host_rules import (
    FOUNDRY_DOMAINS,
    FOUNDRY_SCOPE,
    Endpoint,
    Scope,
    deployment,
    is_foundry_host,
    named_host,
    normalise_host,
)


def test_the_domains_are_three_services_in_three_clouds() -> None:
    assert set(FOUNDRY_DOMAINS) == {
        *("services.ai.azure.com", "services.ai.azure.us", "services.ai.azure.cn"),
        *("openai.azure.com", "openai.azure.us", "openai.azure.cn"),
        *("cognitiveservices.azure.com", "cognitiveservices.azure.us", "cognitiveservices.azure.cn"),
    }
    assert FOUNDRY_SCOPE == "*.{services.ai,openai,cognitiveservices}.azure.{com,us,cn}"


@pytest.mark.parametrize("domain", FOUNDRY_DOMAINS)
def test_subdomains_are_foundry_hosts(domain: str) -> None:
    assert is_foundry_host(f"my-org-claude.{domain}")
    assert is_foundry_host(f"a.b.{domain}")


@pytest.mark.parametrize(
    "host",
    [
        "MY-Org.Services.AI.Azure.COM",
        "my-org.services.ai.azure.com.",
        "my-org.services.ai.azure.com:443",
        "my-org.services.ai.azure.com.:8443",
    ],
)
def test_case_root_dot_and_port_do_not_matter(host: str) -> None:
    assert normalise_host(host) == "my-org.services.ai.azure.com"
    assert is_foundry_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        "services.ai.azure.com",
        ".services.ai.azure.com",
        "x.services.ai.azure.com.evil.example",
        "servicesXai.azure.com",
        "x.servicesxai.azure.com",
        "xservices.ai.azure.com",
        "x.services-ai.azure.com",
        "x.services.ai.azure.org",
        "x.services.ai.azure.com/",
        "x/.services.ai.azure.com",
        "x@services.ai.azure.com",
        "x .services.ai.azure.com",
        "x.services.ai.azure.com\n",
        "x.services.ai.azure.com:",
        "x.services.ai.azure.com..",
        "\u212aey.services.ai.azure.com",  # the sign of Kelvin becomes a k in lower case
        "azure.com",
        "management.azure.com",
        "login.microsoftonline.com",
    ],
)
def test_look_alikes_are_not_foundry_hosts(host: str) -> None:
    assert not is_foundry_host(host)


@pytest.mark.parametrize(
    ("given", "host"),
    [
        ("gateway.example", "gateway.example"),
        ("Gateway.Example.:8443", "gateway.example"),
        ("https://user@gateway.example:8443/base?x", "gateway.example"),
        ("localhost", "localhost"),
        ("*.gateway.example", ""),
        ("10.1.2.3", ""),
        ("https://[::1]/", ""),
        ("https://[::1", ""),
        ("a..b", ""),
        ("b\u00fccher.example", ""),
        ("a b", ""),
        ("", ""),
    ],
)
def test_hosts_that_people_name(given: str, host: str) -> None:
    assert named_host(given) == host


def test_extra_hosts_match_exactly() -> None:
    extra = ("gateway.example",)
    assert is_foundry_host("Gateway.Example:8443", extra)
    assert not is_foundry_host("a.gateway.example", extra)
    assert not is_foundry_host("gateway.example.evil.example", extra)
    assert not is_foundry_host("", extra)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/anthropic/v1/messages", Endpoint.MESSAGES),
        ("/anthropic/v1/messages?beta=true", Endpoint.MESSAGES),
        ("/anthropic/v1/messages/count_tokens?beta=true", Endpoint.COUNT_TOKENS),
        ("/openai/deployments/gpt-5/chat/completions?api-version=2024-10-21", Endpoint.CHAT_COMPLETIONS),
        ("/openai/v1/chat/completions", Endpoint.CHAT_COMPLETIONS),
        ("/models/chat/completions?api-version=1", Endpoint.CHAT_COMPLETIONS),
        ("/openai/responses?api-version=1", Endpoint.RESPONSES),
        ("/openai/v1/responses", Endpoint.RESPONSES),
        ("/openai/responses/input_tokens?api-version=1", Endpoint.INPUT_TOKENS),
        ("/openai/v1/responses/input_tokens", Endpoint.INPUT_TOKENS),
        ("/api/projects/p/openai/v1/responses/input_tokens", Endpoint.INPUT_TOKENS),
        ("/openai/v1/responses/compact", Endpoint.COMPACT),
        ("/openai/responses/compact?api-version=1", Endpoint.COMPACT),
        ("/api/projects/p/openai/v1/responses", Endpoint.RESPONSES),
        ("/api/projects/p/openai/responses?api-version=1", Endpoint.RESPONSES),
        ("/api/projects/p/openai/v1/chat/completions", Endpoint.CHAT_COMPLETIONS),
        ("/api/projects/p/openai/deployments/gpt-5/chat/completions?api-version=1", Endpoint.CHAT_COMPLETIONS),
        ("/api/projects/p/models/chat/completions?api-version=1", Endpoint.CHAT_COMPLETIONS),
        ("/api/projects/p/anthropic/v1/messages", Endpoint.MESSAGES),
        ("/api/projects/p/anthropic/v1/messages/count_tokens", Endpoint.COUNT_TOKENS),
        ("/api/projects/p/agents/a/endpoint/protocols/openai/responses?api-version=v1", Endpoint.RESPONSES),
        ("/api/projects/p/agents/a/endpoint/protocols/openai/v1/responses", Endpoint.RESPONSES),
        ("/api/projects/p/agents/a/protocols/openai/v1/responses", Endpoint.RESPONSES),
        ("/api/projects/p/applications/a/protocols/openai/responses?api-version=1", Endpoint.RESPONSES),
        ("/api/projects/p/agents/a/endpoint/protocols/invocations", None),
        ("/api/projects/p/q/openai/v1/responses", None),
        ("/api/projects//openai/v1/responses", None),
        ("/api/openai/v1/responses", None),
        ("/v1/messages", None),
        ("/v1/chat/completions", None),
        ("/chat/completions", None),
        ("/v1/responses", None),
        ("/responses", None),
        ("/gateway/anthropic/v1/messages", None),
        ("/anthropic/v1/messages/batches", None),
        ("/anthropic/v1/messages/", None),
        ("/anthropic/v1/models", None),
        ("/x?/anthropic/v1/messages", None),
        ("/openai/deployments/a/b/chat/completions", None),
        ("/openai/deployments//chat/completions", None),
        ("/openai/deployments/gpt-5/embeddings", None),
        ("/openai/v1/responses/resp_1", None),
        ("", None),
    ],
)
def test_paths_of_foundry(path: str, expected: Endpoint | None) -> None:
    for domain in FOUNDRY_DOMAINS:
        assert Scope().endpoint(f"r.{domain}", path) is expected
    assert Scope().endpoint("other.example", path) is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/anthropic/v1/messages", Endpoint.MESSAGES),
        ("/a/b/anthropic/v1/messages?beta=true", Endpoint.MESSAGES),
        ("/v1/messages", Endpoint.MESSAGES),
        ("/team/v1/messages/count_tokens?beta=true", Endpoint.COUNT_TOKENS),
        ("/team/openai/v1/responses", Endpoint.RESPONSES),
        ("/team/api/projects/p/openai/v1/responses", Endpoint.RESPONSES),
        ("/team/openai/deployments/d/chat/completions", Endpoint.CHAT_COMPLETIONS),
        ("/bedrock/model/us.anthropic.claude-sonnet-4-5-20250929-v1:0/invoke", Endpoint.MESSAGES),
        ("/v1/projects/p/locations/eu/publishers/anthropic/models/claude-sonnet-5:rawPredict", Endpoint.MESSAGES),
        ("/team/xv1/messages", None),
        ("/v1/messages/batches", None),
        ("/v1/chat/completions", Endpoint.CHAT_COMPLETIONS),
        ("/chat/completions", Endpoint.CHAT_COMPLETIONS),
        ("/team/chat/completions?api-version=1", Endpoint.CHAT_COMPLETIONS),
        ("/v1/responses", Endpoint.RESPONSES),
        ("/responses", Endpoint.RESPONSES),
        ("/v1/responses/input_tokens", Endpoint.INPUT_TOKENS),
        ("/responses/input_tokens", Endpoint.INPUT_TOKENS),
        ("/v1/responses/compact", Endpoint.COMPACT),
        ("/v1/responses/resp_1", None),
        ("/v1/responses/resp_1/cancel", None),
        ("/v1/completions", None),
        ("/xresponses", None),
        ("/messages", None),
    ],
)
def test_gateways_may_stand_at_any_path(path: str, expected: Endpoint | None) -> None:
    assert Scope(("gateway.example",)).endpoint("gateway.example", path) is expected


VERTEX = "/v1/projects/p-1/locations/us-east5/publishers/anthropic/models"


@pytest.mark.parametrize(
    ("provider", "host", "path", "expected"),
    [
        ("vertex", "us-east5-aiplatform.googleapis.com", f"{VERTEX}/claude-x@2025:streamRawPredict", Endpoint.MESSAGES),
        ("vertex", "aiplatform.googleapis.com", f"{VERTEX}/claude-x:rawPredict?a=b", Endpoint.MESSAGES),
        ("vertex", "aiplatform.eu.rep.googleapis.com", f"{VERTEX}/count-tokens:rawPredict", Endpoint.COUNT_TOKENS),
        ("vertex", "aiplatform.googleapis.com", f"{VERTEX}/claude-x:predict", None),
        ("vertex", "aiplatform.googleapis.com", VERTEX.replace("anthropic", "google") + "/g:rawPredict", None),
        ("bedrock", "bedrock-runtime.us-east-1.amazonaws.com", "/model/us.claude-v1:0/invoke", Endpoint.MESSAGES),
        (
            "bedrock",
            "bedrock-runtime-fips.us-east-1.amazonaws.com",
            "/model/us.claude-v1%3A0/invoke-with-response-stream",
            Endpoint.MESSAGES,
        ),
        (
            "bedrock",
            "bedrock-runtime.us-east-1.amazonaws.com",
            "/model/arn:aws:bedrock:us-east-1:1:inference-profile/us.claude-v1:0/invoke",
            Endpoint.MESSAGES,
        ),
        ("bedrock", "bedrock-runtime.us-east-1.amazonaws.com", "/model/a/converse", None),
        ("bedrock", "bedrock-runtime.us-east-1.amazonaws.com", "/model/a/count-tokens", None),
        ("bedrock", "bedrock-runtime.us-east-1.amazonaws.com", "/model/a/b/c/invoke", None),
        ("anthropic", "api.anthropic.com", "/v1/messages?beta=true", Endpoint.MESSAGES),
        ("anthropic", "api.anthropic.com", "/v1/messages/count_tokens?beta=true", Endpoint.COUNT_TOKENS),
        ("anthropic", "api.anthropic.com", "/v1/messages/batches", None),
        ("anthropic", "api.anthropic.com", "/anthropic/v1/messages", None),
        ("anthropic", "api.anthropic.com", "/api/oauth/claude_cli/roles", None),
    ],
)
def test_paths_of_other_providers(provider: str, host: str, path: str, expected: Endpoint | None) -> None:
    assert Scope(providers=(provider,)).endpoint(host, path) is expected
    assert Scope(providers=tuple({"vertex", "bedrock", "anthropic"} - {provider})).endpoint(host, path) is None
    assert Scope().endpoint(host, path) is None
    assert Scope(providers=(provider,)).endpoint("other.example", path) is None


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/openai/v1/embeddings", True),
        ("/openai/deployments/d/embeddings?api-version=1", True),
        ("/openai/deployments/d/images/generations?api-version=1", True),
        ("/openai/deployments/d/audio/transcriptions?api-version=1", True),
        ("/openai/v1/files", True),
        ("/openai/v1/batches", True),
        ("/openai/v1/vector_stores/vs_1/files", True),
        ("/openai/v1/models", True),
        ("/openai/v1/responses/resp_1/cancel", True),
        ("/openai/v1/threads/thread_1/messages", True),
        ("/models/embeddings?api-version=1", True),
        ("/anthropic/v1/messages/batches", True),
        ("/anthropic/v1/files", True),
        ("/api/projects/p/agents/a/versions", True),
        ("/api/projects/p/openai/v1/conversations", True),
        ("/providers/x/v2/rerank", True),
        ("/contentsafety/text:analyze?api-version=1", True),
        ("/made/up", False),
        ("/", False),
        ("", False),
        ("/x?/openai/v1/embeddings", False),
        ("/myopenai/v1/x", False),
        # What is treated elsewhere, or may be a newer one: somebody should hear of it.
        ("/v1/messages", False),
        ("/anthropic/messages", False),
        ("/anthropic/v1/messages/", False),
        ("/anthropic/v2/messages/count_tokens", False),
        ("/openai/chat/completions", False),
        ("/openai/v2/responses?api-version=1", False),
        ("/openai/v2/responses/input_tokens", False),
        ("/openai/v2/responses/compact", False),
        ("/api/projects/p/new/openai/v1/responses", False),
    ],
)
def test_what_foundry_serves_beside(path: str, expected: bool) -> None:
    assert Scope().endpoint("r.openai.azure.com", path) is None
    assert Scope().is_beside("r.openai.azure.com", path) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [("/v1/embeddings", True), ("/embeddings", True), ("/team/v1/audio/speech", True), ("/team/ask", False)],
)
def test_what_gateways_serve_beside(path: str, expected: bool) -> None:
    assert Scope(("gate.example",)).is_beside("gate.example", path) is expected


def test_providers_serve_much_beside() -> None:
    assert Scope(providers=("anthropic",)).is_beside("api.anthropic.com", "/api/oauth/claude_cli/roles")


def test_providers_are_in_scope_where_they_are_named_and_by_their_exact_hosts() -> None:
    scope = Scope(("gate.example",), ("anthropic", "vertex:us-east5"))
    assert scope.includes("API.anthropic.com:443")
    assert scope.includes("us-east5-aiplatform.googleapis.com.")
    assert scope.includes("r.openai.azure.com")
    assert scope.includes("gate.example")
    for host in (
        *("us-east4-aiplatform.googleapis.com", "bedrock-runtime.us-east-1.amazonaws.com", "console.anthropic.com"),
        *("x.api.anthropic.com", "api.anthropic.com.evil.example", "oauth2.googleapis.com", ""),
    ):
        assert not scope.includes(host)
    assert [scope.provider(host) for host in ("api.anthropic.com", "r.openai.azure.com", "gate.example")] == [
        *("anthropic", "", ""),
    ]


def test_a_host_of_a_provider_that_is_named_as_an_extra_host_is_a_gateway() -> None:
    scope = Scope(("api.anthropic.com",), ("anthropic",))
    assert scope.provider("api.anthropic.com") == ""
    assert scope.endpoint("api.anthropic.com", "/x/v1/messages") is Endpoint.MESSAGES


def test_what_is_in_scope_is_what_may_be_vouched_for() -> None:
    """The other way round an authority permits subdomains as well, which nobody is shown a certificate for."""
    scope = Scope(("gate.example",), ("anthropic", "bedrock", "vertex"))
    assert all(scope.includes(name) for name in scope.names)
    assert scope.names[0] == "gate.example"
    assert len(set(scope.names)) == len(scope.names)
    assert Scope().names == ()
    assert scope.examples == ("gate.example", "api.anthropic.com", *scope.examples[2:])
    assert set(scope.examples) <= set(scope.names)


def test_a_scope_for_a_person() -> None:
    assert str(Scope(("gate.example",), ("bedrock:eu-west-1",))) == f"{FOUNDRY_SCOPE} gate.example bedrock:eu-west-1"


def test_wire_formats() -> None:
    assert {kind: kind.wire_format for kind in Endpoint} == {
        Endpoint.MESSAGES: WireFormat.ANTHROPIC_MESSAGES,
        Endpoint.COUNT_TOKENS: WireFormat.ANTHROPIC_MESSAGES,
        Endpoint.CHAT_COMPLETIONS: WireFormat.CHAT_COMPLETIONS,
        Endpoint.RESPONSES: WireFormat.RESPONSES,
        Endpoint.COMPACT: WireFormat.RESPONSES,
        Endpoint.INPUT_TOKENS: WireFormat.RESPONSES,
    }


def test_nobody_pays_for_having_tokens_counted_and_of_all_else_the_answer_says_what_was_paid() -> None:
    assert {kind for kind in Endpoint if kind.is_billed} == set(ANSWERS)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/openai/deployments/gpt%205/chat/completions?api-version=1", "gpt 5"),
        ("/gateway/openai/deployments/d-1/chat/completions", "d-1"),
        ("/api/projects/p/openai/deployments/d-1/chat/completions", "d-1"),
        ("/api/projects/p/openai/v1/responses", ""),
        ("/anthropic/v1/messages", ""),
        ("/openai/v1/responses", ""),
        (f"{VERTEX}/claude-sonnet-4-5@20250929:streamRawPredict", "claude-sonnet-4-5@20250929"),
        (f"{VERTEX}/claude-sonnet-4-5%4020250929:rawPredict?x=/model/y/invoke", "claude-sonnet-4-5@20250929"),
        (f"{VERTEX}/count-tokens:rawPredict", ""),
        ("/model/us.anthropic.claude-sonnet-4-5-20250929-v1:0/invoke", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        ("/gate/model/a%3A0/invoke-with-response-stream", "a:0"),
        (
            "/model/arn:aws:bedrock:us-east-1:1:inference-profile%2Fus.c/invoke",
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.c",
        ),
        (
            "/model/arn:aws:bedrock:us-east-1:1:inference-profile/us.c/invoke",
            "arn:aws:bedrock:us-east-1:1:inference-profile/us.c",
        ),
        ("/model/a/converse", ""),
    ],
)
def test_the_deployment_that_a_path_names(path: str, name: str) -> None:
    assert deployment(path) == name
