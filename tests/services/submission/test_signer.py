"""What submission signs verifies, here and in dkimpy."""

import base64
from types import SimpleNamespace
from typing import Any

import dkim
import pytest
from tests.services.smtp_world import World, codes, reply, talk

from sekisho.admin.keymaking import generate_pem
from sekisho.core.mailauth.dkim.sign import DkimSigner
from sekisho.core.mailauth.dkim.verify import verify_message
from sekisho.ports.keys import DkimKey, KeyAlgorithm
from sekisho.services.signing import KeySigning
from sekisho.services.submission.signer import DomainSigner
from sekisho.testing.zones import ZoneResolver

PEM = {"rsa": generate_pem("rsa"), "ed25519": generate_pem("ed25519")}
BODY = (
    b"To: b@elsewhere.example\r\nBcc: hidden@elsewhere.example\r\nSubject: x\r\n\r\n"
    + b"a  line \r\n" * 20_000
    + b"\r\n\r\n"
)


def _key(algorithm: KeyAlgorithm, state: Any = "active", domain: str = "local.example") -> DkimKey:
    return DkimKey(
        domain=domain,
        selector=algorithm,
        algorithm=algorithm,
        state=state,
        private_pem=PEM[algorithm],
        created_at_us=0,
        changed_at_us=0,
    )


async def _submit(keys: tuple[DkimKey, ...]) -> tuple[World, bytes]:
    """The message as it waits in the queue."""
    world = await World().fill()
    world.signer = DomainSigner(KeySigning(world.store.keys, world.clock, world.journal))
    await world.store.keys.put_dkim_keys(keys)
    client = world.connect("submissions")
    login = base64.b64encode(b"\0user@local.example\0secret")
    await talk(client, b"", b"EHLO x\r\n", b"AUTH PLAIN " + login + b"\r\n")
    await talk(
        client, b"MAIL FROM:<user@local.example>\r\n", b"RCPT TO:<b@elsewhere.example>\r\n", b"DATA\r\n"
    )
    client.write(b"From: user@local.example\r\n" + BODY + b".\r\n")
    assert codes(await reply(client)) == [250]
    (queued,) = await world.store.spool.queue()
    octets = await world.store.spool.open_queued(queued.message_id)
    assert octets is not None
    return world, await octets.read(0, octets.size_octets)


@pytest.mark.parametrize("algorithms", [("rsa",), ("rsa", "ed25519")])
async def test_what_leaves_is_signed_and_verifies(
    algorithms: tuple[KeyAlgorithm, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    world, message = await _submit(tuple(map(_key, algorithms)))
    records = {
        f"{name}._domainkey.local.example": DkimSigner.from_pem("local.example", name, PEM[name]).key_record
        for name in algorithms
    }
    zone = "".join(f'{name} TXT "{text[:255]}" "{text[255:]}"\n' for name, text in records.items())
    now_seconds = world.clock.now_us() // 1_000_000
    found = await verify_message(message, ZoneResolver(zone), now_seconds)
    assert [(one.result, one.domain, one.selector) for one in found] == [
        ("pass", "local.example", name) for name in algorithms
    ]
    assert b"hidden@" not in message  # Bcc went before signing
    monkeypatch.setattr(dkim, "time", SimpleNamespace(time=lambda: now_seconds))
    for index in range(len(algorithms)):
        verifier = dkim.DKIM(message)
        assert verifier.verify(
            index, dnsfunc=lambda name, timeout=5: records[name.decode().rstrip(".")].encode()
        )


@pytest.mark.parametrize(
    "keys", [(), (_key("rsa", "next"), _key("ed25519", "retired")), (_key("rsa", domain="other.example"),)]
)
async def test_without_an_active_key_of_the_author_nothing_is_signed(keys: tuple[DkimKey, ...]) -> None:
    _, message = await _submit(keys)
    assert b"DKIM-Signature" not in message
