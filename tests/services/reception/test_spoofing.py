"""No form of From shows a name of ours, or of a domain with p=reject, in INBOX without a mark: forms × names
× the attacker's proof."""

import json
from collections import Counter

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.services.smtp_world import HOSTNAME, World, reply, talk
from tests.services.spoofing import forms

from sekisho.core.mailauth.dkim.sign import DkimSigner, SigningRefused, sign_message
from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.door.rule import DoorRules
from sekisho.probes.budget import BudgetedResolver
from sekisho.probes.impersonation import ImpersonationProbe
from sekisho.probes.table import Probes
from sekisho.services.reception.inspector import DoorInspector, DoorTools
from sekisho.testing.zones import ZoneResolver

SIGNER = DkimSigner("attack.example", "s", Ed25519PrivateKey.from_private_bytes(bytes(32)))
ZONE = f"""
_dmarc.bank.example       TXT "v=DMARC1; p=reject"
bank.example              TXT "v=spf1 -all"
attack.example            TXT "v=spf1 ip4:192.0.2.7 -all"
_dmarc.attack.example     TXT "v=DMARC1; p=reject"
{SIGNER.key_name}         TXT "{SIGNER.key_record}"
7.2.0.192.in-addr.arpa    PTR client.example
client.example            A   192.0.2.7
nowhere.example           A   192.0.2.99
list.example              TXT "v=spf1 ip4:192.0.2.7 -all"
"""
MARKS = (b"x-junk-reason", b"x-sekisho-warning")


async def _world(rules: DoorRules | None = None) -> World:
    world, resolver = World(), ZoneResolver(ZONE)
    probes = Probes(names=ImpersonationProbe(world.store.directory, world.clock))
    tools = DoorTools(
        directory=world.store.directory,
        budgeted=lambda: BudgetedResolver(resolver),
        journal=world.journal,
        probes=probes,
    )
    world.inspector = DoorInspector(HOSTNAME, rules or DoorRules(), [], tools)
    return await world.fill()


def _letter(fields: bytes, *, signed: bool = False) -> bytes:
    content = (
        fields + b"\r\nTo: user@local.example\r\nSubject: x\r\nDate: Tue, 24 Nov 2026 05:20:51 +0000\r\n\r\n"
        b"Hello\r\n"
    )
    try:
        return sign_message([SIGNER], content, 1_800_000_000) + content if signed else content
    except SigningRefused:  # nothing or several to sign
        return content


async def _deliver(
    world: World, letters: list[bytes], sender: str, recipient: str = "user@local.example"
) -> Counter[str]:
    """How often which code was answered."""
    outcomes: Counter[str] = Counter()
    for number, letter in enumerate(letters):
        if number % 5 == 0:
            client = world.connect()
            await talk(client, b"", b"EHLO client.example\r\n")
        await talk(
            client, f"MAIL FROM:<{sender}>\r\n".encode(), f"RCPT TO:<{recipient}>\r\n".encode(), b"DATA\r\n"
        )
        client.write(letter + b".\r\n")
        outcomes[(await reply(client))[-1][:9]] += 1
    return outcomes


def _is_marked(message: bytes) -> bool:
    header = HeaderSection(message)
    return any(map(header.count, MARKS))


@pytest.mark.slow
@pytest.mark.parametrize("proof", ["none", "spf", "dkim"])
@pytest.mark.parametrize("victim", ["boss@local.example", "boss@bank.example"])
async def test_no_form_reaches_inbox_unmarked(victim: str, proof: str) -> None:
    world, all_forms = await _world(), forms(victim)
    sender = "x@attack.example" if proof == "spf" else "x@nowhere.example"
    outcomes = await _deliver(world, [_letter(form, signed=proof == "dkim") for form in all_forms], sender)
    inbox, junk = await world.mailbox("user"), await world.mailbox("user", "Junk")
    assert [message for message in inbox if not _is_marked(message)] == []
    own = "spf=pass" if proof == "spf" else "dkim=pass"
    assert proof == "none" or sum(own in message.decode("latin-1") for message in junk) > 100
    assert sum(outcomes.values()) == len(all_forms) > 780 and set(outcomes) <= {
        "550 5.7.1",
        "550 5.5.2",
        "250 2.0.0",
    }
    assert outcomes["250 2.0.0"] == len(inbox) + len(junk) < 300


