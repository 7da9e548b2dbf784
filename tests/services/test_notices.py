"""Notices that reception and submission may send: delivered here, or a copy that could not be made."""

import email
from ipaddress import ip_address
from textwrap import dedent
from typing import Any

import pytest
from tests.stores.opened import OpenStore

from sekisho.admin.keymaking import generate_pem
from sekisho.core.mailauth.dkim.sign import DkimSigner
from sekisho.core.mailauth.dkim.verify import verify_message
from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding, evaluate_dmarc
from sekisho.core.mailauth.spf.check import check_message
from sekisho.core.mailauth.spf.terms import SpfClient
from sekisho.core.message.authorship import read_authorship
from sekisho.core.message.header import HeaderSection
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Notify, Recipient
from sekisho.core.terms.reply import Reply
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.directory import Alias, Domain
from sekisho.ports.keys import DkimKey, KeyState
from sekisho.ports.spool import Acceptance
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.notices import NoticedMessage, NoticePorts, NoticeRules, Notices, delivered, failed
from sekisho.services.signing import KeySigning
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal
from sekisho.testing.zones import ZoneResolver

HEAD = b"Subject: x\r\n\r\nbody\r\n"
PEM = generate_pem("ed25519")
FULL = Reply.of(552, "5.2.2", "The mailbox is full")


def recipient(text: str, *notify: Notify) -> Recipient:
    return Recipient(Address.from_text(text), frozenset(notify) if notify else None)


def message(sender: str | None, **envelope: Any) -> NoticedMessage:
    path = ReversePath(Address.from_text(sender) if sender else None)
    return NoticedMessage(
        message_id="m1",
        envelope=Envelope(reverse_path=path, **envelope),
        arrived_at_us=0,
        head=HEAD,
        size_octets=len(HEAD),
        is_ours=True,
    )


@pytest.fixture
async def store() -> OpenStore:
    store = OpenStore(ManualClock(), SeededDice())
    await store.directory.add_domain(Domain("here.example", 0))
    return store


def make(store: OpenStore, hostname: str = "mail.here.example") -> Notices:
    probe = RecipientProbe(store.directory, hostname, {})
    signing = KeySigning(store.keys, ManualClock(), MemoryJournal())
    ports = NoticePorts(
        spool=store.spool,
        recipients=probe,
        clock=ManualClock(),
        dice=SeededDice(),
        journal=MemoryJournal(),
        signing=signing,
    )
    return Notices(NoticeRules(hostname, "en", {"far.example": "smart.example:26"}, 1000), ports)


def test_who_is_told() -> None:
    everybody = [
        recipient("a@x.example"),
        recipient("b@x.example", "SUCCESS"),
        recipient("c@x.example", "NEVER"),
    ]
    assert [str(told.recipient.address) for told in delivered(everybody, 5)] == ["b@x.example"]
    assert [str(told.recipient.address) for told in failed(everybody, FULL, 5)] == ["a@x.example"]


async def test_one_notice_for_each_action_by_the_configured_route(store: OpenStore) -> None:
    told = delivered([recipient("b@here.example", "SUCCESS")], 5) + failed(
        [recipient("a@here.example")], FULL, 5
    )
    first, second = await make(store).about(message("eve@far.example", ret="FULL"), told)
    for notice in (first, second):
        assert notice.origin == "dsn" and notice.envelope.reverse_path.is_null and notice.deliveries == ()
        (relay,) = notice.relays
        assert relay.next_hop == "smart.example:26" and relay.expires_at_us - relay.due_at_us == 1000
    assert b"Action: delivered\r\n" in first.content.head(10_000) and b"body" not in first.content.head(
        10_000
    )
    assert b"Status: 5.2.2\r\n" in second.content.head(10_000) and b"body" in second.content.head(10_000)
    assert (
        await make(store).about(message("eve@far.example"), ()) == ()
        and await make(store).about(message(None), told) == ()
    )


@pytest.mark.parametrize("requiretls", [True, False])
async def test_a_notice_goes_as_safe_a_way_as_its_message(store: OpenStore, requiretls: bool) -> None:
    """RFC 8689 §5: with REQUIRETLS too, and with the header section only."""
    told = failed([recipient("a@here.example")], FULL, 5)
    (notice,) = await make(store).about(message("eve@far.example", ret="FULL", requiretls=requiretls), told)
    octets = await notice.content.read(0, 1 << 20)
    await store.spool.accept(notice)
    assert notice.envelope.requiretls == requiretls
    assert (b"\r\n\r\nbody" in octets) != requiretls


