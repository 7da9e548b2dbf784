"""The policy file of MTA-STS over HTTPS (RFC 8461 §3.3): from one host, on one port, with no way to be led
elsewhere."""

import asyncio
import ssl
from collections.abc import Callable

import h11

from sekisho.adapters.net.tls import ClientContexts, is_host_name
from sekisho.core.policy.routing import choose_addresses
from sekisho.core.terms.dns import Answer, Resolver
from sekisho.core.tlspolicy.sts import POLICY_OCTETS
from sekisho.ports.hoptls import FetchFailed
from sekisho.ports.stream import IpAddress

FETCH_SECONDS = 60.0  # RFC 8461 §3.3: one minute is suggested
CONNECT_SECONDS = 10.0  # for one address, while there are others
MAX_ADDRESSES = 4
HTTPS = 443
_PIECE_OCTETS = 16_384
_HEADER_OCTETS = 16_384
_CERTIFICATE_FAILURE = "sts-webpki-invalid"


def is_public(address: IpAddress) -> bool:
    """Somebody else's zone must not make us ask our own network (THREATS 48)."""
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_global and not address.is_multicast


class HttpsPolicySource:
    """Implements `ports.hoptls.PolicySource`."""

    def __init__(
        self,
        resolver: Resolver,
        tls: ClientContexts,
        *,
        port: int = HTTPS,
        may_ask: Callable[[IpAddress], bool] = is_public,
        timeout_seconds: float = FETCH_SECONDS,
    ) -> None:
        """Other than the usual values are for tests."""
        self._resolver, self._tls, self._port = resolver, tls, port
        self._may_ask, self._timeout_seconds = may_ask, timeout_seconds

    async def fetch(self, domain: str) -> bytes:
        host = f"mta-sts.{domain}"
        try:
            async with asyncio.timeout(self._timeout_seconds):
                reader, writer = await self._connect(host, await self._addresses(host))
                try:
                    return await _get(host, reader, writer)
                finally:
                    writer.transport.abort()
        except TimeoutError:
            raise FetchFailed("sts-policy-fetch-error", f"{host} did not answer in time") from None
        except ssl.SSLError as error:
            raise _certificate_failed(host, error) from error
        except (OSError, EOFError) as error:
            raise FetchFailed("sts-policy-fetch-error", f"the connection to {host} was lost") from error
        except h11.ProtocolError as error:
            raise FetchFailed("sts-policy-fetch-error", f"{host} does not speak HTTP") from error

    async def _addresses(self, host: str) -> tuple[IpAddress, ...]:
        """Aliases are followed to addresses only: the certificate must be for `host` itself (RFC 8461
        §3.3)."""
        if not is_host_name(host):
            raise FetchFailed("sts-policy-fetch-error", f"{host} is no name of a host")
        v6, v4 = await asyncio.gather(self._resolver.resolve(host, "AAAA"), self._resolver.resolve(host, "A"))
        found = [address for address in choose_addresses(v6, v4) if self._may_ask(address)]
        if not found:
            raise FetchFailed("sts-policy-fetch-error", _no_address(host, v6, v4))
        return tuple(found[:MAX_ADDRESSES])

    async def _connect(
        self, host: str, addresses: tuple[IpAddress, ...]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """To the first that answers. A wrong certificate ends it: whoever shows one may be in the way of
        all."""
        context, last = self._tls.context("pkix"), addresses[-1]
        for address in addresses:
            try:
                async with asyncio.timeout(None if address == last else CONNECT_SECONDS):
                    return await asyncio.open_connection(
                        str(address), self._port, ssl=context, server_hostname=host, limit=_PIECE_OCTETS
                    )
            except ssl.SSLError:
                raise
            except OSError:  # a TimeoutError is one
                if address == last:
                    raise
        raise AssertionError("there is an address")


def _no_address(host: str, *answers: Answer) -> str:
    if any(answer.is_unknown for answer in answers):
        return f"the DNS does not answer for {host}"
    if any(answer.records for answer in answers):
        return f"{host} has no public address"
    return f"{host} has no address"


def _certificate_failed(host: str, error: ssl.SSLError) -> FetchFailed:
    if isinstance(error, ssl.SSLCertVerificationError):
        return FetchFailed(_CERTIFICATE_FAILURE, f"the certificate of {host}: {error.verify_message}"[:300])
    return FetchFailed("sts-policy-fetch-error", f"no TLS session with {host}")


async def _get(host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    http = h11.Connection(h11.CLIENT, max_incomplete_event_size=_HEADER_OCTETS)
    fields = [("Host", host), ("Accept", "text/plain"), ("Connection", "close")]
    request = h11.Request(method="GET", target="/.well-known/mta-sts.txt", headers=fields)
    writer.write((http.send(request) or b"") + (http.send(h11.EndOfMessage()) or b""))
    body = bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(_PIECE_OCTETS))
        elif isinstance(event, h11.Response):
            _check_response(host, event)
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > POLICY_OCTETS:
                raise FetchFailed("sts-policy-invalid", f"the policy of {host} is too long")
        elif isinstance(event, h11.EndOfMessage):
            return bytes(body)
        elif isinstance(event, h11.ConnectionClosed) or event is h11.PAUSED:
            raise FetchFailed("sts-policy-fetch-error", f"{host} closed the connection")


def _check_response(host: str, response: h11.Response) -> None:
    """RFC 8461 §3.3: 200 only, no redirects; the media type is text/plain."""
    headers = {name: value.strip().lower() for name, value in response.headers}
    if response.status_code != 200:
        raise FetchFailed("sts-policy-fetch-error", f"{host} answered {response.status_code}")
    if headers.get(b"content-type", b"").partition(b";")[0].strip() != b"text/plain":
        raise FetchFailed("sts-policy-invalid", f"what {host} serves is not text/plain")
    if headers.get(b"content-encoding", b"identity") != b"identity":
        raise FetchFailed(
            "sts-policy-invalid", f"what {host} serves is encoded in a way that was not asked for"
        )
    if b"content-length" not in headers and b"transfer-encoding" not in headers:
        # Whoever cuts the connection would shorten the policy.
        raise FetchFailed("sts-policy-fetch-error", f"{host} does not say where the policy ends")
