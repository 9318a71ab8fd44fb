"""Which requests are Foundry's, and which wire format they carry: a table from host and path.

A host belongs to Foundry when it is a subdomain of one of `FOUNDRY_DOMAINS`, or when it was named as an extra host (an
API Management gateway, a private-link name). Extra hosts have no wildcards, so that nothing is intercepted that nobody
named. Other providers of Claude have bodies of the same shape; theirs are looked into where a person names them
(`provider_hosts`).
"""

from __future__ import annotations

import ipaddress
import re
import urllib.parse
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import provider_hosts
from compression_engine import WireFormat

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = [
    "FOUNDRY_DOMAINS",
    "FOUNDRY_SCOPE",
    "NAMED_HOSTS",
    "Endpoint",
    "Scope",
    "deployment",
    "is_foundry_host",
    "named_host",
    "normalise_host",
]

_SERVICES = ("services.ai", "openai", "cognitiveservices")
_CLOUDS = ("com", "us", "cn")  # public, US government, China

FOUNDRY_DOMAINS: tuple[str, ...] = tuple(f"{service}.azure.{cloud}" for service in _SERVICES for cloud in _CLOUDS)
"""Every Foundry resource is a subdomain of one of these."""

FOUNDRY_SCOPE = f"*.{{{','.join(_SERVICES)}}}.azure.{{{','.join(_CLOUDS)}}}"
"""The same for a person to read."""


class Endpoint(StrEnum):
    """What a path of Foundry's asks for, by the names that the log and the ledger have."""

    MESSAGES = "messages"
    COUNT_TOKENS = "count_tokens"
    CHAT_COMPLETIONS = "chat_completions"
    RESPONSES = "responses"
    INPUT_TOKENS = "input_tokens"  # of a Response
    COMPACT = "compact"  # a summary of what Responses said

    @property
    def wire_format(self) -> WireFormat:
        """The shape of the request body."""
        return _WIRE_FORMATS[self]

    @property
    def is_billed(self) -> bool:
        """Whether a model reads the request. Others only have its tokens counted, which costs nothing."""
        return self not in (Endpoint.COUNT_TOKENS, Endpoint.INPUT_TOKENS)

    @property
    def is_compaction(self) -> bool:
        """Whether it asks for what will take the place of the conversation."""
        return self is Endpoint.COMPACT


_WIRE_FORMATS = {
    Endpoint.MESSAGES: WireFormat.ANTHROPIC_MESSAGES,
    Endpoint.COUNT_TOKENS: WireFormat.ANTHROPIC_MESSAGES,
    Endpoint.CHAT_COMPLETIONS: WireFormat.CHAT_COMPLETIONS,
    Endpoint.RESPONSES: WireFormat.RESPONSES,
    Endpoint.INPUT_TOKENS: WireFormat.RESPONSES,
    Endpoint.COMPACT: WireFormat.RESPONSES,
}

NAMED_HOSTS = "host names or URLs with one, without wildcards (addresses cannot be certified)"
"""What `named_host` takes, for a person to read."""

_HOST_NAME = re.compile(r"[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")

_LABELS = r"(?:[a-z0-9_-]+\.)+"
_FOUNDRY_HOST = re.compile(_LABELS + f"(?:{'|'.join(map(re.escape, FOUNDRY_DOMAINS))})")

_RESOURCE_PATHS: tuple[tuple[str, Endpoint], ...] = (
    (r"/anthropic/v1/messages", Endpoint.MESSAGES),
    (r"/anthropic/v1/messages/count_tokens", Endpoint.COUNT_TOKENS),
    (r"/openai/deployments/[^/]+/chat/completions", Endpoint.CHAT_COMPLETIONS),
    (r"/openai/v1/chat/completions", Endpoint.CHAT_COMPLETIONS),
    (r"/models/chat/completions", Endpoint.CHAT_COMPLETIONS),
    (r"/openai(?:/v1)?/responses", Endpoint.RESPONSES),
    (r"/openai(?:/v1)?/responses/input_tokens", Endpoint.INPUT_TOKENS),
    (r"/openai(?:/v1)?/responses/compact", Endpoint.COMPACT),
)

