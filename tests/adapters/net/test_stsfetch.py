"""Fetching an MTA-STS policy over HTTPS: what may lead elsewhere, what is too much, and what is wrong."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
from tests.services.hop.certificates import Kind, server_context
from tests.services.hop.world import authorities, policy

from sekisho.adapters.net.stsfetch import HttpsPolicySource, is_public
from sekisho.adapters.net.tls import ClientContexts
from sekisho.ports.hoptls import FetchFailed
from sekisho.testing.zones import ZoneResolver

HOST = "mta-sts.example.com"
ZONE = f"{HOST} A 127.0.0.1\n"
TEXT = policy("enforce")
PLAIN = b"Content-Type: text/plain\r\n"


def answer(body: bytes = TEXT, fields: bytes = PLAIN, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 " + status + b"\r\n" + fields + b"Content-Length: %d\r\n\r\n" % len(body) + body


@asynccontextmanager
async def serving(
    says: bytes, kind: Kind = "valid", *, host: str = HOST, endless: bytes = b""
) -> AsyncIterator[tuple[int, list[bytes]]]:
    asked: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, EOFError, asyncio.CancelledError):
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(says)
            while endless:
                writer.write(endless)
                await writer.drain()
            await writer.drain()
        writer.transport.abort() if endless else writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_context(kind, host))
    try:
        yield server.sockets[0].getsockname()[1], asked
    finally:
        server.close()


def source(
    port: int, zone: str = ZONE, *, seconds: float = 5.0, tls: ClientContexts | None = None
) -> HttpsPolicySource:
    return HttpsPolicySource(
        ZoneResolver(zone),
        tls or ClientContexts(authorities()),
        port=port,
        may_ask=lambda _: True,
        timeout_seconds=seconds,
    )


async def test_a_policy() -> None:
    async with serving(answer()) as (port, asked):
        assert await source(port).fetch("example.com") == TEXT
    assert (
        asked[0].startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\n")
        and b"mta-sts.example.com" in asked[0]
    )


async def test_in_pieces_and_with_a_charset() -> None:
    body = b"%x\r\n" % len(TEXT) + TEXT + b"\r\n0\r\n\r\n"
    head = b"HTTP/1.1 200 OK\r\ncontent-type: Text/Plain; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    async with serving(head + body) as (port, _):
        assert await source(port).fetch("example.com") == TEXT


async def test_an_alias_leads_to_an_address_and_to_no_other_name() -> None:
    """RFC 8461 §3.3: a CNAME may say where the policy host is; the certificate is for the policy host
    itself."""
    zone = f"{HOST} CNAME policies.provider.example\npolicies.provider.example A 127.0.0.1\n"
    async with serving(answer()) as (port, _):
        assert await source(port, zone).fetch("example.com") == TEXT
    async with serving(answer(), host="policies.provider.example") as (port, _):
        with pytest.raises(FetchFailed) as failed:
            await source(port, zone).fetch("example.com")
        assert failed.value.failure == "sts-webpki-invalid"


@pytest.mark.parametrize("kind", ["expired", "wrong name", "self-signed", "common name", "not for servers"])
async def test_a_certificate_that_is_not_valid(kind: Kind) -> None:
    async with serving(answer(), kind) as (port, asked):
        with pytest.raises(FetchFailed) as failed:
            await source(port).fetch("example.com")
    assert failed.value.failure == "sts-webpki-invalid" and not asked


@pytest.mark.parametrize(
    ("says", "failure"),
    [
        (
            answer(status=b"301 Moved", fields=PLAIN + b"Location: https://127.0.0.1/\r\n"),
            "sts-policy-fetch-error",
        ),
        (answer(status=b"302 Found", fields=PLAIN + b"Location: /other\r\n"), "sts-policy-fetch-error"),
        (answer(status=b"404 No"), "sts-policy-fetch-error"),
        (answer(status=b"203 Other"), "sts-policy-fetch-error"),
        (answer(fields=b"Content-Type: text/html\r\n"), "sts-policy-invalid"),
        (answer(fields=b""), "sts-policy-invalid"),
        (answer(fields=PLAIN + b"Content-Encoding: gzip\r\n"), "sts-policy-invalid"),
        (answer(TEXT + b"#" * 65_536), "sts-policy-invalid"),
        (
            b"HTTP/1.1 200 OK\r\n" + PLAIN + b"\r\n" + TEXT,
            "sts-policy-fetch-error",
        ),  # who cuts it shortens it
        (answer()[:-5], "sts-policy-fetch-error"),
        (b"220 mx ESMTP\r\n", "sts-policy-fetch-error"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100_000, "sts-policy-fetch-error"),
        (b"", "sts-policy-fetch-error"),
    ],
)
async def test_what_is_no_policy(says: bytes, failure: str) -> None:
    async with serving(says) as (port, _):
        with pytest.raises(FetchFailed) as failed:
            await source(port).fetch("example.com")
    assert failed.value.failure == failure and str(failed.value)


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        + b"1\r\n#\r\n" * 9_000,
        b"x" * 10_000,
    ],
)
async def test_what_never_ends(endless: bytes) -> None:
    async with serving(b"", endless=endless) as (port, _):
        with pytest.raises(FetchFailed):
            await source(port, seconds=0.3).fetch("example.com")


async def test_nobody_answers() -> None:
    async with serving(answer()) as (port, _):
        pass
    with pytest.raises(FetchFailed, match="was lost"):
        await source(port).fetch("example.com")
    for zone, words in (("", "has no address"), (f"$SERVFAIL {HOST} A\n", "the DNS does not answer")):
        with pytest.raises(FetchFailed, match=words):
            await source(port, zone).fetch("example.com")
    with pytest.raises(FetchFailed, match="no name of a host"):
        await source(port).fetch("exa_mple.com")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "169.254.169.254",
        "192.168.0.1",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "::1",
        "fd00::1",
        "fe80::1",
        "::ffff:127.0.0.1",
    ],
)
async def test_nobodys_zone_leads_into_our_network(address: str) -> None:
    """THREATS 48."""
    asked: list[object] = []
    rtype = "AAAA" if ":" in address else "A"

    class Never(ClientContexts):
        def context(self, verify: object) -> ssl.SSLContext:
            asked.append(verify)
            raise AssertionError

    fetcher = HttpsPolicySource(ZoneResolver(f"{HOST} {rtype} {address}\n"), Never())
    with pytest.raises(FetchFailed, match="no public address"):
        await fetcher.fetch("example.com")
    assert not asked and not is_public(ip_address(address))


def test_public_addresses() -> None:
    def ask(text: str) -> bool:
        return is_public(ip_address(text))

    assert ask("1.1.1.1") and ask("2606:4700::1111") and ask("::ffff:1.1.1.1")
