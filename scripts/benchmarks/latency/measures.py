"""What is measured: the time of requests, the delay of a stream's events, the requests a second that go through.

Everything goes through each proxy in turn, request by request, so that what else the machine does meets all alike.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

from benchmarks.latency.conversation import Conversation
from benchmarks.latency.proxies import Client, Proxy

__all__ = ["Sample", "first_seen", "memory", "resumed", "streams", "throughput", "warm"]

_TURN = 4_000  # characters that a turn adds
_TURNS = 25  # in which a conversation would grow to its size, where that is less
_FIRST_STEPS = 12
_BEFORE_SECONDS = 0.5  # of a stream, before the large body comes


@dataclass(frozen=True)
class Sample:
    """Seconds, or requests a second, of one proxy; `size` is that of the bodies, in bytes."""

    kind: str
    size: int
    proxy: str
    values: tuple[float, ...]

    def quantile(self, share: float) -> float:
        """The value that a share of all is not above."""
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def warm(proxies: Sequence[Proxy], size: int, requests: int, seed: int) -> list[Sample]:
    """Turns of a conversation of `size` characters that has grown through the proxy."""
    talk = Conversation(seed)
    bodies = []
    for _ in range(_FIRST_STEPS):
        talk.grow(size // _FIRST_STEPS)
        bodies.append(talk.body())
    before = len(bodies)
    for _ in range(requests):
        talk.grow(min(_TURN, size // _TURNS))
        bodies.append(talk.body())
    return _in_turn("warm", proxies, bodies, before)


def first_seen(proxies: Sequence[Proxy], size: int, requests: int, seed: int) -> list[Sample]:
    """Conversations that nobody has seen, with `size` characters of new results each: the most work there is."""
    bodies = [_filled(Conversation.ask_for, size, seed + number) for number in range(requests)]
    return _in_turn("first seen", proxies, bodies, 0)


def resumed(proxies: Sequence[Proxy], size: int, requests: int, seed: int) -> list[Sample]:
    """Conversations with a history that went past the proxy: it may be in the cache, so it goes out as it is."""
    bodies = [_filled(Conversation.grow, size, seed + number) for number in range(requests)]
    return _in_turn("resumed", proxies, bodies, 0)


def _filled(fill: Callable[[Conversation, int], None], size: int, seed: int) -> bytes:
    talk = Conversation(seed)
    fill(talk, size)
    return talk.body()


def _in_turn(kind: str, proxies: Sequence[Proxy], bodies: Sequence[bytes], before: int) -> list[Sample]:
    """The times of all bodies but those `before`; the proxies take turns in going first."""
    times: dict[str, list[float]] = {proxy.name: [] for proxy in proxies}
    with ExitStack() as stack:
        clients = [(proxy.name, stack.enter_context(Client(proxy))) for proxy in proxies]
        for number, body in enumerate(bodies):
            first = number % len(clients)
            for name, client in clients[first:] + clients[:first]:
                took = client.seconds(body)
                if number >= before:
                    times[name].append(took)
    return [Sample(kind, len(bodies[-1]), name, tuple(values)) for name, values in times.items()]


def streams(proxies: Sequence[Proxy], size: int, rounds: int, seed: int) -> list[Sample]:
    """How late events of a stream come while a conversation that nobody has seen comes in beside it."""
    times: dict[str, list[float]] = {proxy.name: [] for proxy in proxies}
    sent = 0
    for number in range(rounds):
        large = _filled(Conversation.ask_for, size, seed + number)
        sent = len(large)
        for proxy in proxies:
            times[proxy.name] += _delays_beside(proxy, large)
    return [Sample("stream", sent, name, tuple(values)) for name, values in times.items()]


def _delays_beside(proxy: Proxy, large: bytes) -> list[float]:
    asks = Conversation(0).body().removesuffix(b"}") + b',"stream":true}'
    with Client(proxy) as listening, Client(proxy) as other:

        def send() -> None:
            time.sleep(_BEFORE_SECONDS)
            other.seconds(large)

        sender = threading.Thread(target=send)
        sender.start()
        delays = list(listening.delays(asks))
        sender.join()
    return delays


def throughput(proxies: Sequence[Proxy], size: int, connections: int, seconds: float, seed: int) -> list[Sample]:
    """Requests a second of so many connections, each with a warm conversation of its own."""
    seeds = itertools.count(seed)
    found: dict[str, list[float]] = {proxy.name: [] for proxy in proxies}
    sent = 0
    for proxy in itertools.chain.from_iterable(itertools.repeat(proxies, 3)):
        rate, sent = _rate(proxy, size, connections, seconds, [next(seeds) for _ in range(connections)])
        found[proxy.name].append(rate)
    return [Sample("throughput", sent, name, tuple(values)) for name, values in found.items()]


def _rate(proxy: Proxy, size: int, connections: int, seconds: float, seeds: Sequence[int]) -> tuple[float, int]:
    """Requests a second, and the size of the last body."""
    counts = [0] * connections
    ready = threading.Barrier(connections + 1)
    ends = [0.0]
    sizes = [0]

    def run(number: int) -> None:
        talk = Conversation(seeds[number])
        talk.grow(size)
        bodies = list(itertools.islice(_turns(talk), 24))
        with Client(proxy) as client:
            client.seconds(bodies[0])
            ready.wait()
            for body in itertools.chain(bodies[1:], itertools.repeat(bodies[-1])):
                if time.monotonic() > ends[0]:
                    break
                client.seconds(body)
                counts[number] += 1
        sizes[0] = len(bodies[-1])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(connections)]
    for thread in threads:
        thread.start()
    ends[0] = time.monotonic() + 3600
    ready.wait()
    ends[0] = time.monotonic() + seconds
    for thread in threads:
        thread.join()
    return sum(counts) / seconds, sizes[0]


def _turns(talk: Conversation) -> Iterator[bytes]:
    while True:
        talk.grow(_TURN)
        yield talk.body()


def memory(proxy: Proxy, size: int, conversations: int, requests: int, say: Callable[[str], None]) -> list[float]:
    """The resident size of a proxy, in MB, at its start and after each tenth of the requests."""
    found = [proxy.resident_mb]
    talks = [Conversation(at) for at in range(conversations)]
    with Client(proxy) as client:
        for number in range(requests):
            talk = talks[number % conversations]
            if number < conversations:
                talk.grow(size)
            talk.grow(_TURN)
            client.seconds(talk.body())
            if (number + 1) % max(1, requests // 10) == 0:
                found.append(proxy.resident_mb)
                grown = found[-1] - found[0]
                say(f"{number + 1:,} requests: {found[-1]:,.0f} MB resident, {grown:+,.0f} since the start")
    return found
