"""SIGHUP: what the configuration says now holds for the next message."""

import imaplib
import re
import signal
import smtplib
import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.system.server import Server, running, wait_until

from sekisho.adapters.certificates import write_certificates

pytestmark = pytest.mark.slow


def _deliver(server: Server, recipient: str) -> None:
    with smtplib.SMTP("localhost", server.ports["smtp"], local_hostname="stranger.test") as stranger:
        stranger.sendmail("someone@stranger.test", [recipient], "Subject: x\r\n\r\nx\r\n")


def test_roles_and_routes_are_read_again(tmp_path: Path) -> None:
    with running(tmp_path / "try") as server:
        workers = len(server.workers())
        toml = server.config_file.read_text()
        assert 'postmaster = "alice@' in toml
        toml = toml.replace('postmaster = "alice@', 'postmaster = "bob@')
        server.config_file.write_text(toml + '\n[relay.routes]\n"elsewhere.test" = "[127.0.0.1]:1"\n')
        server.process.send_signal(signal.SIGHUP)
        wait_until(lambda: server.log.count("worker.reloaded") == workers, lambda: server.log)
        before = {account["address"]: account["used_octets"] for account in server.command("account", "list")}
        _deliver(server, "postmaster@example.test")
        after = {account["address"]: account["used_octets"] for account in server.command("account", "list")}
        assert [address for address in after if after[address] > before[address]] == ["bob@example.test"]


def test_a_rotated_log_is_opened_anew(tmp_path: Path) -> None:
    log, rotated = tmp_path / "sekisho.log", tmp_path / "sekisho.log.1"

    def to_file(toml: str) -> str:
        assert "[log]\n" in toml
        return toml.replace("[log]\n", f'[log]\nfile = "{log}"\n')

    with running(tmp_path / "try", change=to_file) as server:
        workers = len(server.workers())
        log.rename(rotated)
        server.process.send_signal(signal.SIGHUP)
        wait_until(
            lambda: log.exists() and log.read_text().count("worker.reloaded") == workers, lambda: server.log
        )
        _deliver(server, "bob@example.test")
        wait_until(lambda: "reception.accepted" in log.read_text(), log.read_text)
        assert "reception.accepted" not in rotated.read_text()


def test_logins_go_on_with_as_many_threads(tmp_path: Path) -> None:
    def threads(server: Server) -> list[int]:
        return [sum(1 for _ in Path(f"/proc/{pid}/task").iterdir()) for pid in server.workers()]

    def log_in(server: Server) -> None:
        context = ssl.create_default_context(cafile=server.ca_file)
        with imaplib.IMAP4_SSL("localhost", server.ports["imaps"], ssl_context=context, timeout=60) as client:
            assert client.login(alice.address, alice.password)[0] == "OK"

    one = "\n[login]\ncache_seconds = 0\nhashing_threads = 1\n"  # each login is hashed
    with running(
        tmp_path / "try", change=lambda toml: re.sub(r"(?m)^workers = \d+$", "workers = 1", toml) + one
    ) as server:
        alice, workers = server.accounts["alice"], len(server.workers())
        assert workers == 1
        log_in(server)
        before = threads(server)
        for number in range(1, 6):
            server.config_file.write_text(server.config_file.read_text() + "\n")
            server.process.send_signal(signal.SIGHUP)
            wait_until(
                lambda number=number: server.log.count("worker.reloaded") == number * workers,
                lambda: server.log,
            )
            log_in(server)
        assert sum(threads(server)) <= sum(before) + 1


def test_a_half_written_certificate_is_not_shown(tmp_path: Path) -> None:
    def shown(server: Server) -> bytes:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with (
            socket.create_connection(("127.0.0.1", server.ports["imaps"]), 30) as sock,
            context.wrap_socket(sock) as tls,
        ):
            return tls.getpeercert(binary_form=True) or b""

    with running(tmp_path / "try") as server:
        workers = len(server.workers())
        before, (chain, key) = shown(server), (server.folder / "cert.pem", server.folder / "key.pem")
        old_chain, old_key = chain.read_bytes(), key.read_bytes()
        write_certificates(tmp_path, ("localhost",), datetime.now(UTC))
        new_chain, new_key = (tmp_path / "cert.pem").read_bytes(), (tmp_path / "key.pem").read_bytes()
        config = server.config_file.read_text()
        server.config_file.write_text(
            config.replace('hostname = "mx.example.test"', 'hostname = "other.example.test"')
        )
        steps = [
            (new_chain[:-200], new_key, before),
            (new_chain, old_key, before),
            (new_chain, new_key, b""),
            (old_chain, old_key, before),
        ]
        for number, (chain_now, key_now, expected) in enumerate(steps, start=1):
            chain.write_bytes(chain_now)
            key.write_bytes(key_now)
            server.process.send_signal(signal.SIGHUP)
            wait_until(
                lambda number=number: server.log.count("worker.reloaded") == number * workers,
                lambda: server.log,
            )
            assert (shown(server) == before) == (expected == before)
        assert server.log.count("tls.certificate_kept") == 2 and "config.refused" not in server.log
        with socket.create_connection(("127.0.0.1", server.ports["smtp"]), 30) as sock:
            assert sock.recv(100).startswith(b"220 other.example.test"), "the rest was followed"
