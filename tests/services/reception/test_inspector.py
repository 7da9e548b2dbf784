"""Reception with mail authentication: what a zone and a client give as Authentication-Results, reply,
mailbox and journal."""

from ipaddress import ip_network

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from tests.services.smtp_world import HOSTNAME, World, codes, reply, talk

from sekisho.core.mailauth.dkim.sign import DkimSigner, sign_message
from sekisho.core.message.authentication_results import AuthenticationResults, parse_authentication_results
from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.door.rule import DoorRules
from sekisho.probes.budget import BudgetedResolver
from sekisho.probes.impersonation import ImpersonationProbe
from sekisho.probes.table import Probes
from sekisho.services.reception.inspector import DoorInspector, DoorTools
from sekisho.testing.zones import ZoneResolver

SIGNER = DkimSigner("bank.example", "s", Ed25519PrivateKey.from_private_bytes(bytes(32)))
ZONE = f"""
good.example             TXT "v=spf1 ip4:192.0.2.7 -all"
bank.example             TXT "v=spf1 -all"
_dmarc.bank.example      TXT "v=DMARC1; p=reject"
s._domainkey.bank.example TXT "{SIGNER.key_record}"
_dmarc.mild.example      TXT "v=DMARC1; p=quarantine"
_dmarc.testing.example   TXT "v=DMARC1; p=reject; t=y"
forged.example           TXT "v=spf1 -all"
soft.example             TXT "v=spf1 ~all"
broken.example           TXT "v=spf1 nonsense:"
nothing.example          A   192.0.2.80
sub.bank.example         A   192.0.2.80
xbank.example            A   192.0.2.80
$SERVFAIL silent.example TXT
$SERVFAIL slow.bank.example TXT
7.2.0.192.in-addr.arpa   PTR client.example
client.example           A   192.0.2.7
"""


def _world(rules: DoorRules | None = None, unchecked: str = "") -> World:
    world = World()
    networks = [ip_network(unchecked)] if unchecked else []
    resolver = ZoneResolver(ZONE)
    world.inspector = DoorInspector(
        HOSTNAME,
        rules or DoorRules(),
        networks,
        DoorTools(
            directory=world.store.directory,
            budgeted=lambda: BudgetedResolver(resolver),
            journal=world.journal,
        ),
    )
    return world


async def _deliver(world: World, content: bytes, sender: str = "a@good.example") -> list[str]:
    client = world.connect()
    await talk(
        client,
        b"",
        b"EHLO client.example\r\n",
        f"MAIL FROM:<{sender}>\r\n".encode(),
        b"RCPT TO:<user@local.example>\r\n",
    )
    await talk(client, b"DATA\r\n")
    client.write(content + b"\r\n.\r\n")
    return await reply(client)


def _results(message: bytes) -> AuthenticationResults:
    header = HeaderSection(message)
    (field,) = header.values(b"authentication-results")
    parsed = parse_authentication_results(field)
    assert parsed is not None
    return parsed


def _words(message: bytes) -> dict[str, str]:
    found = _results(message)
    assert found.authserv_id == HOSTNAME and not found.dropped
    return {result.method: result.result for result in reversed(found.results)}


async def test_every_method_is_written_and_journaled() -> None:
    world = await _world().fill()
    assert codes(await _deliver(world, b"From: a@good.example\r\n\r\nx")) == [250]
    (message,) = await world.mailbox("user")
    assert _words(message) == {"spf": "pass", "dkim": "none", "dmarc": "none", "arc": "none", "iprev": "pass"}
    assert [field.name for field in HeaderSection(message).fields][:3] == [
        b"return-path",
        b"authentication-results",
        b"received",
    ]
    (entry,) = [entry for entry in world.journal.entries if entry.kind == "reception.evidence"]
    assert (
        entry.fields["spf"] == "pass" and entry.fields["verdict"] == "accept" and entry.id.encode() in message
    )


