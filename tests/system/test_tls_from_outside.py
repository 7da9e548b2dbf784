"""openssl s_client on every port: what TLS is offered, and what is not."""

import subprocess

import pytest
from tests.peers.debian import peer
from tests.system.server import Server

pytestmark = [pytest.mark.peers, pytest.mark.slow]

# port -> how s_client reaches TLS, a polite end, the answer to it
DOORS = {
    "smtp": (["-starttls", "smtp"], b"QUIT\r\n", b"221 2.0.0"),
    "submission": (["-starttls", "smtp"], b"QUIT\r\n", b"221 2.0.0"),
    "submissions": ([], b"QUIT\r\n", b"221 2.0.0"),
    "imap": (["-starttls", "imap"], b"a LOGOUT\r\n", b"a OK"),
    "imaps": ([], b"a LOGOUT\r\n", b"a OK"),
    "pop3": (["-starttls", "pop3"], b"QUIT\r\n", b"+OK"),
    "pop3s": ([], b"QUIT\r\n", b"+OK"),
}


def _s_client(server: Server, port: str, *options: str) -> "subprocess.CompletedProcess[bytes]":
    way, goodbye, _ = DOORS[port]
    common = (
        "-connect",
        f"localhost:{server.ports[port]}",
        "-CAfile",
        str(server.ca_file),
        "-verify_return_error",
    )
    # No configuration file: ours, in the environment of a developer, would hide what the server does.
    return peer("openssl").run(
        "openssl",
        "s_client",
        *common,
        "-verify_hostname",
        "localhost",
        "-ign_eof",
        *way,
        *options,
        stdin=goodbye,
        OPENSSL_CONF="/dev/null",
    )


@pytest.mark.parametrize("port", DOORS)
@pytest.mark.parametrize("version", ["1_2", "1_3"])
def test_chain_and_name_verify(server: Server, port: str, version: str) -> None:
    done = _s_client(server, port, f"-tls{version}")
    assert done.returncode == 0, done.stderr
    assert b"Verified peername: localhost" in done.stdout
    assert b"Secure Renegotiation IS " in done.stdout
    assert f"New, TLSv{version.replace('_', '.')}, ".encode() in done.stdout
    assert DOORS[port][2] in done.stdout


@pytest.mark.parametrize("port", DOORS)
@pytest.mark.parametrize(
    "options",
    [
        pytest.param(("-tls1_1", "-cipher", "ALL:@SECLEVEL=0"), id="TLS 1.1"),  # RFC 8996 §5
        pytest.param(("-groups", "ffdhe2048"), id="ffdhe2048"),
        pytest.param(("-tls1_2", "-cipher", "AES128-SHA:AES256-SHA256:@SECLEVEL=0"), id="no forward secrecy"),
        pytest.param(("-tls1_2", "-cipher", "DHE-RSA-AES256-GCM-SHA384"), id="finite-field DHE"),
    ],
)
def test_weak_offers_are_refused(server: Server, port: str, options: tuple[str, ...]) -> None:
    done = _s_client(server, port, *options)
    assert done.returncode != 0
    assert b"Cipher is (NONE)" in done.stdout
    assert b"SSL alert number" in done.stderr  # the server's refusal, not the client's own


@pytest.mark.parametrize("port", DOORS)
@pytest.mark.parametrize("version", ["1_2", "1_3"])
def test_tickets_are_given_except_on_port_25(server: Server, port: str, version: str) -> None:
    said = _s_client(server, port, f"-tls{version}").stdout
    assert (b"TLS session ticket:" in said) == (port != "smtp")
