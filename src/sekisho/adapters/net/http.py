"""HTTP/1.1 as a client, with h11 for the protocol."""

import asyncio
import ssl
from urllib.parse import urlsplit

import h11

_PIECE_OCTETS = 65_536


async def read_answer(
    http: h11.Connection, reader: asyncio.StreamReader, max_octets: int
) -> tuple[int, bytes]:
    """(status, body), status 0 if nothing came; raises OSError for a body that is too long,
    h11.ProtocolError."""
    status, body = 0, bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(_PIECE_OCTETS))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > max_octets:
                raise OSError("the answer is too long")
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            return status, bytes(body)


async def get_https(url: str, context: ssl.SSLContext, max_octets: int) -> tuple[int, bytes]:
    """GET a https URL; redirects are not followed. Raises OSError, h11.ProtocolError, ValueError for a URL of
    another form."""
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.password:
        raise ValueError(f"{url!r} is not a plain https URL")
    reader, writer = await asyncio.open_connection(
        parts.hostname, parts.port or 443, ssl=context, server_hostname=parts.hostname
    )
    try:
        http = h11.Connection(h11.CLIENT)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        fields = [("Host", parts.netloc), ("Accept", "application/json"), ("Connection", "close")]
        writer.write(http.send(h11.Request(method="GET", target=target, headers=fields)) or b"")
        writer.write(http.send(h11.EndOfMessage()) or b"")
        return await read_answer(http, reader, max_octets)
    finally:
        writer.close()
