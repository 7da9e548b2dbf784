"""Outgoing connections."""

import asyncio

from sekisho.adapters.net.stream import RECEIVE_OCTETS, SocketStream
from sekisho.adapters.net.tlslayer import ClientTls
from sekisho.ports.stream import IpAddress, Stream, StreamTimeout


class AsyncioDialer:
    """`ports.stream.Dialer`. Make it inside the loop that uses it."""

    def __init__(self, tls: ClientTls) -> None:
        self._tls = tls
        self._space = memoryview(bytearray(RECEIVE_OCTETS))

    async def connect(
        self, address: IpAddress, port: int, *, source: IpAddress | None, timeout_seconds: float
    ) -> Stream:
        loop = asyncio.get_running_loop()
        local = (str(source), 0) if source is not None else None
        try:
            async with asyncio.timeout(timeout_seconds):
                _, protocol = await loop.create_connection(
                    lambda: SocketStream(self._space, client_tls=self._tls),
                    str(address),
                    port,
                    local_addr=local,
                )
        except TimeoutError as error:
            if error.errno is not None:  # the system gave up first: ETIMEDOUT
                raise
            raise StreamTimeout(f"no connection to {address} port {port} in time") from None
        return protocol