async def test_the_sender_may_be_an_alias(store: OpenStore) -> None:
    account = await store.directory.add_account(Address.from_text("alice@here.example"), "", "")
    await store.directory.put_alias(Alias("info@here.example", ("alice@here.example", "x@far.example")))
    (notice,) = await make(store).about(
        message("info@here.example"), failed([recipient("a@x.example")], FULL, 5)
    )
    assert [delivery.account_id for delivery in notice.deliveries] == [account.id] and len(notice.relays) == 1
    await store.spool.accept(notice)
    info = await store.mail.mailbox(account.id, "INBOX")
    (row,) = await store.mail.rows(info.id, UidSet.of([1]))
    octets = await store.mail.open(info.id, row.uid)
    assert octets is not None
    parsed = email.message_from_bytes(await octets.read(0, 100_000))
    assert parsed["Return-Path"] == "<>" and parsed["To"] == "<info@here.example>"


async def _put_key(store: OpenStore, domain: str, state: KeyState = "active") -> None:
    await store.keys.put_dkim_keys(
        (
            DkimKey(
                domain=domain,
                selector="s1",
                algorithm="ed25519",
                state=state,
                private_pem=PEM,
                created_at_us=0,
                changed_at_us=0,
            ),
        )
    )


async def _found_by_a_receiver(notice: Acceptance, hostname: str, policy: str, spf: str) -> DmarcFinding:
    """DMARC of a receiver that gets the notice from `hostname`, with MAIL FROM:<> and EHLO `hostname`."""
    key = DkimSigner.from_pem("here.example", "s1", PEM).key_record
    zone = f"""
        {hostname} A 192.0.2.25
        {hostname} TXT "{spf}"
        s1._domainkey.here.example TXT "{key}"
        s1._domainkey.club.example TXT "{key}"
        _dmarc.here.example TXT "{policy}"
        _dmarc.club.example TXT "{policy}"
        _dmarc.host.example TXT "{policy}"
    """
    resolver = ZoneResolver(dedent(zone))
    octets = notice.prefix + notice.content.head(100_000)
    client = SpfClient(ip_address("192.0.2.25"), hostname)
    mailfrom = (await check_message(resolver, client, str(notice.envelope.reverse_path))).mailfrom
    signatures = await verify_message(octets, resolver, ManualClock().now_us() // 1_000_000)
    assert all(one.result == "pass" for one in signatures)
    return await evaluate_dmarc(
        resolver,
        read_authorship(HeaderSection(octets)).domains,
        spf_domain=mailfrom.domain if mailfrom.result == "pass" else None,
        dkim_domains=[one.domain for one in signatures],
    )


STRICT = "v=DMARC1; p=reject; adkim=s; aspf=s"


@pytest.mark.parametrize(
    ("hostname", "keys", "author", "dkim"),
    [
        (
            "mail.here.example",
            ("here.example",),
            "here.example",
            ("here.example",),
        ),  # our name is below the domain
        ("here.example", ("here.example",), "here.example", ("here.example",)),
        ("a.b.here.example", ("club.example", "here.example"), "here.example", ("here.example",)),
        (
            "mx.host.example",
            ("club.example",),
            "club.example",
            ("club.example",),
        ),  # the host is somebody else's: whom the mail was for
        (
            "mx.host.example",
            ("other.example",),
            "mx.host.example",
            (),
        ),  # no key for anything near: SPF of EHLO is left
    ],
)
async def test_a_notice_passes_a_strict_dmarc(
    store: OpenStore, hostname: str, keys: tuple[str, ...], author: str, dkim: tuple[str, ...]
) -> None:
    for domain in keys:
        await _put_key(store, domain)
    told = failed([recipient("bob@club.example")], FULL, 5)
    (notice,) = await make(store, hostname).about(message("eve@far.example"), told)
    assert notice.content.head(1000).startswith(
        f"From: Mail Delivery System <MAILER-DAEMON@{author}>\r\n".encode()
    )
    spf = "v=spf1 a -all" if not dkim else "v=spf1 -all"  # where we sign, DKIM alone is enough
    finding = await _found_by_a_receiver(notice, hostname, STRICT, spf)
    assert (finding.result, finding.author_domain, finding.dkim_aligned) == ("pass", author, dkim)
    assert finding.spf_aligned == ("" if dkim else hostname)


async def test_a_key_that_does_not_sign_yet_signs_no_notice(store: OpenStore) -> None:
    await _put_key(store, "here.example", "next")
    (notice,) = await make(store).about(
        message("eve@far.example"), failed([recipient("bob@here.example")], FULL, 5)
    )
    assert notice.prefix == b"" and b"<MAILER-DAEMON@mail.here.example>" in notice.content.head(1000)


async def test_a_signed_notice_in_a_mailbox_here(store: OpenStore) -> None:
    account = await store.directory.add_account(Address.from_text("alice@here.example"), "", "")
    await _put_key(store, "here.example")
    (notice,) = await make(store).about(
        message("alice@here.example"), failed([recipient("a@x.example")], FULL, 5)
    )
    (delivery,) = notice.deliveries
    assert delivery.account_id == account.id and delivery.prefix == b"Return-Path: <>\r\n" + notice.prefix
    assert notice.prefix.startswith(b"DKIM-Signature:") and b"Auto-Submitted" in notice.prefix
