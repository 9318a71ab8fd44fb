"""Where others than Foundry serve Claude: the exact host names of each provider, by region.

They are a table, because a certificate authority can be bound to `us-east5-aiplatform.googleapis.com` but not to
`*-aiplatform.googleapis.com`, and all of googleapis.com is out of the question. A region that the table lacks is named
with its provider (`vertex:REGION`), which also keeps the authority to that region.

Sources, looked up on 2026-11-25: `SUPPORTED_REGIONS` and `MREP_JURISDICTIONS` of google-cloud-aiplatform 2.7.0 for
Vertex AI; the regions and host names of the service `bedrock` in the endpoints.json of botocore 1.44.8 for Bedrock,
which has none in China. Both lists are of the service, and not every region of theirs has Claude.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

__all__ = ["NAMED_PROVIDERS", "PROVIDERS", "hosts", "named_provider", "provider_of", "region_lacking"]

NAMED_PROVIDERS = "vertex, bedrock and anthropic, the first two also with a region, such as vertex:us-east5"
"""What `named_provider` takes, for a person to read."""


@dataclass(frozen=True, slots=True)
class _Provider:
    regions: tuple[str, ...]
    hosts_in: Callable[[str], tuple[str, ...]]


# Behind three that are no place on a map: everywhere, in the United States, in the European Union.
_VERTEX_REGIONS = (
    *("global", "us", "eu"),
    *("africa-south1", "asia-east1", "asia-east2", "asia-northeast1", "asia-northeast2", "asia-northeast3"),
    *("asia-south1", "asia-south2", "asia-southeast1", "asia-southeast2", "australia-southeast1"),
    *("australia-southeast2", "europe-central2", "europe-north1", "europe-north2", "europe-southwest1"),
    *("europe-west1", "europe-west2", "europe-west3", "europe-west4", "europe-west6", "europe-west8"),
    *("europe-west9", "europe-west12", "me-central1", "me-central2", "me-west1", "northamerica-northeast1"),
    *("northamerica-northeast2", "southamerica-east1", "southamerica-west1", "us-central1", "us-east1", "us-east4"),
    *("us-east5", "us-east7", "us-south1", "us-west1", "us-west2", "us-west3", "us-west4", "us-west8"),
)

_BEDROCK_REGIONS = (
    *("af-south-1", "ap-east-2", "ap-northeast-1", "ap-northeast-2", "ap-northeast-3", "ap-south-1", "ap-south-2"),
    *("ap-southeast-1", "ap-southeast-2", "ap-southeast-3", "ap-southeast-4", "ap-southeast-5", "ap-southeast-6"),
    *("ap-southeast-7", "ca-central-1", "ca-west-1", "eu-central-1", "eu-central-2", "eu-north-1", "eu-south-1"),
    *("eu-south-2", "eu-west-1", "eu-west-2", "eu-west-3", "il-central-1", "me-central-1", "me-south-1"),
    *("mx-central-1", "sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
    *("us-gov-east-1", "us-gov-west-1"),
)
_BEDROCK_FIPS_REGIONS = frozenset(
    {"ca-central-1", "us-east-1", "us-east-2", "us-west-2", "us-gov-east-1", "us-gov-west-1"}
)


def _vertex_hosts(region: str) -> tuple[str, ...]:
    match region:
        case "global":
            return ("aiplatform.googleapis.com",)
        case "us" | "eu":
            return (f"aiplatform.{region}.rep.googleapis.com",)
        case _:
            return (f"{region}-aiplatform.googleapis.com",)


def _bedrock_hosts(region: str) -> tuple[str, ...]:
    host = f"bedrock-runtime.{region}.amazonaws.com"
    if region not in _BEDROCK_FIPS_REGIONS:
        return (host,)
    return host, f"bedrock-runtime-fips.{region}.amazonaws.com"


_TABLE: Mapping[str, _Provider] = {
    "vertex": _Provider(_VERTEX_REGIONS, _vertex_hosts),
    "bedrock": _Provider(_BEDROCK_REGIONS, _bedrock_hosts),
    "anthropic": _Provider((), lambda _: ("api.anthropic.com",)),
}

PROVIDERS: tuple[str, ...] = tuple(_TABLE)
"""Their names."""

_NAMES_KEPT = 256
_REGION = re.compile(r"[a-z]{2,20}(?:-[a-z0-9]{1,20}){0,4}")


def named_provider(given: str) -> str:
    """What a person gave: a provider, or one in one region, normalised; empty if it is none of `NAMED_PROVIDERS`."""
    name, colon, region = given.strip().lower().partition(":")
    provider = _TABLE.get(name)
    if provider is None or (colon and not (provider.regions and _REGION.fullmatch(region))):
        return ""
    return f"{name}{colon}{region}"


@lru_cache(_NAMES_KEPT)
def hosts(named: str) -> tuple[str, ...]:
    """The host names of what `named_provider` returned: of one region, or of all that are known."""
    name, _, region = named.partition(":")
    provider = _TABLE[name]
    return tuple(host for one in ([region] if region else provider.regions or ("",)) for host in provider.hosts_in(one))


def provider_of(host: str, named: Iterable[str]) -> str:
    """The name of the provider, of those that are `named`, that `host` (a normalised name) belongs to; else empty."""
    return next((one.partition(":")[0] for one in named if host in hosts(one)), "")


_REGION_IN_HOST = (
    ("vertex", re.compile(r"([a-z0-9-]+)-aiplatform\.googleapis\.com")),
    ("vertex", re.compile(r"aiplatform\.([a-z]+)\.rep\.googleapis\.com")),
    ("bedrock", re.compile(r"bedrock-runtime(?:-fips)?\.([a-z0-9-]+)\.amazonaws\.com")),
)


def region_lacking(host: str, named: Collection[str]) -> str:
    """What to name, so that `host` (a normalised name) is its provider's, where that one is named for other regions.

    Empty where the host is among those that are `named`, or none of such a provider's.
    """
    if provider_of(host, named):
        return ""
    if host == "aiplatform.googleapis.com":
        lacking = ["vertex:global"]
    else:
        regions = ((name, pattern.fullmatch(host)) for name, pattern in _REGION_IN_HOST)
        lacking = [named_provider(f"{name}:{found[1]}") for name, found in regions if found]
    providers = {one.partition(":")[0] for one in named}
    return next((one for one in lacking if one.partition(":")[0] in providers and host in hosts(one)), "")
