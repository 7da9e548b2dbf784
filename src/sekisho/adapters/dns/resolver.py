"""The stub resolver: asks a recursive resolver, believes its AD bit only where that is safe, remembers what
it said.

It validates nothing itself (THREATS 43). Six ends of a question are kept apart; none of them is an exception.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass

from sekisho.adapters.dns.cache import AnswerCache, Question, TtlBounds
from sekisho.adapters.dns.servers import ServerAddress, find_servers
from sekisho.adapters.dns.udp import UdpChannel
from sekisho.config.schema import ResolverSettings
from sekisho.core.dns.message import MAX_CNAMES, Reading, WireError, answers_query, build_query, read_response
from sekisho.core.dns.names import BadName, name_to_wire, normalize_name
from sekisho.core.terms.dns import Answer, DnsStatus, RecordType
from sekisho.ports.clock import Clock

REFUSED_PAUSE_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class ResolverFacts:
    """What `probe` found out. `validating` None: it did not answer."""

    servers: tuple[str, ...]
    is_local: bool
    validating: bool | None

    @property
    def sentence(self) -> str:
        """For the log at start."""
        where = (
            f"Resolver {', '.join(self.servers)} "
            f"({'on this machine' if self.is_local else 'not on this machine'})"
        )
        if self.validating is None:
            return f"{where} does not answer."
        if self.validating:
            return f"{where} validates DNSSEC and its word is trusted."
        return f"{where} does not validate DNSSEC, or its word is not trusted: DANE is off."


class StubResolver:
    """Implements `core.terms.dns.Resolver` over UDP and TCP. Belongs to one event loop."""

    def __init__(self, settings: ResolverSettings, clock: Clock, bounds: TtlBounds | None = None) -> None:
        """Raises `BadServer` for a setting that is no address. Opens nothing yet."""
        self.settings = settings
        self.servers = [_Server(address, settings.trust_ad) for address in find_servers(settings.servers)]
        self.preferred = 0  # index of the server to begin with
        self._cache = AnswerCache(settings.cache_entries, clock.monotonic, bounds)
        self._open: dict[Question, _Asking] = {}
        self.random = random.SystemRandom()
        self._is_retired = False

    def fits(self, settings: ResolverSettings) -> bool:
        """Would a new one for these settings be the same? /etc/resolv.conf is read again; raises
        `BadServer`."""
        return settings == self.settings and find_servers(settings.servers) == tuple(
            server.address for server in self.servers
        )

    async def resolve(self, name: str, rtype: RecordType) -> Answer:
        """The answer, from the cache, from an equal question that is under way, or by asking.

        A name that no DNS message can carry gets NXDOMAIN.
        """
        answer = self._cache.get((name, rtype))
        if answer is not None:
            return answer
        try:
            question = (normalize_name(name), rtype)
        except BadName:
            return Answer(name=name, rtype=rtype, status=DnsStatus.NXDOMAIN, canonical_name=name)
        if question[0] != name and (answer := self._cache.get(question)) is not None:
            return answer
        asking = self._open.get(question)
        if asking is None:
            asking = self._open[question] = _Asking(self, question)
            asking.start()
        return await asking.wait()

    def cached(self, name: str, rtype: RecordType) -> Answer | None:
        """The answer if it is at hand; `name` must be spelled as in `Answer.name`."""
        return self._cache.get((name, rtype))

    async def probe(self) -> ResolverFacts:
        """Is the resolver local, and does it validate? The root's SOA is signed, so a validating one sets AD
        on it."""
        answer = await self.resolve("", "SOA")
        return ResolverFacts(
            servers=tuple(str(server.address) for server in self.servers),
            is_local=all(server.address.is_loopback for server in self.servers),
            validating=None if answer.is_unknown else answer.secure,
        )

    def forget(self) -> None:
        """Empty the cache."""
        self._cache.clear()

    def settle(self, question: Question, answer: Answer) -> None:
        """A question has ended (called once by each)."""
        self._open.pop(question, None)
        self._cache.put(question, answer)
        if self._is_retired:
            self.retire()

    def retire(self) -> bool:
        """Nobody asks any more: close the sockets when the open questions have ended. Returns whether they
        have."""
        self._is_retired = True
        if not self._open:
            self._close_sockets()
        return not self._open

    async def close(self) -> None:
        """Close the sockets; open questions end as TIMEOUT."""
        for asking in list(self._open.values()):
            asking.abandon()
        self._close_sockets()

    def _close_sockets(self) -> None:
        for server in self.servers:
            server.channel.close()


class _Server:
    def __init__(self, address: ServerAddress, trust_ad: bool | None) -> None:
        self.address = address
        self.channel = UdpChannel(address)
        # A path that others can write on carries no promise (RFC 4035 §4.9.3).
        self.trusted = address.is_loopback if trust_ad is None else trust_ad


class _Asking:
    """One question under way, for everybody who asked it: tries, servers, truncation, aliases."""

    def __init__(self, resolver: StubResolver, question: Question) -> None:
        self._resolver = resolver
        self._question = question
        self._loop = asyncio.get_running_loop()
        settings = resolver.settings
        self._deadline = self._loop.time() + settings.timeout_seconds * settings.tries
        self._waiters: list[asyncio.Future[Answer]] = []
        self._answer: Answer | None = None
        self._name, self._aliases = question[0], 0  # the name in hand: the end of the aliases so far
        self._server = resolver.preferred
        self._tries, self._unhelpful = 0, 0
        self._failure = DnsStatus.TIMEOUT  # how it ends if no further try helps
        self._edns = True
        self._secure, self._ttl_seconds = True, 2**31 - 1
        self._forget: Callable[[], None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._tcp: asyncio.Task[None] | None = None

    async def wait(self) -> Answer:
        if self._answer is not None:
            return self._answer
        future: asyncio.Future[Answer] = self._loop.create_future()
        self._waiters.append(future)
        return await future

    def start(self) -> None:
        """Send the next try, or end."""
        resolver, settings = self._resolver, self._resolver.settings
        while self._tries < settings.tries and (left := self._deadline - self._loop.time()) > 0:
            self._tries += 1
            self._forget = resolver.servers[self._server].channel.send(self._query, self._received)
            if self._forget is not None:
                self._timer = self._loop.call_later(min(left, settings.timeout_seconds), self._timed_out)
                return
            self._next_server()
        self.finish(self._failure)

    def abandon(self) -> None:
        if self._tcp is not None:
            self._tcp.cancel()
        self.finish(DnsStatus.TIMEOUT)

    def finish(self, status: DnsStatus, reading: Reading | None = None) -> None:
        """Tell everybody, remember it."""
        self._stop_waiting()
        name, rtype = self._question
        if reading is None:
            answer = Answer(name=name, rtype=rtype, status=status, canonical_name=self._name)
        else:
            answer = Answer(
                name=name,
                rtype=rtype,
                status=status,
                records=reading.records,
                ttl_seconds=self._ttl_seconds,
                secure=self._secure,
                canonical_name=reading.canonical_name,
            )
        self._answer = answer
        self._resolver.settle(self._question, answer)
        for future in self._waiters:
            if not future.done():
                future.set_result(answer)

    def _query(self, query_id: int) -> bytes:
        return build_query(query_id, name_to_wire(self._name), self._question[1], edns=self._edns)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._forget is not None:
            self._forget()
        self._timer = self._forget = None

    def _timed_out(self) -> None:
        self._stop_waiting()
        self._failure = DnsStatus.TIMEOUT
        self._next_server()
        self.start()

    def _next_server(self) -> None:
        """This one was silent: others should not begin with it either."""
        resolver = self._resolver
        following = (self._server + 1) % len(resolver.servers)
        if resolver.preferred == self._server:
            resolver.preferred = following
        self._server = following

    def _received(self, octets: bytes) -> None:
        self._stop_waiting()
        if octets:
            self._read(octets, tcp=False)
            return
        self._next_server()
        # Nobody listens there. A resolver that restarts is back in a moment: do not use up the tries at once.
        self._timer = self._loop.call_later(
            REFUSED_PAUSE_SECONDS if len(self._resolver.servers) == 1 else 0, self.start
        )

    def _read(self, octets: bytes, *, tcp: bool) -> None:
        try:
            reading = read_response(octets, self._name, self._question[1])
        except WireError:
            self._not_helped(DnsStatus.SERVFAIL)
            return
        if reading.truncated and not tcp:
            self._tcp = self._loop.create_task(self._ask_over_tcp())
        elif reading.truncated:
            self._not_helped(DnsStatus.SERVFAIL)
        elif reading.edns_refused and self._edns:
            self._edns = False  # RFC 6891 §7
            self._tries -= 1
            self.start()
        elif reading.status is DnsStatus.SERVFAIL:
            self._not_helped(DnsStatus.SERVFAIL)
        elif reading.status is DnsStatus.BOGUS:
            self.finish(DnsStatus.BOGUS)  # never ask another resolver, which perhaps does not validate
        else:
            self._helped(reading)

    def _helped(self, reading: Reading) -> None:
        self._secure = self._secure and reading.authentic and self._resolver.servers[self._server].trusted
        self._ttl_seconds = min(self._ttl_seconds, reading.ttl_seconds)
        if reading.final:
            self.finish(reading.status, reading)
            return
        self._name = reading.canonical_name
        self._aliases += 1
        if self._aliases > MAX_CNAMES:
            self.finish(DnsStatus.SERVFAIL)
            return
        self._tries = self._unhelpful = 0
        self.start()

    def _not_helped(self, status: DnsStatus) -> None:
        """The resolver could not find out: each of the others is asked once."""
        self._failure = status
        self._unhelpful += 1
        if self._unhelpful >= len(self._resolver.servers):
            self.finish(status)
            return
        self._server = (self._server + 1) % len(self._resolver.servers)
        self.start()

    async def _ask_over_tcp(self) -> None:
        """RFC 7766 §5: a truncated answer is asked for again over TCP."""
        server = self._resolver.servers[self._server].address
        query = self._query(self._resolver.random.getrandbits(16))
        left = min(self._deadline - self._loop.time(), self._resolver.settings.timeout_seconds)
        try:
            async with asyncio.timeout(left):
                octets = await exchange_over_tcp(server, query)
        except (OSError, EOFError, TimeoutError):
            self._timed_out()
            return
        if answers_query(octets, query):
            self._read(octets, tcp=True)
        else:
            self._not_helped(DnsStatus.SERVFAIL)


async def exchange_over_tcp(server: ServerAddress, query: bytes) -> bytes:
    """One query on a connection of its own (RFC 1035 §4.2.2); raises OSError or EOFError. The caller sets the
    time limit."""
    reader, writer = await asyncio.open_connection(str(server.address), server.port)
    try:
        writer.write(len(query).to_bytes(2, "big") + query)
        return await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
    finally:
        writer.transport.abort()