# The endpoint of a project, which stands before the resource's own paths (`AIProjectClient.get_openai_client` of
# azure-ai-projects), and those of its agents, which speak Responses: `agents` as they are called since they need not be
# published, `applications` as before.
_PROJECT = r"/api/projects/[^/]+"
_AGENT = rf"{_PROJECT}/(?:agents/[^/]+(?:/endpoint)?|applications/[^/]+)/protocols"

_PATHS = (
    *((rf"(?:{_PROJECT})?{path}", kind) for path, kind in _RESOURCE_PATHS),
    (rf"{_AGENT}/openai(?:/v1)?/responses", Endpoint.RESPONSES),
)

_VERTEX_MODELS = r"/projects/[^/]+/locations/[^/]+/publishers/anthropic/models/"

# By the name of the provider. A model of Bedrock's may be an ARN, which has a slash. Where Bedrock is to count tokens,
# the body stands in base64: that path is not among these.
_PROVIDER_PATHS: dict[str, tuple[tuple[str, Endpoint], ...]] = {
    "vertex": (
        (rf"/v1(?:beta1)?{_VERTEX_MODELS}count-tokens:rawPredict", Endpoint.COUNT_TOKENS),
        (rf"/v1(?:beta1)?{_VERTEX_MODELS}[^/]+:(?:rawPredict|streamRawPredict)", Endpoint.MESSAGES),
    ),
    "bedrock": ((r"/model/[^/]+(?:/[^/]+)?/invoke(?:-with-response-stream)?", Endpoint.MESSAGES),),
    "anthropic": (
        (r"/v1/messages", Endpoint.MESSAGES),
        (r"/v1/messages/count_tokens", Endpoint.COUNT_TOKENS),
    ),
}

# What OpenAI's clients append to a base URL, which may have `/v1` or not.
_OPENAI_PATHS = (
    (r"/chat/completions", Endpoint.CHAT_COMPLETIONS),
    (r"/responses", Endpoint.RESPONSES),
    (r"/responses/input_tokens", Endpoint.INPUT_TOKENS),
    (r"/responses/compact", Endpoint.COMPACT),
)

# A gateway may stand at any path, whoever is behind it: what clients append to its base URL is enough.
_GATEWAY_PATHS = tuple(
    (rf"(?:/.*)?{path}", kind) for paths in (_OPENAI_PATHS, *_PROVIDER_PATHS.values()) for path, kind in paths
)

# What Foundry and gateways serve beside: what has one of these in its path, unless it ends as what is treated does.
# From the references of OpenAI's, Anthropic's and Foundry's APIs, and of Foundry's tools, which share its hosts.
_BESIDE = (
    *("openai", "anthropic", "models", "api/projects", "providers", "mcp"),
    *("assistants", "audio", "batches", "completions", "containers", "conversations", "embeddings", "evals", "files"),
    *("fine_tuning", "images", "moderations", "realtime", "rerank", "responses", "skills", "threads", "uploads"),
    *("vector_stores", "videos"),
    *("computervision", "contentsafety", "contentunderstanding", "customvoice", "documentintelligence", "face"),
    *("formrecognizer", "language", "speech", "speechtotext", "texttospeech", "translator", "vision"),
)
_BESIDE_PATH = re.compile(rf"(?:/.*)?/(?:{'|'.join(_BESIDE)})(?:/.*)?")
_LIKE_AN_ENDPOINT = re.compile(
    r"(?:/.*)?/(?:(?:anthropic|v[0-9]+)/messages(?:/count_tokens)?|chat/completions|responses(?:/(?:input_tokens|compact))?)/?"
)

type _Table = tuple[tuple[re.Pattern[str], Endpoint], ...]


def _table(paths: Collection[tuple[str, Endpoint]]) -> _Table:
    return tuple((re.compile(path), kind) for path, kind in paths)


_FOUNDRY_TABLE = _table(_PATHS)
_GATEWAY_TABLE = _table(_GATEWAY_PATHS)
_PROVIDER_TABLES = {name: _table(paths) for name, paths in _PROVIDER_PATHS.items()}

