"""The mitmproxy addon: `mitmdump -s addons/foundry_compress.py`.

Wires mitmproxy's hooks to the modules around it and decides nothing itself. Two rules hold in every hook: nothing of
ours may escape it, because mitmproxy then leaves the client without an answer; and whatever goes wrong, the client's
own bytes go out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from pathlib import Path
from weakref import WeakKeyDictionary

from mitmproxy import ctx, http, tls
from mitmproxy.addonmanager import Loader
from mitmproxy.exceptions import OptionsError
from mitmproxy.proxy import layer
from mitmproxy.proxy.context import Context
from mitmproxy.proxy.layers import TCPLayer
from mitmproxy.proxy.mode_specs import RegularMode, ReverseMode, UpstreamMode

# mitmproxy promises this folder on sys.path only while it loads this file; what is imported later needs it for good.
_ADDONS = Path(__file__).resolve().parent
if str(_ADDONS) not in sys.path:
    sys.path.insert(0, str(_ADDONS))

import foundry_options  # noqa: E402
import host_rules  # noqa: E402
import leaf_certificate  # noqa: E402
import local_status  # noqa: E402
import mitmproxy_settings  # noqa: E402
from certificate_authority import Authority, AuthorityError, ensure  # noqa: E402
from compression_engine import Engine, Setting  # noqa: E402
from conversations import Conversations, Decision, FailsafeStore, MemoryStore, Rewriting, Sent, SQLiteStore, Terms  # noqa: E402
from engine_worker import EngineWorker  # noqa: E402
from foundry_options import Mode, Settings  # noqa: E402
from host_rules import Endpoint  # noqa: E402
from notices import Notices, where_it_broke  # noqa: E402
from totals import Totals  # noqa: E402
from treatment import UNKNOWN_FORMAT, Treatment, treat  # noqa: E402

VERSION = "0.1.0"

STATE_FILE = "conversations.sqlite3"
"""What is remembered of conversations, in the folder that `foundry_state_dir` names."""

OWN_CONFDIR = _ADDONS.parent / "certs"
"""Where the certificate authority is, unless the user gives mitmproxy's option `confdir`."""

ONLY_OTHERS_SECONDS = 60.0
"""How long after the first connection to another host a missing one to Foundry is worth a line."""

NOBODY_SECONDS = 300.0
"""How long after start a missing client is."""

REWRITING = {Mode.OBSERVE: Rewriting.NONE, Mode.LOSSLESS: Rewriting.LOSSLESS, Mode.BALANCED: Rewriting.SET_ASIDE}
"""What each mode does to what is new in a conversation."""

WINDOW, LONG_WINDOW = 200_000, 1_000_000
"""The context windows of Claude models, in tokens; the long one is asked for with a beta header."""

SETTLE_SECONDS = 0.2
"""How long the note that a request was answered waits, so as not to hold up the answer."""

CLIENT_LEFT = "Client disconnected."
"""mitmproxy's word for it."""

logger = logging.getLogger("foundry_compress")


