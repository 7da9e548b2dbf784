"""Workers that hang, messages that kill workers, and configurations that change under open connections."""

import imaplib
import os
import signal
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.crash.clients import imap, numbers, route_to, send, submit, worker_of
from tests.crash.sink import running_sink, take
from tests.system.server import Server, running, wait_until

from sekisho.adapters.certificates import write_certificates
from sekisho.adapters.tryout import CERTIFICATE_NAMES

pytestmark = pytest.mark.slow


def test_a_hung_worker_is_replaced_and_its_connections_end(tmp_path: Path) -> None:
    with running(tmp_path / "try", change=lambda text: f"worker_heartbeat_seconds = 2.0\n{text}") as server:
        client = imap(server, "alice")
        before = server.workers()
        hung = worker_of(server, server.ports["imaps"], client.socket().getsockname()[1])
        assert hung in before
        os.kill(hung, signal.SIGSTOP)
        wait_until(
            lambda: hung not in server.workers() and len(server.workers()) == len(before), lambda: server.log
        )
        with pytest.raises((imaplib.IMAP4.abort, OSError)):
            client.noop()
        for number in range(8):  # enough to meet both
            send(server, number, server.accounts["alice"].address)
        assert set(numbers(server, "alice")) == set(range(8))
        assert f"pid={hung}" in server.log
        assert "hung=1" in server.log


def test_a_message_that_crashes_its_worker_three_times_is_parked_until_told(tmp_path: Path) -> None:
    killed: list[int] = []
    with (
        running_sink() as sink,
        running(tmp_path / "try", change=lambda text: route_to(sink.port, text)) as server,
    ):

        def kill_the_deliverer(_number: int, port: int) -> bytes | None:
            pid = worker_of(server, port, sink.port)
            assert pid is not None
            killed.append(pid)
            os.kill(pid, signal.SIGKILL)
            return None

        sink.behave = kill_the_deliverer
        submit(server, 1, "friend@remote.test")
        wait_until(
            lambda: [state for _, state in _queue(server)] == ["parked"],
            lambda: f"{_queue(server)} {server.log[-3000:]}",
        )
        assert len(killed) == 3
        sink.behave = take
        ((message_id, _),) = _queue(server)
        assert server.command("queue", "retry", message_id)["recipients"] == 1
        wait_until(lambda: not _queue(server), lambda: f"{_queue(server)} {server.log[-3000:]}")
        assert sink.taken == {(1, "friend@remote.test"): 1}


def _queue(server: Server) -> list[tuple[str, str]]:
    return [(m["message_id"], r["state"]) for m in server.command("queue", "list") for r in m["recipients"]]


def test_a_broken_configuration_changes_nothing_and_is_said(tmp_path: Path) -> None:
    with running(tmp_path / "try") as server:
        client = imap(server, "alice")
        workers = server.workers()
        good = server.config_file.read_text()
        server.config_file.write_text(good.replace("hostname =", "hostnome ="))
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "config.refused" in server.log, lambda: server.log)
        assert "hostnome" in server.log
        assert client.noop()[0] == "OK"
        send(server, 1, server.accounts["alice"].address)
        assert server.workers() == workers
        server.config_file.write_text(
            good.replace('hostname = "mx.example.test"', 'hostname = "new.example.test"')
        )
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.log.count("worker.reloaded") == len(workers), lambda: server.log)
        with socket.create_connection(("127.0.0.1", server.ports["smtp"]), 30) as sock:
            assert sock.recv(100).startswith(b"220 new.example.test ")
        assert client.noop()[0] == "OK"
        client.logout()


def test_new_certificates_are_shown_and_open_connections_live_on(tmp_path: Path) -> None:
    with running(tmp_path / "try") as server:
        client = imap(server, "alice")
        workers = server.workers()
        before = _shown(server)
        write_certificates(server.folder, CERTIFICATE_NAMES, datetime.now(UTC))
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.log.count("worker.reloaded") == len(workers), lambda: server.log)
        on_disk = ssl.PEM_cert_to_DER_cert(
            (server.folder / "cert.pem").read_text().partition("-----END")[0] + "-----END CERTIFICATE-----\n"
        )
        assert {_shown(server) for _ in range(8)} == {on_disk} != {before}
        assert client.select("INBOX")[0] == "OK"
        client.logout()
        imap(server, "alice").logout()  # verified against the new authority


def _shown(server: Server) -> bytes | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", server.ports["imaps"]), 30) as sock,
        context.wrap_socket(sock, server_hostname="localhost") as tls,
    ):
        return tls.getpeercert(binary_form=True)