async def test_an_address_of_ours_as_a_name_is_marked_and_junk() -> None:
    world = await _world().fill()
    directory = world.store.directory
    resolver = ZoneResolver(ZONE)
    probes = Probes(names=ImpersonationProbe(directory, world.clock))
    tools = DoorTools(
        directory=directory,
        budgeted=lambda: BudgetedResolver(resolver),
        journal=world.journal,
        probes=probes,
    )
    world.inspector = DoorInspector(HOSTNAME, DoorRules(), [], tools)
    name = b'From: "user@local.example" '
    assert codes(
        await _deliver(world, b"X-Sekisho-Warning: forged\r\n" + name + b"<a@good.example>\r\n\r\nx")
    ) == [250]
    (marked,) = await world.mailbox("user", "Junk")
    assert b"X-Junk-Reason: shown-author;" in marked  # whoever it is authenticates their own domain, not ours
    warnings = list(HeaderSection(marked).values(b"x-sekisho-warning"))
    assert len(warnings) == 1 and b"forged" not in marked
    assert b"a@good.example" in b" ".join(warnings[0].split())
    assert codes(await _deliver(world, name + b"<a@unproven.example>\r\n\r\nx")) == [250]
    _, junk = await world.mailbox("user", "Junk")
    assert b"X-Junk-Reason: impersonated-name;" in junk and b"X-Sekisho-Warning: impersonated-name;" in junk
    entries = [entry for entry in world.journal.entries if entry.kind == "reception.evidence"]
    assert [entry.fields["rule"] for entry in entries] == ["shown-author", "impersonated-name"] and all(
        "impersonated" in e.fields for e in entries
    )
    world.inspector = DoorInspector(
        HOSTNAME, DoorRules(modes={"impersonated-name": "observe", "shown-author": "observe"}), [], tools
    )
    assert codes(await _deliver(world, name + b"<a@unproven.example>\r\n\r\nx")) == [250]
    assert b"x-sekisho-warning" not in (await world.mailbox("user"))[-1].lower()


async def test_the_list_that_a_message_names_is_journaled() -> None:
    world = await _world().fill()
    await _deliver(world, b"From: a@good.example\r\nList-Id: <members.good.example>\r\n\r\nx")
    (entry,) = [entry for entry in world.journal.entries if entry.kind == "reception.evidence"]
    assert entry.fields["list_id"] == "members.good.example"


async def test_forged_results_go_and_foreign_ones_stay() -> None:
    world = await _world().fill()
    forged = (
        b"Authentication-Results: (x) MX.local.example.; spf=pass\r\nAuthentication-Results: "
        b"other.example; spf=pass\r\n"
    )
    await _deliver(world, forged + b"From: a@good.example\r\n\r\nx")
    (message,) = await world.mailbox("user")
    values = list(HeaderSection(message).values(b"authentication-results"))
    assert len(values) == 2 and values[1] == b"other.example; spf=pass" and b"(x)" not in message