FORMS = [
    b"From: Bob [Local] <V>",
    b"From: V <V>",
    b"From: Bob <V",
    b"From: <V>text",
    b"From: V.",
    b"From: <<V>>",
    b"From: V; x@attack.example",
    b"From: <V> <x@attack.example>",
    b"From: <x@attack.example>\r\nFrom: <V>",
    b"From : <V>\r\nFrom: <x@attack.example>",
    b"From: <V>\xff",
    b"From: V, x@attack.example",
    b"From: V",
    b"From: boss@sub.D",
]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("victim", ["boss@local.example", "boss@bank.example"])
async def test_what_names_somebody_else_as_the_author_is_refused(form: bytes, victim: str) -> None:
    world = await _world()
    fields = form.replace(b"V", victim.encode()).replace(b"D", victim.partition("@")[2].encode())
    assert await _deliver(world, [_letter(fields)], "x@attack.example") == {"550 5.7.1": 1}
    if form in FORMS[2:10]:
        junked = await _world(DoorRules(refuses_unreadable=False))
        outcome = await _deliver(junked, [_letter(fields)], "x@attack.example")
        assert await junked.mailbox("user") == [] and outcome in ({"550 5.7.1": 1}, {"250 2.0.0": 1})


@pytest.mark.parametrize(
    "form",
    [b"Subject: none", b"From: nobody", b"From: x@a.example\r\nFrom: y@b.example", b"From: x@[192.0.2.1]"],
)
async def test_the_switch_the_roles_and_notices_put_it_into_junk(form: bytes) -> None:
    for rules, sender, recipient in (
        (DoorRules(refuses_unreadable=False), "x@attack.example", "user@local.example"),
        (DoorRules(), "x@attack.example", "postmaster@local.example"),
        (DoorRules(), "", "user@local.example"),
    ):
        world = await _world(rules)
        assert await _deliver(world, [_letter(form)], sender, recipient) == {"250 2.0.0": 1}
        (message,) = await world.mailbox("user", "Junk")
        assert (
            HeaderSection(message)
            .first(
                b"x-junk-reason",
            )
            .startswith(b"unreadable-from;")
        )  # type: ignore[union-attr]
    world = await _world(DoorRules(modes={"unreadable-from": "observe"}))
    assert await _deliver(world, [_letter(form)], "x@attack.example") == {"250 2.0.0": 1}
    (entry,) = [entry for entry in world.journal.entries if entry.kind == "reception.evidence"]
    assert (entry.fields["rule"], entry.fields["observed"]) == ("unreadable-from", True) and json.dumps(
        entry.fields["unreadable"]
    )


HONEST = [
    b"x@attack.example",
    b"Bob <x@attack.example>",
    b"Bob [Tokyo] <x@attack.example>",
    b"x@attack.example <x@attack.example>",
    b'"x@attack.example" <x@attack.example>',
    b"Doe, Bob <x@attack.example>",
    b"Bob: chair <x@attack.example>",
    b"a..b@attack.example",
    b"<a.@attack.example>",
    b"=?iso-2022-jp?b?GyRCMnE1RBsoQg==?= <x@attack.example>",
    b"=?utf-8?q?Bob_=40_home?= <x@attack.example>",
    b"\x1b$B2q5D\x1b(B <x@attack.example>",
    "会議 <x@attack.example>".encode(),
    "会議 <x@attack.example>".encode("shift_jis"),
    b"Bob (x@attack.example)\r\n\t<x@attack.example>",
    b"50% off! <x@attack.example>",
    b"<" + b"l" * 80 + b"@attack.example>",
    b'"boss@nowhere.example" <x@attack.example>',  # which asks for nothing
]


@pytest.mark.parametrize("value", HONEST)
async def test_honest_oddities_arrive_unmarked(value: bytes) -> None:
    world = await _world()
    assert await _deliver(world, [_letter(b"From: " + value)], "x@attack.example") == {"250 2.0.0": 1}
    (message,) = await world.mailbox("user")
    assert not _is_marked(message) and b"dmarc=pass" in message


async def test_a_list_that_signs_for_itself_may_show_whose_mail_it_is() -> None:
    world = await _world()
    for listed, mailbox in (
        (b"List-Id: <club.attack.example>\r\n", "INBOX"),
        (b"List-Id: <club.list.example>\r\n", "Junk"),
    ):
        for victim in ("boss@bank.example", "boss@local.example"):
            rest = b'%bFrom: "%b via Club" <x@attack.example>\r\nSubject: x\r\n\r\nHello\r\n' % (
                listed,
                victim.encode(),
            )
            letter = sign_message([SIGNER], rest, 1_800_000_000) + rest
            assert await _deliver(world, [letter], "x@list.example") == {"250 2.0.0": 1}
            assert HeaderSection((await world.mailbox("user", mailbox))[-1]).count(b"x-sekisho-warning") == 1
    assert len(await world.mailbox("user")) == len(await world.mailbox("user", "Junk")) == 2
