"""What we sign verifies in opendkim, and what opendkim signs verifies here (its test mode, with keys from a
file)."""

import re
import subprocess
import time
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from tests.peers.debian import Peer, peer

from sekisho.core.mailauth.dkim.sign import DkimSigner, sign_message
from sekisho.core.mailauth.dkim.verify import verify_message_now
from sekisho.core.mailauth.synchronous import LookupResolver
from sekisho.core.terms.dns import Answer, DnsStatus, RecordType

pytestmark = pytest.mark.peers
RSA = DkimSigner("example.test", "r2026", generate_private_key(65537, 2048))
ED25519 = DkimSigner("example.test", "e2026", Ed25519PrivateKey.from_private_bytes(b"k" * 32))
HEADER = (
    b"Received: from somewhere\r\nFrom: Alice <alice@example.test>\r\nTo: bob@example.net,\r\n"
    b"\tcarol@example.net\r\n"
    b"Subject: A  long \t\r\n\t subject\r\nDate: Tue, 24 Nov 2026 05:20:51 +0000\r\nMessage-ID: "
    b"<1@example.test>\r\n"
    b"MIME-Version: 1.0\r\nContent-Type: text/plain;\r\n charset=utf-8\r\nX-Empty:\r\n"
)
BODIES = {
    "text": b"Hello,  Bob \r\n\r\n.\r\nBye\t \r\n",
    "trailing-lines": b"a\r\n\r\n\r\n\r\n",
    "only-lines": b"\r\n\r\n",
    "only-spaces": b" \r\n\t\r\n",
    "leading": b"\r\n \r\n  indented\r\n\ttab\t\ttab\r\n",
    "8bit": "関所\u3000は　通す。  \r\n".encode() * 3,
    "long-line": b"x " * 400 + b"\r\n",
    "large": b"The quick brown fox  jumps over the lazy dog \r\n" * 3000,
}
MESSAGES = {name: HEADER + b"\r\n" + body for name, body in BODIES.items()}


@pytest.fixture(scope="module")
def opendkim() -> Peer:
    return peer("opendkim")


def _run(opendkim: Peer, folder: Path, configuration: str, *files: str) -> str:
    (folder / "opendkim.conf").write_text(configuration + "Syslog no\n")
    names = ",".join(str(folder / name) for name in files)
    done: subprocess.CompletedProcess[bytes] = opendkim.run(
        "opendkim", "-x", str(folder / "opendkim.conf"), "-vv", "-t", names
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


@pytest.mark.parametrize(
    "damage",
    [
        (b"", b""),
        (b"Alice", b"Malice"),
        (b"e", b"o"),
        (b"MIME-Version", b"Reply-To: eve@example.org\r\nMIME-Version"),
    ],
)
def test_opendkim_accepts_ours_and_nothing_else(
    opendkim: Peer, tmp_path: Path, damage: tuple[bytes, bytes]
) -> None:
    (tmp_path / "keys").write_text(
        "".join(f"{signer.key_name} {signer.key_record}\n" for signer in (RSA, ED25519))
    )
    for name, message in MESSAGES.items():
        signature = sign_message([RSA, ED25519], message, int(time.time()))  # opendkim reads the clock
        (tmp_path / name).write_bytes(signature + message.replace(*damage))
    configuration = (
        f"TestDNSData file:{tmp_path}/keys\nMode v\nAlwaysAddARHeader yes\nAuthservID peer.example\n"
    )
    found = _run(opendkim, tmp_path, configuration, *MESSAGES)
    expected = "pass" if not damage[0] else "fail"
    assert re.findall(r"\bdkim=(\w+)", found) == [expected] * 2 * len(MESSAGES), found


@pytest.mark.parametrize("body", ["simple", "relaxed"])
@pytest.mark.parametrize(
    ("signer", "header"),
    # Not Ed25519 with simple: what opendkim 2.11 signs so, neither it nor dkimpy accepts.
    [(RSA, "simple"), (RSA, "relaxed"), (ED25519, "relaxed")],
    ids=["rsa-simple", "rsa-relaxed", "ed25519-relaxed"],
)
def test_we_accept_opendkims(
    opendkim: Peer, tmp_path: Path, header: str, body: str, signer: DkimSigner
) -> None:
    pem = signer.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "key.pem").chmod(0o600)
    for name, message in MESSAGES.items():
        (tmp_path / name).write_bytes(message)
    configuration = (
        f"Mode s\nDomain example.test\nSelector {signer.selector}\nKeyFile {tmp_path}/key.pem\n"
        f"SignatureAlgorithm {signer.algorithm}\n"
        f"Canonicalization {header}/{body}\nInternalHosts 0.0.0.0/0\nOverSignHeaders From,Subject\n"
        f"RequireSafeKeys no\n"
    )
    fields = re.findall(
        r"hname='DKIM-Signature' hvalue='(.*?)'$",
        _run(opendkim, tmp_path, configuration, *MESSAGES),
        re.DOTALL | re.MULTILINE,
    )
    assert len(fields) == len(MESSAGES)

    def lookup(name: str, rtype: RecordType) -> Answer:
        assert name == signer.key_name
        return Answer(
            name=name,
            rtype=rtype,
            status=DnsStatus.NOERROR,
            records=(signer.key_record.encode(),),
            ttl_seconds=60,
        )

    for field, message in zip(fields, MESSAGES.values(), strict=True):
        whole = b"DKIM-Signature: " + field.encode().replace(b"\n", b"\r\n") + b"\r\n" + message
        (evidence,) = verify_message_now(whole, LookupResolver(lookup), int(time.time()))
        assert (evidence.result, evidence.algorithm) == ("pass", signer.algorithm), (evidence.reason, field)
        (evidence,) = verify_message_now(
            whole.replace(b"A  long", b"A short"), LookupResolver(lookup), int(time.time())
        )
        assert evidence.result == "fail"