_DEPLOYMENT = re.compile(
    r"/openai/deployments/([^/?]+)/"
    rf"|{_VERTEX_MODELS}(?!count-tokens:)([^/?]+):(?:rawPredict|streamRawPredict)(?:\?|$)"
    r"|/model/([^/?]+(?:/[^/?]+)?)/invoke(?:-with-response-stream)?(?:\?|$)"
)


def deployment(path: str) -> str:
    """The deployment that a path names; empty if it names none, since then the body does."""
    found = _DEPLOYMENT.search(path)
    return urllib.parse.unquote(found[found.lastindex or 0]) if found else ""


def normalise_host(host: str) -> str:
    """`host` in lower case, without port and without the root's trailing dot; empty if it is no ASCII name."""
    if not host.isascii():
        return ""
    name, colon, port = host.rpartition(":")
    if not (colon and port.isdecimal()):
        name = host
    return name.lower().removesuffix(".")


def named_host(given: str) -> str:
    """The host that a person gave by its name or in a URL, normalised; empty if it is none of `NAMED_HOSTS`."""
    try:
        host = normalise_host(urllib.parse.urlsplit(given if "://" in given else f"//{given}").hostname or "")
    except ValueError:  # brackets that do not close
        return ""
    return host if _HOST_NAME.fullmatch(host) and not _is_address(host) else ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_foundry_host(host: str, extra_hosts: Collection[str] = ()) -> bool:
    """Whether `host` (a port may follow it) is a Foundry resource or one of `extra_hosts` (normalised names)."""
    name = normalise_host(host)
    return name in extra_hosts or _FOUNDRY_HOST.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose connections are looked into: Foundry's, and those of the hosts and providers that a person named.

    `extra_hosts` are normalised names (`named_host`), `providers` what `provider_hosts.named_provider` returns.
    """

    extra_hosts: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The host names for which a certificate authority must be able to vouch, beside Foundry's domains."""
        return (*self.extra_hosts, *(host for named in self.providers for host in provider_hosts.hosts(named)))

    @property
    def examples(self) -> tuple[str, ...]:
        """One host of each that a person named."""
        return (*self.extra_hosts, *(provider_hosts.hosts(named)[0] for named in self.providers))

    def includes(self, host: str) -> bool:
        """Whether connections to `host` (a port may follow it) are looked into."""
        return is_foundry_host(host, self.extra_hosts) or self.provider(host) != ""

    def provider(self, host: str) -> str:
        """The provider that `host` belongs to, if that is named; empty for Foundry, its gateways and all others."""
        name = normalise_host(host)
        return "" if name in self.extra_hosts else provider_hosts.provider_of(name, self.providers)

    def region_lacking(self, host: str) -> str:
        """What to name as a provider, so that `host` is in scope, where other regions of that provider are."""
        name = normalise_host(host)
        return "" if name in self.extra_hosts else provider_hosts.region_lacking(name, self.providers)

    def endpoint(self, host: str, path: str) -> Endpoint | None:
        """What a request to `host` and `path` (a query may follow it) asks for; None if that is not known."""
        path = path.partition("?")[0]
        return next((kind for pattern, kind in self._table(host) if pattern.fullmatch(path)), None)

    def is_beside(self, host: str, path: str) -> bool:
        """Whether what `host` serves at `path` is known to be none of what is treated: embeddings, files and the like.

        For a `path` (a query may follow it) that is no endpoint.
        """
        if self.provider(host):
            return True  # their hosts serve much else
        path = path.partition("?")[0]
        return _BESIDE_PATH.fullmatch(path) is not None and _LIKE_AN_ENDPOINT.fullmatch(path) is None

    def _table(self, host: str) -> _Table:
        if normalise_host(host) in self.extra_hosts:
            return _GATEWAY_TABLE
        if is_foundry_host(host):
            return _FOUNDRY_TABLE
        return _PROVIDER_TABLES.get(self.provider(host), ())

    def __str__(self) -> str:
        """The same for a person to read."""
        return " ".join((FOUNDRY_SCOPE, *self.extra_hosts, *self.providers))
