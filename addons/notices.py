"""What a user is told when the addon does not do its work, or not all of it: each thing once, in one plain line."""

from __future__ import annotations

import logging
import traceback

from configuring.foundry_options import BASE_URL_VARIABLE
from rewriting.body_signature import Cover
from rewriting.request_content import MOST_BYTES

__all__ = ["Notices", "where_it_broke"]

logger = logging.getLogger("foundry_compress")

_SHOWN_PATH = 100  # characters of a path that a line shows
_SHOWN_ERROR = 200
_COVERED = {
    Cover.AWS_SIGNATURE: (
        "AWS's signature covers its body: give the client a Bedrock API key instead of AWS credentials, in "
        "AWS_BEARER_TOKEN_BEDROCK"
    ),
    Cover.CLAUDE_CODE_HASH: (
        "Claude Code wrote a hash of the body into it: start Claude Code with CLAUDE_CODE_ATTRIBUTION_HEADER=0, and it "
        "leaves that out"
    ),
    Cover.DIGEST: (
        "a header has a hash of its body (Content-Digest, Repr-Digest, Digest or Content-MD5): have the client leave "
        "that header out"
    ),
}


class Notices:
    """Says each notice once. `certificate` is the file that clients must trust, for the lines that name it."""

    def __init__(self, certificate: str = "mitmproxy-ca-cert.pem") -> None:
        self.certificate = certificate
        self._said: set[str] = set()  # lines, and kinds of lines
        self._lines: list[str] = []

    def say(self, line: str, *, level: int = logging.WARNING) -> None:
        """Log `line` unless it was logged before."""
        self._once(line, line, level)

    def said(self) -> list[str]:
        """What was said so far, in its order."""
        return list(self._lines)

    def client_refuses_certificate(self, host: str, error: str) -> None:
        """A TLS handshake with a client failed; `error` is mitmproxy's word for it."""
        closed = error.startswith("connection closed")  # no alert was sent: it may have had another reason
        said = "hung up when it saw" if closed else "refused"
        self._once(
            "client-refuses",
            f"A client {said} this proxy's certificate for {host}: start it with NODE_EXTRA_CA_CERTS (Claude Code, "
            f"Node), SSL_CERT_FILE (Python SDKs) or REQUESTS_CA_BUNDLE (Python requests) set to {self.certificate}",
        )

    def foundry_out_of_reach(self, host: str, error: str) -> None:
        """The proxy found no way to `host`; `error` is mitmproxy's word for it."""
        self._once(
            "out-of-reach", f"This proxy could not reach {host}: {ascii(error[:_SHOWN_ERROR])[1:-1]}{_way_out(error)}"
        )

    def unknown_format(self, host: str, path: str) -> None:
        """A request to Foundry is none of those that are known."""
        shown = ascii(path.partition("?")[0][:_SHOWN_PATH])[1:-1]
        self._once(
            "unknown-format",
            f"A request to {host} has a path whose format is not known ({shown}): such requests pass as they are",
        )

    def streamed_body(self) -> None:
        """A request body was passed before it was complete."""
        self._once(
            "streamed-body",
            "A request body passed as it was, because stream_large_bodies made mitmproxy send it on while it came in: "
            "leave that option out",
        )

    def signed_body(self, host: str, covered_by: Cover) -> None:
        """A request must arrive as it is."""
        self._once(f"signed-body {covered_by}", f"A request to {host} passed as it was, because {_COVERED[covered_by]}")

    def region_not_named(self, host: str, lacking: str) -> None:
        """A connection to a provider was tunnelled; `lacking` is what to name so that the next one is not."""
        self._once(
            f"region-not-named {lacking}",
            f"A connection to {host} was tunnelled, because that region is not known or was not named: its requests "
            f"are treated once {lacking} stands in foundry_providers",
        )

    def unreadable_encoding(self, encoding: str) -> None:
        """A request body is in a content encoding that cannot be undone."""
        self._once(
            "unreadable-encoding",
            f"A request body passed as it was, because its content encoding cannot be read: {encoding[:40]!a}",
        )

    def too_large(self) -> None:
        """A request body is larger than anything that a service takes."""
        self._once(
            "too-large",
            f"A request body passed as it was, because it has, or unfolds to, more than {MOST_BYTES >> 20} MB",
        )

    def failure(self, where: str, reason: str) -> None:
        """Something of ours went wrong, and the client's own bytes go on."""
        self.say(f"{where} failed ({reason}): what the client sent goes out as it is", level=logging.ERROR)

    def result_left_alone(self, error: str) -> None:
        """The engine could not rewrite a tool result, because of a mistake of ours; `error` is an exception's name."""
        self.say(
            f"A tool result could not be rewritten and passed as it was ({error}): this is a mistake of Foundry "
            "Compress, please report it; the rest of the request was treated as usual"
        )

    def state_unusable(self, place: object, reason: str) -> None:
        """What is remembered of conversations cannot be kept in `place`, a folder or a server without its password."""
        self._once(
            "state-unusable",
            f"What is remembered of conversations cannot be kept in {place} ({ascii(reason[:_SHOWN_ERROR])[1:-1]}): "
            "until it can, old results may stay in view where they could be set aside; see foundry_state_dir and "
            "foundry_state_url",
        )

    def ledger_unusable(self, folder: object, reason: str) -> None:
        """What requests cost cannot be written down."""
        self._once(
            "ledger-unusable",
            f"What requests cost cannot be written down in {folder} ({ascii(reason[:_SHOWN_ERROR])[1:-1]}): the report "
            "will lack them if it stays so; requests are treated as usual; see foundry_state_dir",
        )

    def only_other_hosts(self, connections: int) -> None:
        """Clients use this proxy, but not for Foundry."""
        self._once(
            "nothing-seen",
            f"Nothing for Foundry has come through this proxy yet, but {connections} connection(s) for others have: "
            "if a client has talked to Foundry, it went past this proxy. Look at NO_PROXY, and if a gateway stands "
            f"before Foundry, at foundry_extra_hosts or {BASE_URL_VARIABLE}",
        )

    def nobody_came(self, setting: str) -> None:
        """No client uses this proxy; `setting` (NAME=VALUE) would lead it here."""
        trust = f" and NODE_EXTRA_CA_CERTS={self.certificate}" if setting.startswith("HTTPS_PROXY=") else ""
        self._once("nothing-seen", f"Nothing has come through this proxy yet: start the client with {setting}{trust}")

    def _once(self, kind: str, line: str, level: int = logging.WARNING) -> None:
        if kind not in self._said:
            self._said.add(kind)
            self._lines.append(line)
            logger.log(level, line)


def _way_out(error: str) -> str:
    """What may help against mitmproxy's `error` on the way to Foundry; empty where that is not known."""
    said = error.lower()
    if "hostname mismatch" in said:
        return (
            "; the certificate there is for another name: use the resource's public name, to which a private endpoint "
            "answers too"
        )
    if "certificate" in said:
        return (
            "; if your network looks into connections, name its certificate authority in mitmproxy's option "
            "ssl_verify_upstream_trusted_ca, or in NODE_EXTRA_CA_CERTS before claude-foundry starts"
        )
    if said.startswith("upstream proxy ") and " 407 " in said:
        return (
            "; it wants a user and password (Basic), in mitmproxy's option upstream_auth, or in HTTPS_PROXY before "
            "claude-foundry starts"
        )
    return ""


def where_it_broke(error: BaseException) -> str:
    """Type and place of `error`. Never its message, which may quote what the client sent."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" at {frames[-1].filename.rpartition('/')[2]}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{place}"