class FoundryCompress:
    """Rewrites requests to Azure AI Foundry on their way, and leaves everything else alone."""

    def __init__(self) -> None:
        self._settings: Settings | None = None  # None: refused, and mitmproxy is about to end
        self._authority: Authority | None = None
        self._authority_for: tuple[Path, tuple[str, ...]] | None = None
        self._engine: EngineWorker | None = None
        self._conversations: Conversations | None = None
        self._observed = Conversations(MemoryStore())
        self._totals = Totals()
        self._unanswered: WeakKeyDictionary[http.HTTPFlow, tuple[Treatment, Sent | None]] = WeakKeyDictionary()
        self._notices = Notices()
        self._set_for_user: dict[str, object] = {}
        self._is_running = False
        self._timers: list[asyncio.TimerHandle] = []
        self._foundry_seen = False
        self._others_seen = 0

    # Start, options, end

    def load(self, loader: Loader) -> None:
        """Declare our options and set those of mitmproxy's that the addon needs."""
        foundry_options.declare(loader)
        self._set_for_user |= mitmproxy_settings.set_unless_given(ctx.options)

    def configure(self, updated: set[str]) -> None:
        """Read the options anew. A bad value ends mitmproxy at start, and is undone later."""
        if updated & (foundry_options.OPTION_NAMES | {"confdir"}):
            try:
                self._apply(foundry_options.read_settings(ctx.options, os.environ))
            except (OptionsError, AuthorityError) as error:
                if self._is_running:
                    raise OptionsError(str(error)) from None
                logger.error(error)  # noqa: TRY400 - a traceback would bury the line; an error logged at start ends it
        if self._settings and updated & (foundry_options.OPTION_NAMES | mitmproxy_settings.OBSTACLE_OPTIONS):
            for line in mitmproxy_settings.obstacles(ctx.options, self._extra_hosts):
                self._notices.say(line)

    def _apply(self, settings: Settings) -> None:
        self._use_authority(settings.extra_hosts)
        before, self._settings = self._settings, settings
        if self._engine is None or before is None or settings.memory_bytes != before.memory_bytes:
            self._close_engine()
            self._engine = EngineWorker(Engine(settings.memory_bytes))
        if self._conversations is None or before is None or settings.state_dir != before.state_dir:
            self._close_conversations()
            file = SQLiteStore(settings.state_dir / STATE_FILE)
            store = FailsafeStore(file, lambda reason: self._notices.state_unusable(settings.state_dir, reason))
            self._conversations = Conversations(store)
        if self._is_running and settings != before:
            self._say_state()

    def _use_authority(self, extra_hosts: tuple[str, ...]) -> None:
        """See to it that the certificate authority exists before mitmproxy looks for it, and let mitmproxy look."""
        own = not mitmproxy_settings.is_given(ctx.options, "confdir")
        directory = OWN_CONFDIR if own else Path(ctx.options.confdir).expanduser()
        if self._authority_for == (directory, extra_hosts):
            return
        authority = ensure(directory, extra_hosts)
        if not authority.constrained and mitmproxy_settings.discard_authority_just_made(directory):
            authority = ensure(directory, extra_hosts)
        self._authority = authority
        self._authority_for = (directory, extra_hosts)  # before the next line, which leads here again
        ctx.options.update(confdir=str(directory))
        if own:
            self._set_for_user["confdir"] = directory
        self._notices.certificate = str(authority.certificate_path)
        if authority.notice:
            self._notices.say(authority.notice)
        if not authority.constrained:
            self._notices.say(
                f"The certificate authority in {directory} can vouch for every host there is, so whoever gets its key "
                "can imitate any of them to a client that trusts it: delete it, and one for Foundry only is made"
            )

    def running(self) -> None:
        """Refuse misspelt options, say what is on, and watch for clients that never come."""
        if unknown := foundry_options.unknown_names(ctx.options):
            logger.error(
                "%s: no such option; there are %s", ", ".join(unknown), ", ".join(sorted(foundry_options.OPTION_NAMES))
            )
            return
        if self._settings is None:
            return
        self._is_running = True
        if "listen_host" in self._set_for_user:
            mitmproxy_settings.rebind(ctx.master)
        if self._set_for_user:
            given = ", ".join(f"{name}={_shown(value)}" for name, value in self._set_for_user.items())
            logger.info("Set, because nobody else did: %s", given)
        self._say_state()
        self._later(NOBODY_SECONDS, self._nobody_came)

    def done(self) -> None:
        """Let go of the thread and the timers; also called when this file is reloaded."""
        for timer in self._timers:
            timer.cancel()
        self._close_engine()
        self._close_conversations()
        self._observed.close()

    def _close_conversations(self) -> None:
        if self._conversations is not None:
            self._conversations.close()
            self._conversations = None

    def _close_engine(self) -> None:
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _say_state(self) -> None:
        assert self._settings is not None  # noqa: S101 - callers have checked
        logger.info(
            "Foundry Compress %s: mode %s; scope %s; certificate authority %s, clients trust %s",
            VERSION,
            self._mode,
            " ".join((host_rules.FOUNDRY_SCOPE, *self._extra_hosts)),
            "for these hosts only" if self._authority and self._authority.constrained else "FOR EVERY HOST",
            self._notices.certificate,
        )

    # Connections: whose are looked into

    def http_connect(self, flow: http.HTTPFlow) -> None:
        """Keep tunnels to foundry.local from being opened upstream."""
        with self._fail_open("http_connect"):
            if local_status.is_local_host(flow.request.host):
                local_status.forbid_connect(flow)
            elif self._is_foundry(flow.request.host):
                self._foundry_seen = True  # even if no connection comes of it

    def http_connect_error(self, flow: http.HTTPFlow) -> None:
        """Say why a tunnel to Foundry was not opened."""
        with self._fail_open("http_connect_error"):
            self._look_for_upstream_error(flow, flow.request.host)

    def next_layer(self, nextlayer: layer.NextLayer) -> None:
        """Pass on what is not TLS in tunnels to other hosts, without a look at what it is."""
        with self._fail_open("next_layer"):
            context = nextlayer.context
            in_tunnel = isinstance(context.client.proxy_mode, RegularMode | UpstreamMode) and context.server.address
            if nextlayer.layer or not in_tunnel or self._is_foundry(_destination(context)):
                return
            if not nextlayer.data_client().startswith(b"\x16"):  # TLS goes on to tls_clienthello
                nextlayer.layer = TCPLayer(context, ignore=True)
                self._saw_other()

    def tls_clienthello(self, data: tls.ClientHelloData) -> None:
        """Tunnel, without decrypting it, every connection that is not Foundry's."""
        look_into = False
        with self._fail_open("tls_clienthello"):
            if data.context.server.address is None:
                return  # the client speaks TLS to the proxy itself; where it wants to go comes inside
            host = _destination(data.context)
            if self._is_foundry(host) and self._mode is not Mode.OFF:
                leaf_certificate.prepare(ctx.master, host)
                self._foundry_seen = look_into = True
            else:
                self._saw_other()
        if not look_into:
            data.ignore_connection = True

    def tls_failed_client(self, data: tls.TlsData) -> None:
        """Say which variable a client lacks that does not accept our certificate."""
        with self._fail_open("tls_failed_client"):
            host, error = _destination(data.context), data.conn.error or ""
            refused = "certificate" in error or "unknown ca" in error or error == "connection closed"
            if refused and self._is_foundry(host):
                self._notices.client_refuses_certificate(host, error)

    # Requests and responses

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Let requests to other hosts pass while they come in."""
        with self._fail_open("requestheaders"):
            if _is_settled(flow) or flow.is_replay or local_status.is_local_host(flow.request.host):
                return
            if not self._is_foundry(_host(flow)):
                flow.request.stream = True
                self._saw_other()

    async def request(self, flow: http.HTTPFlow) -> None:
        """Answer foundry.local; rewrite what goes to Foundry."""
        with self._fail_open("request"):
            if _is_settled(flow):
                return
            if local_status.is_local_host(flow.request.host):
                local_status.respond(flow, {"/ready": self._ready, "/api/stats": self._stats})
            elif not flow.is_replay:  # a replayed request is what was sent then: to rewrite it again would change it
                await self._foundry_request(flow)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Count what was saved, and let responses pass while they come in.

        By True, never by a function: one that raised would cost the client everything.
        """
        with self._fail_open("responseheaders"):
            treatment, sent = self._unanswered.pop(flow, (None, None))
            answered = bool(flow.response and flow.response.status_code < HTTPStatus.BAD_REQUEST)
            if treatment and answered:
                self._totals.count_answered(treatment)
            self._settle(sent, answered=answered)
            if flow.response and flow.live and not flow.error and not flow.is_replay and not flow.response.stream:
                flow.response.stream = True

    def error(self, flow: http.HTTPFlow) -> None:
        """Say why a request did not get to Foundry."""
        with self._fail_open("error"):
            _, sent = self._unanswered.pop(flow, (None, None))
            if flow.server_conn.error or not (flow.error and flow.error.msg == CLIENT_LEFT):
                self._settle(sent, answered=False)  # where the client hung up, the service may be at it all the same
            self._look_for_upstream_error(flow, _host(flow))

    def _settle(self, sent: Sent | None, *, answered: bool) -> None:
        """Remember how a request ended: at once where it was refused, else when the answer has begun to flow."""
        if sent is not None:
            seconds = SETTLE_SECONDS if answered else 0
            asyncio.get_running_loop().call_later(seconds, self._settle_now, sent, answered)

    def _settle_now(self, sent: Sent, answered: bool) -> None:  # noqa: FBT001 - what call_later can hand over
        if self._engine is not None and self._conversations is not None:
            self._engine.later(partial(self._conversations.settle, sent, answered=answered))

    def _look_for_upstream_error(self, flow: http.HTTPFlow, host: str) -> None:
        # Of flow.error only what a corporate proxy said: a client that hangs up is nothing to report.
        said = flow.error.msg if flow.error else ""
        error = flow.server_conn.error or (said if said.startswith("Upstream proxy ") else "")
        if error and self._is_foundry(host):
            self._notices.foundry_out_of_reach(host_rules.normalise_host(host), error)

    async def _foundry_request(self, flow: http.HTTPFlow) -> None:
        host = _host(flow)
        if flow.request.method != "POST" or self._engine is None or self._mode is Mode.OFF:
            return
        if not self._is_foundry(host):
            return
        self._foundry_seen = True
        endpoint = host_rules.endpoint(host, flow.request.path, self._extra_hosts)
        if endpoint is None:
            self._notices.unknown_format(host, flow.request.path)
            self._totals.count(Treatment(UNKNOWN_FORMAT))
            return
        started = time.perf_counter()
        decision = self._decision(flow, is_billed=endpoint is not Endpoint.COUNT_TOKENS)
        treatment = await treat(flow.request, endpoint.wire_format, decision, self._engine, self._notices)
        milliseconds = (time.perf_counter() - started) * 1000
        if endpoint is not Endpoint.COUNT_TOKENS:  # nobody pays for those
            self._totals.count(treatment)
            self._unanswered[flow] = (replace(treatment, body=None), decision.sent)
        logger.info(
            "host=%s path=%s outcome=%s tokens_removed=%d set_aside=%d bytes_before=%d bytes_after=%d ms=%.1f",
            host_rules.normalise_host(host),
            endpoint,
            treatment.outcome,
            treatment.tokens_removed,
            treatment.set_aside,
            treatment.bytes_before,
            treatment.bytes_after,
            milliseconds,
        )
        if treatment.body is not None:
            flow.request.content = treatment.body  # last: had anything failed, the client's bytes would stand

    def _decision(self, flow: http.HTTPFlow, *, is_billed: bool) -> Decision:
        settings, conversations = self._settings, self._conversations
        assert settings is not None  # noqa: S101 - the engine is there, so these are
        assert conversations is not None  # noqa: S101
        terms = Terms(
            REWRITING[settings.mode],
            Setting(settings.recent, settings.least),
            settings.cache_lifetime,
            LONG_WINDOW if "context-1m" in flow.request.headers.get("anthropic-beta", "") else WINDOW,
        )
        return Decision(conversations, self._observed, terms, is_billed)

    # What foundry.local tells

    def _ready(self) -> dict[str, object]:
        return {"addon": "foundry_compress", "version": VERSION, "mode": self._mode, "pid": os.getpid()}

    def _stats(self) -> dict[str, object]:
        return {"mode": self._mode, **self._totals.as_dict()}

    # What the hooks share

    @property
    def _mode(self) -> Mode:
        return self._settings.mode if self._settings else Mode.OFF

    @property
    def _extra_hosts(self) -> tuple[str, ...]:
        return self._settings.extra_hosts if self._settings else ()

    def _is_foundry(self, host: str) -> bool:
        return host_rules.is_foundry_host(host, self._extra_hosts)

    def _saw_other(self) -> None:
        self._others_seen += 1
        if self._others_seen == 1:
            self._later(ONLY_OTHERS_SECONDS, self._only_others)

    def _only_others(self) -> None:
        if not self._foundry_seen and self._mode is not Mode.OFF:
            self._notices.only_other_hosts(self._others_seen)

    def _nobody_came(self) -> None:
        if not self._foundry_seen and not self._others_seen and self._mode is not Mode.OFF:
            addresses = mitmproxy_settings.listen_addresses(ctx.master)
            self._notices.nobody_came("{}:{}".format(*addresses[0]) if addresses else "HOST:PORT")

    def _later(self, seconds: float, act: Callable[[], None]) -> None:
        self._timers.append(asyncio.get_running_loop().call_later(seconds, act))

    @contextlib.contextmanager
    def _fail_open(self, hook: str) -> Iterator[None]:
        try:
            yield
        except (asyncio.CancelledError, KeyboardInterrupt, SystemExit):
            raise  # mitmproxy is ending
        except BaseException as error:  # noqa: BLE001 - see the module's docstring; native code panics outside Exception
            self._notices.failure(hook, where_it_broke(error))


def _destination(context: Context) -> str:
    """The host that a connection is for: the name that TLS asks for, else the one that the proxy was asked for."""
    if isinstance(context.client.proxy_mode, ReverseMode):
        return context.client.proxy_mode.address[0]
    address = context.server.address
    return context.client.sni or (address[0] if address else "")


def _host(flow: http.HTTPFlow) -> str:
    """The host that a request is for; a Host header proves nothing, and a redirecting script changes the address."""
    mode = flow.client_conn.proxy_mode
    if isinstance(mode, ReverseMode):
        return mode.address[0]
    return (flow.request.scheme == "https" and flow.client_conn.sni) or flow.request.host


def _is_settled(flow: http.HTTPFlow) -> bool:
    """Whether the flow has its answer, or is not on its way: read from a file, killed, refused."""
    return bool(flow.response or flow.error or not flow.live)


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


addons = [FoundryCompress()]
