"""The mitmproxy addon: `mitmdump -s addons/foundry_compress.py`.

Wires mitmproxy's hooks to the modules around it and decides nothing itself. Two rules hold in every hook: nothing of
ours may escape it, because mitmproxy then leaves the client without an answer; and whatever goes wrong, the client's
own bytes go out.
"""

from __future__ import annotations

import logging
import os
import secrets
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import partial
from http import HTTPStatus
from pathlib import Path
from weakref import WeakKeyDictionary

from mitmproxy import ctx, http
from mitmproxy.addonmanager import Loader
from mitmproxy.exceptions import OptionsError
from mitmproxy.proxy.mode_specs import ReverseMode

# mitmproxy promises this folder on sys.path only while it loads this file; what is imported later needs it for good.
_ADDONS = Path(__file__).resolve().parent
if str(_ADDONS) not in sys.path:
    sys.path.insert(0, str(_ADDONS))

import host_rules  # noqa: E402
import interpreter  # noqa: E402
import mode_switch  # noqa: E402
from billing.accounts import Account  # noqa: E402
from billing.ledger import LEDGER_FILE, Ledger  # noqa: E402
from bookkeeper import Bookkeeper, Pending, session_of  # noqa: E402
from configuring import company_policy, foundry_options, mitmproxy_settings  # noqa: E402
from configuring.company_policy import CompanyPolicy  # noqa: E402
from configuring.foundry_options import Settings  # noqa: E402
from configuring.possible_values import Mode  # noqa: E402
from connecting.arrivals import Arrivals  # noqa: E402
from connecting.certificate_authority import Authority, AuthorityError, ensure  # noqa: E402
from connecting.connections import CLIENT_LEFT, Connections  # noqa: E402
from connecting.leaf_certificate import has_authority  # noqa: E402
from connecting.listening import Listening  # noqa: E402
from conversations import Sent, steady_clock  # noqa: E402
from fail_open import fail_open  # noqa: E402
from freed_memory import FreedMemory  # noqa: E402
from host_rules import Scope  # noqa: E402
from local_site import Live, Point, Site, is_local_host  # noqa: E402
from notices import Notices  # noqa: E402
from outcomes import SIGNED, UNKNOWN_FORMAT  # noqa: E402
from request_log import log_request  # noqa: E402
from rewriting.body_signature import cover  # noqa: E402
from rewriting.request_rewriter import RequestRewriter  # noqa: E402
from rewriting.treatment import Treatment  # noqa: E402
from web_view import Commands, FlowBound, WebView  # noqa: E402

VERSION = "0.1.0"

OWN_CONFDIR = _ADDONS.parent / "certs"
"""Where the certificate authority is, unless the user gives mitmproxy's option `confdir`."""

_TOKEN_BYTES = 16

logger = logging.getLogger("foundry_compress")


