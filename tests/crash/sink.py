"""The rest of the world: an SMTP server that takes everything, or what a test says instead."""

import re
import socket
import socketserver
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

NUMBER = re.compile(rb"^X-Number: (\d+)\r?$", re.MULTILINE | re.IGNORECASE)
# Gets the number of a message and the client's port; gives the reply after DATA, or None to break the
# connection.
Behaviour = Callable[[int, int], bytes | None]
VANISH = b"2 taken, but the connection breaks before the reply"


def take(_number: int, _port: int) -> bytes | None:
    return b"250 2.0.0 taken"


def go_on(_recipients: list[str]) -> bytes:
    return b"354 go on\r\n"


class Sink:
    def __init__(self) -> None:
        self.behave: Behaviour = take
        self.at_data: Callable[[list[str]], bytes] = go_on
        self.port = 0
        self.taken: Counter[tuple[int, str]] = Counter()  # by number and recipient
        self._lock = threading.Lock()

    def took(self, number: int, recipients: list[str]) -> None:
        with self._lock:
            self.taken.update((number, recipient) for recipient in recipients)


@contextmanager
def running_sink() -> Iterator[Sink]:
    sink = Sink()

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            try:
                _converse(sink, self)
            except OSError:
                pass  # the client was killed: that is what these tests are about

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128

    with Server(("127.0.0.1", 0), Handler) as server:
        sink.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join()


def _converse(sink: Sink, handler: socketserver.StreamRequestHandler) -> None:
    handler.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    say = handler.wfile.write
    say(b"220 sink.test ESMTP\r\n")
    recipients: list[str] = []
    while line := handler.rfile.readline():
        verb = line[:4].upper()
        if verb == b"EHLO":
            say(b"250-sink.test\r\n250-PIPELINING\r\n250 ENHANCEDSTATUSCODES\r\n")
        elif verb == b"QUIT":
            say(b"221 2.0.0 bye\r\n")
            return
        elif verb == b"DATA":
            answer = sink.at_data(recipients)
            say(answer)
            found = NUMBER.search(_message(handler))
            if answer.count(b"\r\n") > 1:
                return  # it answered what nobody had sent, and keeps nothing
            number = int(found[1]) if found else -1
            reply = sink.behave(number, handler.client_address[1])
            if reply is None:
                return
            if reply.startswith(b"2"):
                sink.took(number, recipients)
            if reply == VANISH:
                return
            recipients = []
            say(reply + b"\r\n")
        else:
            if verb == b"RCPT":
                recipients.append(line.partition(b"<")[2].partition(b">")[0].decode())
            elif verb in (b"MAIL", b"RSET"):
                recipients = []
            say(b"250 2.0.0 ok\r\n")


def _message(handler: socketserver.StreamRequestHandler) -> bytes:
    lines = []
    while (line := handler.rfile.readline()) != b".\r\n":
        if not line:
            raise ConnectionError("the client went away in the middle of a message")
        lines.append(line)
    return b"".join(lines)
