"""A Unix socket tells who is there."""

import asyncio
import os
from pathlib import Path

from sekisho.adapters.net.stream import RECEIVE_OCTETS, SocketStream


async def test_the_peer_of_a_unix_socket_has_a_uid(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    connected: asyncio.Future[SocketStream] = loop.create_future()
    space = memoryview(bytearray(RECEIVE_OCTETS))
    path = str(tmp_path / "socket")
    server = await loop.create_unix_server(
        lambda: SocketStream(space, on_connected=connected.set_result), path
    )
    _, writer = await asyncio.open_unix_connection(path)
    stream = await connected
    writer.write(b"EHLO x\r\n")
    assert stream.peer_uid == os.getuid() and await stream.read(20) == b"EHLO x\r\n"
    writer.close()
    await stream.close()
    server.close()
