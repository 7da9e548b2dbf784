"""One TCP connection as services see it, plain or TLS. The transport is adapters/net's business.

Rules every implementation keeps (DESIGN §4 TLS layer, STANDARDS S-11): plaintext that arrived before a TLS
handshake is never readable after it; end of file without close_notify is `ConnectionLost`; writes are cut
into ≤ 16 KB records and held back while the peer does not read; TCP_NODELAY is set; no session tickets on
reception.
"""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import Literal, Protocol

IpAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Endpoint:
    address: IpAddress
    port: int


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """That a listener's authority vouches for. `addresses`: the e-mail addresses in it, as written;
    `fingerprint`: of SHA-256, in hex."""

    addresses: tuple[str, ...]
    fingerprint: str
    not_after_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsInfo:
    """What the handshake agreed on. `cipher` is the IANA name (RFC 8314 §4.3), `sni` what the client asked
    for.

    `end_point`: the channel binding tls-server-end-point (RFC 5929 §4), b"" where there is none. `client`:
    what the client showed, on listeners that ask for it. Both on the server side only.
    """

    version: str  # "TLSv1.3"
    cipher: str
    sni: str | None = None
    verified: bool = False  # client side: did the chain and the name check out
    peer_chain: tuple[bytes, ...] = ()  # DER, leaf first; client side only
    end_point: bytes = b""
    client: ClientCertificate | None = None


class StreamError(Exception):
    """Base of what can end a connection. None of them is a fault of ours."""


class ConnectionLost(StreamError):
    """Reset, or EOF without close_notify inside TLS."""


class GaveWay(ConnectionLost):
    """We ended it: there is not room for all, and it was the turn of this one (core.policy.crowd)."""


class StreamTimeout(StreamError):
    """The deadline of a read, drain, handshake or connect passed."""


class PlaintextInjected(StreamError):
    """Octets stood between STARTTLS and the handshake; the connection is already aborted (THREATS 2, 3)."""


CertificateFault = Literal["", "expired", "mismatch", "untrusted"]


class TlsFailed(StreamError):
    """The handshake failed; the connection is already aborted. `str()` says why, for the log only; `fault`:
    what was wrong with the other side's certificate, "" if it was something else."""

    def __init__(self, why: str = "", *, fault: CertificateFault = "") -> None:
        super().__init__(why)
        self.fault = fault


class Place:
    """What a connection does to deserve its room; services tell. This one is no listener's, and nobody counts
    what it is told."""

    __slots__ = ()

    def moved(self) -> None:
        """The client made headway: a step that it cannot take again and again."""

    def excuse(self, seconds: float) -> None:
        """So long it was we who worked, and the client waited."""

    def vouch(self) -> None:
        """Somebody logged in."""

    def know(self) -> None:
        """Our experience with the client is good."""


class Stream(Protocol):
    place: Place
    peer: Endpoint  # after PROXY protocol, the real client
    local: Endpoint
    tls: TlsInfo | None
    peer_uid: int | None  # who is at the other end of a Unix socket (SO_PEERCRED); None on TCP

    async def read(self, timeout_seconds: float | None = None) -> bytes:
        """The next octets (any number, ≤ 256 KB), b"" at an orderly end; raises ConnectionLost,
        StreamTimeout.

        One reader at a time. While nobody reads, the peer is throttled after about 64 KB.
        """
        ...

    def unread(self, octets: bytes) -> None:
        """Give octets back; the next `read` returns them first."""
        ...

    @property
    def has_input(self) -> bool:
        """Are there received octets (plaintext or decrypted) that `read` would return at once?"""
        ...

    @property
    def may_have_input(self) -> bool:
        """False: nothing has arrived, and a turn of the loop would bring no input."""
        ...

    @property
    def is_closing(self) -> bool: ...

    def write(self, octets: bytes) -> None:
        """Queue octets. Never blocks and never raises; a lost connection shows at the next read or drain."""
        ...

    async def drain(self, timeout_seconds: float | None = None) -> None:
        """Wait until less than 64 KB is waiting to be sent; raises ConnectionLost, StreamTimeout."""
        ...

    async def send(self, octets: bytes, timeout_seconds: float | None = None) -> None:
        """`write` and `drain` in one, and at once."""
        ...

    async def start_tls_server(self, timeout_seconds: float = 60.0) -> TlsInfo:
        """Handshake as a server, with the listener's certificates. Call it after the 220/OK was written.

        Raises PlaintextInjected if any octet is buffered, TlsFailed, StreamTimeout, ConnectionLost.
        """
        ...

    async def start_tls_client(
        self, server_name: str, *, verify: Literal["none", "pkix"] = "none", timeout_seconds: float = 60.0
    ) -> TlsInfo:
        """Handshake as a client with SNI `server_name`; "none" encrypts without authenticating (RFC 7435
        §3)."""
        ...

    async def close(self) -> None:
        """Flush, close_notify, FIN; bounded to a few seconds; never raises."""
        ...

    def abort(self) -> None: ...


class Dialer(Protocol):
    async def connect(
        self, address: IpAddress, port: int, *, source: IpAddress | None, timeout_seconds: float
    ) -> Stream:
        """A plain outgoing connection; raises OSError, StreamTimeout."""
        ...


ServiceKind = Literal[
    "smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s", "sieve", "local", "auth"
]


@dataclass(frozen=True, slots=True)
class ListenerInfo:
    """What a service must know about the listener that accepted the connection."""

    name: str
    kind: ServiceKind
    can_starttls: bool


class ConnectionHandler(Protocol):
    """A service's entry: one call per accepted connection (implicit TLS already done, PROXY header already
    read).

    It returns or raises `StreamError` when the connection is over; the caller closes the stream, and answers
    anything else that is raised as an own bug (logged with traceback).
    """

    async def __call__(self, stream: Stream, listener: ListenerInfo) -> None: ...


class Shutdown(Protocol):
    """Is the worker going down? Services end politely (421, BYE) after the transaction in hand (RFC 5321
    §3.8)."""

    @property
    def is_set(self) -> bool: ...

    async def wait(self) -> None: ...