@pytest.mark.parametrize(
    "extra", [b"", b"Return-Path: <x@y>\r\nAuthentication-Results: mx.local.example; spf=pass\r\n"]
)
async def test_a_signature_verifies_over_a_large_body_and_behind_cut_fields(extra: bytes) -> None:
    world = await _world().fill()
    text = b"From: a@bank.example\r\nSubject: x\r\n\r\n" + b"a line of text \r\n" * 20_000 + b"end\r\n"
    signed = extra + sign_message([SIGNER], text, world.clock.now_us() // 1_000_000) + text
    assert codes(await _deliver(world, signed[:-2], "x@bank.example")) == [250]
    (message,) = await world.mailbox("user")
    assert _words(message) == {"spf": "fail", "dkim": "pass", "dmarc": "pass", "arc": "none", "iprev": "pass"}


async def test_a_changed_body_is_refused_by_name_and_id() -> None:
    world = await _world().fill()
    text = b"From: a@bank.example\r\n\r\nx\r\n"
    signed = sign_message([SIGNER], text, world.clock.now_us() // 1_000_000) + text
    answer = await _deliver(world, signed + b"and more")
    assert answer[0].startswith("550 5.7.1 DMARC") and await world.mailbox("user") == []
    refused = world.journal.entries[-1]
    assert (
        refused.kind == "reception.refused"
        and refused.id in answer[0]
        and "dmarc-reject" in str(refused.fields["because"])
    )


async def test_observe_lets_it_in() -> None:
    world = await _world(DoorRules(modes={"dmarc": "observe"})).fill()
    assert codes(await _deliver(world, b"From: a@bank.example\r\n\r\nx")) == [250]
    (message,) = await world.mailbox("user")
    assert _words(message)["dmarc"] == "fail"


@pytest.mark.parametrize("domain", ["mild", "testing"])
async def test_quarantine_goes_into_junk(domain: str) -> None:
    world = await _world().fill()
    assert codes(await _deliver(world, f"From: a@{domain}.example\r\n\r\nx".encode())) == [250]
    assert await world.mailbox("user") == []
    account = world.accounts["user"].id
    view = await world.store.mail.view(account, "Junk", claim_recent=False)
    assert view.info.messages == 1 and view.keywords == ("$Junk",)


@pytest.mark.parametrize(
    "author",
    [
        b"From: user@local.example\r\n",
        b"From: a@good.example\r\nFrom: b@local.example\r\n",
        b"From: a@x.example, b@local.example\r\n",
    ],
)
async def test_our_domains_are_not_a_strangers(author: bytes) -> None:
    world = await _world().fill()
    assert (await _deliver(world, author + b"\r\nx"))[0].startswith("550 5.7.1")
    trusted = await _world(unchecked="192.0.2.0/24").fill()
    assert codes(await _deliver(trusted, author + b"\r\nx")) == [250]
    (message,) = await trusted.mailbox("user")
    assert _results(message).results == ()


async def _forwarded(world: World, sender: str, content: bytes, *recipients: str) -> list[str]:
    client = world.connect()
    await talk(client, b"", b"EHLO client.example\r\n", f"MAIL FROM:<{sender}> RET=FULL\r\n".encode())
    for recipient in recipients:
        await talk(client, f"RCPT TO:<{recipient}> NOTIFY=SUCCESS,FAILURE\r\n".encode())
    await talk(client, b"DATA\r\n")
    client.write(content + b".\r\n")
    return await reply(client)


def _signed(world: World, author: str = "a@bank.example") -> bytes:
    text = f"From: {author}\r\n\r\nx\r\n".encode()
    return sign_message([SIGNER], text, world.clock.now_us() // 1_000_000) + text


UNSIGNED = b"From: x@nobody.example\r\n\r\nx\r\n"


@pytest.mark.parametrize(
    ("sender", "is_signed", "code", "vouched"),
    [
        ("a@good.example", False, 250, "spf"),
        ("a@nothing.example", False, 250, ""),
        ("a@soft.example", False, 250, ""),
        ("a@broken.example", False, 250, ""),
        ("a@nothing.example", True, 250, ""),  # a signature of somebody else's
        ("a@forged.example", False, 550, ""),
        ("a@forged.example", True, 550, ""),
        ("a@bank.example", False, 550, ""),
        ("a@bank.example", True, 250, "dkim"),
        ("a@sub.bank.example", True, 250, "dkim"),
        ("a@xbank.example", True, 250, ""),
        ("a@slow.bank.example", True, 250, "dkim"),
        ("a@slow.bank.example", False, 451, ""),
        ("a@silent.example", True, 451, ""),
        ("", False, 250, ""),
    ],
)
async def test_what_is_only_sent_on_and_who_hears_of_it(
    sender: str, is_signed: bool, code: int, vouched: str
) -> None:
    world = await _world().fill()
    content = _signed(world) if is_signed else UNSIGNED
    answer = await _forwarded(world, sender, content, "away@local.example")
    assert codes(answer) == [code]
    queue = await world.store.spool.queue()
    assert [message.envelope.vouched for message in queue] == [vouched] * (code == 250)
    if code != 250:
        refused = world.journal.entries[-1]
        assert refused.kind == "reception.refused" and str(refused.fields["because"]).startswith(
            "forged-forward: "
        )
    # Where a mailbox here is behind one of the recipients, the message is taken: its reply is the mildest.
    for other in ("user@local.example", "mixed@local.example", "postmaster@local.example"):
        assert codes(await _forwarded(world, sender, content, "away@local.example", other)) == [250]


async def test_the_forwarding_rule_can_be_off_and_tells_nobody_all_the_same() -> None:
    for mode in ("off", "observe"):
        world = await _world(DoorRules(modes={"forged-forward": mode})).fill()  # type: ignore[arg-type]  # the modes
        assert codes(await _forwarded(world, "a@forged.example", UNSIGNED, "away@local.example")) == [250]
        (message,) = await world.store.spool.queue()
        assert message.envelope.vouched == ""


async def test_success_is_told_to_whom_something_vouches_for() -> None:
    world = await _world().fill()
    for sender, told in (
        ("a@good.example", 1),
        ("a@soft.example", 0),
        ("a@silent.example", 0),
        ("a@forged.example", 0),
    ):
        assert codes(await _forwarded(world, sender, UNSIGNED, "user@local.example")) == [250]
        notices = [message for message in await world.store.spool.queue() if message.origin == "dsn"]
        assert len(notices) == told and world.journal.kinds().count("notice.withheld") == 1 - told
        for notice in notices:
            await world.store.spool.drop(notice.message_id)
        world.journal.entries.clear()