class FoundryCompress:
    """Rewrites requests to Azure AI Foundry on their way, and leaves everything else alone."""

    def __init__(self) -> None:
        self._settings: Settings | None = None  # None: refused, and mitmproxy is about to end
        self._scope = Scope()
        self._policy: CompanyPolicy | None = None
        self._authority: Authority | None = None
        self._authority_for: tuple[Path, tuple[str, ...]] | None = None
        self._rewriter: RequestRewriter | None = None
        self._live = Live()
        self._bookkeeper: Bookkeeper | None = None
        self._unsettled: WeakKeyDictionary[http.HTTPFlow, Sent | None] = WeakKeyDictionary()
        self._unended: WeakKeyDictionary[http.HTTPFlow, tuple[Bookkeeper, Pending]] = WeakKeyDictionary()
        self._notices = Notices()
        self._site = Site(self, "")  # with a token once there is one
        self._set_for_user: dict[str, object] = {}
        self._is_running = False
        self._set_interpreter_back: Callable[[], None] | None = None
        self._freed_memory = FreedMemory()
        self._web_view = WebView()
        self._arrivals = Arrivals(self._notices, lambda: self._mode is not Mode.OFF, self._client_setting)
        self.connections = Connections(self._notices, self._arrivals, lambda: self._scope, lambda: self._looks_in)
        self.addons = [  # mitmproxy's: what comes with us
            Listening(),
            self.connections,
            Commands(self._web_view.pairs, self.stats, self.set_mode),
            FlowBound(lambda: self._settings.flows_bytes if self._settings else 0),
        ]

    # Start, options, end

    def load(self, loader: Loader) -> None:
        """Declare our options and set those of mitmproxy's that the addon needs."""
        foundry_options.declare(loader)
        self._web_view.register()
        self._set_for_user |= mitmproxy_settings.set_unless_given(ctx.options)

    def configure(self, updated: set[str]) -> None:
        """Read the options anew. A bad value ends mitmproxy at start, and is undone later."""
        if updated & (foundry_options.OPTION_NAMES | {"confdir"}):
            try:
                self._policy = company_policy.in_force()
                self._apply(foundry_options.read_settings(ctx.options, os.environ, self._policy))
            except (OptionsError, AuthorityError) as error:
                if self._is_running:
                    raise OptionsError(str(error)) from None
                logger.error(error)  # noqa: TRY400 - a traceback would bury the line; an error logged at start ends it
        if self._settings and updated & (foundry_options.OPTION_NAMES | mitmproxy_settings.OBSTACLE_OPTIONS):
            for line in mitmproxy_settings.obstacles(ctx.options, self._scope.examples):
                self._notices.say(line)

    def _apply(self, settings: Settings) -> None:
        self._use_authority(settings.scope.names)
        before, self._settings, self._scope = self._settings, settings, settings.scope
        if self._rewriter is None:
            self._rewriter = RequestRewriter(settings, self._notices)
        else:
            self._rewriter.apply(settings)
        if before is None or _ledger_of(settings) != _ledger_of(before):
            self._use_ledger(settings)
        if self._is_running and settings != before:
            self._say_state()

    def _use_ledger(self, settings: Settings) -> None:
        folder = settings.state_dir
        ledger = Ledger(
            folder / LEDGER_FILE,
            lambda reason: self._notices.ledger_unusable(folder, reason),
            keep_days=settings.keep_days,
            keep_mb=settings.keep_mb,
        )
        if self._bookkeeper is None:
            self._bookkeeper = Bookkeeper(ledger, self._live.add)
        else:
            self._bookkeeper.move(ledger)

    def _use_authority(self, further_hosts: tuple[str, ...]) -> None:
        """See to it that the certificate authority exists before mitmproxy looks for it, and let mitmproxy look."""
        own = not mitmproxy_settings.is_given(ctx.options, "confdir")
        directory = OWN_CONFDIR if own else Path(ctx.options.confdir).expanduser()
        if self._authority_for == (directory, further_hosts):
            return
        authority = ensure(directory, further_hosts)
        if not authority.constrained and mitmproxy_settings.discard_authority_just_made(directory):
            authority = ensure(directory, further_hosts)
        self._authority = authority
        self._authority_for = (directory, further_hosts)  # before the next lines, which lead here again
        is_new = authority.created or Path(ctx.options.confdir).expanduser() != directory
        # To look again, mitmproxy would forget the certificates of connections that are being opened.
        if is_new or not has_authority(ctx.master):
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
        if self._rewriter is not None:
            self._rewriter.start()
        if "listen_host" in self._set_for_user:
            mitmproxy_settings.rebind(ctx.master)
        if self._set_for_user:
            given = ", ".join(f"{name}={_shown(value)}" for name, value in self._set_for_user.items())
            logger.info("Set, because nobody else did: %s", given)
        self._say_state()
        token = ctx.options.foundry_token
        if not token:
            token = secrets.token_urlsafe(_TOKEN_BYTES)
            logger.info("To change the mode while this proxy runs: scripts/mode MODE, with the token %s", token)
        self._site = Site(self, token)
        self._arrivals.watch()
        self._set_interpreter_back = interpreter.tune()

    def done(self) -> None:
        """Let go of the thread and the timers; also called when this file is reloaded."""
        if self._set_interpreter_back is not None:
            self._set_interpreter_back()
            self._set_interpreter_back = None
        self._arrivals.stop()
        self._freed_memory.stop()
        if self._rewriter is not None:
            self._rewriter.close()
            self._rewriter = None
        if self._bookkeeper is not None:
            self._bookkeeper.close()
            self._bookkeeper = None

    def _say_state(self) -> None:
        assert self._settings is not None  # noqa: S101 - callers have checked
        logger.info(
            "Foundry Compress %s: mode %s; scope %s; certificate authority %s, clients trust %s; state in %s%s",
            VERSION,
            self._mode,
            self._scope,
            "for these hosts only" if self._authority and self._authority.constrained else "FOR EVERY HOST",
            self._notices.certificate,
            _state_of(self._settings),
            f"; {self._policy.describe()}" if self._policy else "",
        )
        if self._policy and self._policy.error:
            self._notices.say(f"The company policy cannot be used, so nothing is rewritten: {self._policy.error}")

    # Requests and responses

    def requestheaders(self, flow: http.HTTPFlow) -> None:
        """Let requests pass while they come in that are for other hosts, or of which nothing would be rewritten."""
        with self._fail_open("requestheaders"):
            if _is_settled(flow) or flow.is_replay or is_local_host(flow.request.host):
                return
            host = _host(flow)
            if not self._in_scope(host):
                flow.request.stream = True
                self._arrivals.other()
            elif flow.request.method != "POST" or self._scope.endpoint(host, flow.request.path) is None:
                flow.request.stream = True  # an upload may be large

    async def request(self, flow: http.HTTPFlow) -> None:
        """Answer foundry.local; rewrite what goes to Foundry."""
        with self._fail_open("request"):
            if _is_settled(flow):
                return
            if is_local_host(flow.request.host):
                self._site.respond(flow)
            elif not flow.is_replay:  # a replayed request is what was sent then: to rewrite it again would change it
                await self._foundry_request(flow)

    def responseheaders(self, flow: http.HTTPFlow) -> None:
        """Note whether the service answers, and let responses pass while they come in, past the usage tap."""
        with self._fail_open("responseheaders"):
            if flow.response and flow.live and not flow.error and not flow.is_replay and not flow.response.stream:
                flow.response.stream = True
            answered = bool(flow.response and flow.response.status_code < HTTPStatus.BAD_REQUEST)
            if self._rewriter is not None:
                self._rewriter.settle(self._unsettled.pop(flow, None), answered=answered)
            unended = self._unended.get(flow)
            if unended is not None and flow.response and flow.response.stream is True:
                bookkeeper, pending = unended
                flow.response.stream = bookkeeper.listen(pending, flow.response)

    def response(self, flow: http.HTTPFlow) -> None:
        """Write down what the service billed."""
        with self._fail_open("response"):
            self._end(flow)

    def error(self, flow: http.HTTPFlow) -> None:
        """Say why a request did not get to Foundry."""
        with self._fail_open("error"):
            sent = self._unsettled.pop(flow, None)
            client_left = not flow.server_conn.error and flow.error is not None and flow.error.msg == CLIENT_LEFT
            if self._rewriter is not None and not client_left:  # else the service may be at it all the same
                self._rewriter.settle(sent, answered=False)
            self._end(flow, client_left=client_left, broken=True)
            self.connections.look_for_upstream_error(flow, _host(flow))

    async def _foundry_request(self, flow: http.HTTPFlow) -> None:
        host = _host(flow)
        rewriter, bookkeeper = self._rewriter, self._bookkeeper  # while a request waits, the addon may be let go
        if flow.request.method != "POST" or rewriter is None or bookkeeper is None or not self._looks_in:
            return
        if not self._in_scope(host):
            return
        started = time.perf_counter()
        self._arrivals.foundry()
        endpoint = self._scope.endpoint(host, flow.request.path)
        if endpoint is None and self._scope.is_beside(host, flow.request.path):
            return
        if endpoint is None:
            self._notices.unknown_format(host, flow.request.path)
            treatment = Treatment(UNKNOWN_FORMAT)
        elif covered_by := cover(flow.request):
            self._notices.signed_body(host, covered_by)
            treatment = Treatment(SIGNED)
        else:
            treatment, sent = await rewriter.treat(flow.request, endpoint, session_of(flow.request))
            self._unsettled[flow] = sent
        try:
            pending = bookkeeper.note(
                flow.request, host, endpoint, mode=self._mode, treatment=treatment, started=started
            )
            self._unended[flow] = (bookkeeper, pending)
            if self._web_view.is_on(ctx.master):
                self._web_view.treated(flow, treatment, pending.added_ms)
        finally:  # whatever fails here: it is remembered that this goes out
            if treatment.body is not None:
                flow.request.content = treatment.body

    def _end(self, flow: http.HTTPFlow, *, client_left: bool = False, broken: bool = False) -> None:
        """Have a request written down, but only when the client has the last of its answer."""
        if unended := self._unended.pop(flow, None):
            self._freed_memory.add(len(flow.request.raw_content or b""))
            bookkeeper, pending = unended
            write_down = partial(self._write_down, bookkeeper, pending, client_left=client_left, broken=broken)
            bookkeeper.once_counted(pending, write_down)

    def _write_down(self, bookkeeper: Bookkeeper, pending: Pending, *, client_left: bool, broken: bool) -> None:
        with self._fail_open("the ledger"):
            entry = bookkeeper.end(pending, client_left=client_left, broken=broken)
            log_request(host_rules.normalise_host(pending.host), entry)
            if self._rewriter is not None and pending.endpoint is not None and entry.usage is not None:
                self._rewriter.billed(pending.endpoint, entry.deployment, entry.usage.input)

    # What foundry.local and mitmproxy's commands tell and change

    def ready(self) -> dict[str, object]:
        """Who answers here."""
        return {
            "addon": "foundry_compress",
            "version": VERSION,
            "mode": self._mode,
            "pid": os.getpid(),
            "extra_hosts": list(self._scope.extra_hosts),
            "providers": list(self._scope.providers),
        }

    def stats(self) -> dict[str, object]:
        """What was done so far."""
        if self._bookkeeper:
            self._bookkeeper.catch_up()
        lost = self._bookkeeper.lost if self._bookkeeper else 0
        return {"mode": self._mode, **self._live.as_dict(), "ledger_lost": lost, "problems": self._notices.said()}

    def recent(self) -> Sequence[Account]:
        """The last requests, newest last."""
        return self._live.recent()

    def history(self) -> Sequence[Point]:
        """Sums by the minute, oldest first."""
        return self._live.history()

    def set_mode(self, mode: str, now: bool) -> str:  # noqa: FBT001 - as the JSON has it
        """Change the mode while the proxy runs; what follows, in a line. Raises ValueError with one."""
        try:
            ctx.options.update(foundry_mode=mode)
        except OptionsError as error:
            raise ValueError(str(error)) from None
        warm = self._bookkeeper.warm() if self._bookkeeper else []
        if now and self._mode is Mode.OFF and self._bookkeeper:
            self._bookkeeper.forget_warm()
        line = mode_switch.what_follows(self._mode, warm, at_once=now, now=steady_clock.now())
        logger.info(line)
        return line

    # What the hooks share

    @property
    def _mode(self) -> Mode:
        return self._settings.mode if self._settings else Mode.OFF

    @property
    def _looks_in(self) -> bool:
        """Whether requests are looked at. When the mode has become off they are as long as that costs less than not."""
        return self._mode is not Mode.OFF or bool(self._bookkeeper and self._bookkeeper.warm())

    def _in_scope(self, host: str) -> bool:
        return self._scope.includes(host)

    def _client_setting(self) -> str:
        """What leads a client here."""
        return mitmproxy_settings.client_setting(ctx.master)

    def _fail_open(self, hook: str) -> AbstractContextManager[None]:
        return fail_open(self._notices, hook)


def _host(flow: http.HTTPFlow) -> str:
    """The host that a request is for; a Host header proves nothing, and a redirecting script changes the address."""
    mode = flow.client_conn.proxy_mode
    if isinstance(mode, ReverseMode):
        return mode.address[0]
    return (flow.request.scheme == "https" and flow.client_conn.sni) or flow.request.host


def _is_settled(flow: http.HTTPFlow) -> bool:
    """Whether the flow has its answer, or is not on its way: read from a file, killed, refused."""
    return bool(flow.response or flow.error or not flow.live)


def _ledger_of(settings: Settings) -> tuple[Path, int, int]:
    """What of the settings is the ledger's."""
    return settings.state_dir, settings.keep_days, settings.keep_mb


def _state_of(settings: Settings) -> str:
    """Where what is remembered lies; of a server without what lets others in."""
    if settings.state_url is None:
        return str(settings.state_dir)
    return f"{settings.state_url} (conversations) and {settings.state_dir} (ledger)"


def _shown(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


addons = [FoundryCompress()]
