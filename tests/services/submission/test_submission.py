"""Submission over the memory store: who may send as whom, what is mended, and where it goes."""

import base64

import pytest
from tests.services.guard.kit import guard_kit
from tests.services.smtp_world import World, codes, talk

from sekisho.config.schema import SubmissionSettings
from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.takeover.sending import Outgoing, Sending
from sekisho.core.policy.takeover.signals import Reason
from sekisho.core.terms.address import Address
from sekisho.ports.directory import Alias, Domain
from sekisho.ports.guard import BY_OPERATOR
from sekisho.ports.outgoing import Decision
from sekisho.services.smtp.refusal import Refusal
from sekisho.services.submission.seams import OutboundVerdict, Submitted
from sekisho.services.submission.sender import SenderRights
from sekisho.testing.stream import MemoryStream

HELLO = b"EHLO client.example\r\n"
MINE = b"MAIL FROM:<user@local.example>\r\n"
HEADER = b"From: User <user@local.example>\r\nDate: Tue, 24 Nov 2026 05:30:00 +0000\r\nMessage-ID: <1@x>\r\n"


def plain(name: str, password: str = "secret") -> bytes:
    return b"AUTH PLAIN " + base64.b64encode(f"\0{name}\0{password}".encode()) + b"\r\n"


async def logged_in(world: World, name: str = "user@local.example") -> MemoryStream:
    client = world.connect("submissions")
    replies = await talk(client, b"", HELLO, plain(name))
    assert replies[-1].startswith("235")
    return client


async def submit(
    world: World, content: bytes, *recipients: str, mail: bytes = MINE, name: str = "user@local.example"
) -> str:
    client = await logged_in(world, name)
    await talk(client, mail, *(f"RCPT TO:<{r}>\r\n".encode() for r in recipients or ("other@local.example",)))
    return (await talk(client, b"DATA\r\n", content + b"\r\n.\r\n"))[-1]


async def queued(world: World) -> bytes:
    (message,) = await world.store.spool.queue()
    octets = await world.store.spool.open_queued(message.message_id)
    assert octets is not None
    return await octets.read(0, octets.size_octets)


async def test_local_and_remote_recipients_in_one_transaction() -> None:
    world = await World().fill()
    answer = await submit(
        world, HEADER + b"Subject: x\r\n\r\nbody", "other@local.example", "friend@elsewhere.example"
    )
    assert answer.startswith("250 2.0.0")
    (copy,) = await world.mailbox("other")
    assert [f.name for f in HeaderSection(copy).fields][:2] == [b"return-path", b"received"]
    left = await queued(world)
    header = HeaderSection(left)
    assert [f.name for f in header.fields] == [b"received", b"from", b"date", b"message-id", b"subject"]
    received = header.first(b"received") or b""
    assert received.startswith(b"by mx.local.example with ESMTPSA id ") and b"192.0.2.7" not in received
    assert b"\ttls TLS_AES_256_GCM_SHA384" in left and b"for <" not in received
    (message,) = await world.store.spool.queue()
    assert message.origin == "submission" and message.account_id == world.accounts["user"].id
    assert message.recipients[0].expires_at_us - message.arrived_at_us == 432_000_000_000
    assert len(world.jobs) == 1


async def test_missing_fields_are_added_and_blind_copies_removed() -> None:
    world = await World().fill()
    content = b"From: user@local.example\r\nBcc: hidden@elsewhere.example,\r\n other@local.example\r\n"
    content += b"Return-Path: <x@y>\r\nTo: x@y.example\r\n\r\nb"
    assert (await submit(world, content)).startswith("250")
    (copy,) = await world.mailbox("other")
    header = HeaderSection(copy)
    assert b"hidden" not in copy and header.count(b"return-path") == 1
    assert header.first(b"date") == b"Fri, 15 Jan 2027 08:00:00 +0000"
    assert (header.first(b"message-id") or b"").endswith(b"@local.example>")
    assert copy.endswith(b"From: user@local.example\r\nTo: x@y.example\r\n\r\nb\r\n")


@pytest.mark.parametrize(
    ("sender", "code"),
    [
        ("user@local.example", 250),
        ("USER@local.example", 250),
        ("user+list@local.example", 250),
        ("sales@local.example", 250),
        ("both@local.example", 250),
        ("sales+x@local.example", 250),
        ("", 250),
        ("quiet@local.example", 550),
        ("other@local.example", 550),
        ("user@caught.example", 550),
        ("user@elsewhere.example", 550),
        ("away@local.example", 550),
        ("nobody@local.example", 550),
        ("user@mx.local.example", 550),
        ("user@[192.0.2.25]", 550),
    ],
)
async def test_envelope_senders(sender: str, code: int) -> None:
    world = await World().fill()
    client = await logged_in(world)
    answer = (await talk(client, f"MAIL FROM:<{sender}>\r\n".encode()))[-1]
    assert codes([answer]) == [code]
    if code == 550:
        assert answer.startswith(f"550 5.7.1 The envelope sender {sender} is not yours")


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ("From: user@local.example", 250),
        ("From: user@local.example, sales@local.example", 250),
        ("From: friends: user@local.example;", 250),
        ("From: other@local.example", 550),
        ("From: user@local.example, other@local.example", 550),
        ("From: user@local.example\r\nSender: other@local.example", 550),
        ("From: other@local.example\r\nSender: user@local.example", 550),
        ("From: user@local.example\r\nFrom: other@local.example", 554),
        ("From: user@local.example\r\nfrom : other@local.example", 554),
        ("From: other@local.example <user@local.example>", 554),
        ("From: <@ceo@bank.example:user@local.example>", 554),
        ("From: The chair <@other@local.example:user@local.example>", 554),
        ("From: <@relay.example:user@local.example>", 554),
        ("From: user@local.example\r\nSender: <@other@local.example:user@local.example>", 554),
        ("From: nobody:;", 554),
        ("From: user", 554),
        ("From:", 554),
        ("Subject: no author", 554),
        ("From: user@local.example\r\nSubject: a\r\nSubject: b", 554),
        ("From: user@local.example\r\nthis is no field", 554),
        ("From: user@local.example\r\n" + "Received: x\r\n" * 101 + "X: y", 554),
    ],
)
async def test_authors(header: str, code: int) -> None:
    world = await World().fill()
    answer = await submit(world, header.encode() + b"\r\n\r\nx")
    assert codes([answer]) == [code]
    assert len(await world.mailbox("other")) == (code == 250)
    if code == 550:
        assert "other@local.example is not yours; send as user@local.example" in answer


async def test_a_null_sender_is_for_notices_from_oneself() -> None:
    world = await World().fill()
    assert (await submit(world, HEADER + b"\r\nread", mail=b"MAIL FROM:<>\r\n")).startswith("250")
    assert (await submit(world, b"From: other@local.example\r\n\r\nx", mail=b"MAIL FROM:<>\r\n")).startswith(
        "550 5.7.1"
    )


@pytest.mark.parametrize(
    ("address", "code"),
    [
        ("a@[192.0.2.9]", 550),
        ("a@[192.0.2.25]", 550),
        ("a@localhost", 554),
        ("nobody@local.example", 550),
        ("gone@local.example", 550),
        ("a@elsewhere.example", 250),
        ("postmaster", 250),
        ("away@local.example", 250),
    ],
)
async def test_recipients(address: str, code: int) -> None:
    world = await World().fill()
    client = await logged_in(world)
    assert codes(await talk(client, MINE, f"RCPT TO:<{address}>\r\n".encode())) == [250, code]


async def test_what_an_account_sends_that_is_held_is_accepted_and_waits() -> None:
    """Nobody has it, here or elsewhere; nothing is lost; the guard's commands let it go or remove it."""
    watchful = Watchful()
    world = await World(judge=watchful, signer=watchful).fill()
    held = world.accounts["held"]
    client = await logged_in(world, "held@local.example")
    text = b"From: held@local.example\r\nDate: x\r\nSubject: stop\r\n\r\nx\r\n.\r\n"
    replies = await talk(
        client,
        b"MAIL FROM:<held@local.example>\r\n",
        b"RCPT TO:<a@elsewhere.example>\r\n",
        b"RCPT TO:<other@local.example>\r\n",
        b"DATA\r\n",
        text,
    )
    assert codes(replies) == [250, 250, 250, 354, 250]
    (message,) = await world.store.spool.queue()
    assert [(str(row.recipient.address), row.state) for row in message.recipients] == [
        ("a@elsewhere.example", "held"),
        ("other@local.example", "held"),
    ]
    assert world.jobs == [] and await world.mailbox("other") == [] and watchful.order == ["sign"]
    assert [sent.case_id for sent in await world.store.guard.held(held.id)] == [BY_OPERATOR]
    (entry,) = [entry for entry in world.journal.entries if entry.kind == "submission.accepted"]
    assert entry.fields["rule"] == "sending-held"
    assert await guard_kit(world.store).releaser.release(message.message_id) == (2, 0)
    assert len(await world.mailbox("other")) == 1 and await world.store.guard.held(held.id) == []


@pytest.mark.parametrize("change", ["login_disabled", "deleted", "password"])
async def test_an_open_session_does_not_outlive_its_account(change: str) -> None:
    world = await World().fill()
    client = await logged_in(world)
    if change == "password":
        await world.store.directory.set_password(world.accounts["user"].id, "new", "")
    elif change == "login_disabled":
        await world.store.directory.set_state(world.accounts["user"].id, "login_disabled")
    else:
        await world.store.directory.set_state(world.accounts["user"].id, "deleted")
    assert (await talk(client, MINE))[0].startswith("421 4.7.0")
    assert await client.read() == b""


async def test_logins() -> None:
    world = await World().fill()
    client = world.connect("submissions")
    await talk(client, b"", HELLO)
    for bad in (plain("user@local.example", "wrong"), plain("nobody@local.example")):
        assert (await talk(client, bad))[0].startswith("535 5.7.8 Wrong user name or password (id ")
    world.authenticator.unavailable = True
    assert (await talk(client, plain("user@local.example")))[0].startswith("454 4.7.0")
    world.authenticator.unavailable = False
    assert codes(await talk(client, b"AUTH PLAIN AAAA\r\n")) == [
        501,
        421,
    ]  # the third failure: no NUL-separated parts
    assert await client.read() == b""


async def test_a_broken_authenticator_is_temporary() -> None:
    world = await World().fill()

    async def broken(*_: object) -> None:
        raise KeyError("x")

    world.authenticator.verify = broken  # type: ignore[method-assign,assignment]  # the bug of this test
    client = world.connect("submissions")
    assert (await talk(client, b"", HELLO, plain("user@local.example")))[-1].startswith("454 4.7.0")
    assert len(world.journal.faults) == 1


async def test_a_bare_lf_is_refused_and_an_authenticated_client_may_go_on() -> None:
    world = await World().fill()
    client = await logged_in(world)
    await talk(client, MINE, b"RCPT TO:<other@local.example>\r\n", b"DATA\r\n")
    assert (await talk(client, HEADER + b"\r\nx\ny\r\n.\r\n"))[0].startswith("550 5.5.2")
    assert codes(await talk(client, b"NOOP\r\n")) == [250] and await world.mailbox("other") == []


async def test_the_login_deadline() -> None:
    world = await World().fill()
    client = world.connect("submissions")
    await talk(client, b"", HELLO)
    assert client.other.last_timeout_seconds == SubmissionSettings().login_timeout_seconds
    await talk(client, plain("user@local.example"))
    assert client.other.last_timeout_seconds == 300.0


class Watchful:
    """Refuses what has `stop` as its subject, gives the rest facts to be debited, and signs it."""

    def __init__(self) -> None:
        self.order: list[str] = []

    async def judge(self, submitted: Submitted) -> OutboundVerdict:
        self.order.append("judge")
        assert submitted.header.count(b"bcc") == 0 and str(submitted.authors[0]) == "user@local.example"
        subject = submitted.header.first(b"subject")
        if subject == b"stop":
            return OutboundVerdict(Refusal.of(550, "5.7.1", "Too much mail for today", "takeover", "rate"))
        sending = Sending(
            message_id=submitted.message_id,
            account_id=submitted.identity.account_id,
            credential_id=submitted.identity.credential_id,
            at_us=1,
        )
        return OutboundVerdict(outgoing=Outgoing(sending, locals=submitted.locals))

    def decided(self, submitted: Submitted, decision: Decision) -> None:
        self.order.append(decision.verdict.action if not decision.case_id else "held")

    async def sign(self, submitted: Submitted) -> bytes:
        self.order.append("sign")
        assert submitted.header.count(b"message-id") == 1
        assert (await submitted.content.read(0, 10_000)).startswith(b"Message-ID:")
        return b"DKIM-Signature: v=1\r\n"


async def test_judge_and_signer_stand_between_content_and_acceptance() -> None:
    watchful = Watchful()
    world = await World(judge=watchful, signer=watchful).fill()
    start = b"From: user@local.example\r\nDate: x\r\nBcc: y@z.example\r\n"
    assert (await submit(world, start + b"Subject: stop\r\n\r\nx", "a@elsewhere.example")).startswith(
        "550 5.7.1 Too much"
    )
    assert await world.store.spool.queue() == []
    assert (await submit(world, start + b"Subject: go\r\n\r\nx", "a@elsewhere.example")).startswith("250")
    assert len(world.jobs) == 1
    assert [f.name for f in HeaderSection(await queued(world)).fields][:3] == [
        b"received",
        b"dkim-signature",
        b"message-id",
    ]
    assert watchful.order == ["judge", "judge", "sign", "pass"]


async def test_what_a_case_holds_is_accepted_and_waits_here_and_elsewhere() -> None:
    watchful = Watchful()
    world = await World(judge=watchful, signer=watchful).fill()
    await world.store.guard.hold(
        world.accounts["user"].id, "password", "hold", Reason("test", 100, "A test.")
    )
    content = b"From: user@local.example\r\nDate: x\r\n\r\nx"
    answer = await submit(world, content, "a@elsewhere.example", "other@local.example")
    assert answer.startswith("250") and watchful.order[-1] == "held"
    (message,) = await world.store.spool.queue()
    assert [(str(row.recipient.address), row.state) for row in message.recipients] == [
        ("a@elsewhere.example", "held"),
        ("other@local.example", "held"),
    ]
    assert world.jobs == [] and await world.mailbox("other") == []


RESENT = (
    b"Resent-From: %s\r\nResent-Sender: %s\r\nReceived: by x; Tue, 24 Nov 2026 05:30:00 +0000\r\n"
    b"Resent-From: far@elsewhere.example\r\n"
)


@pytest.mark.parametrize(
    ("start", "code"),
    [
        (RESENT % (b"user@local.example", b"sales@local.example"), 250),
        (RESENT % (b"other@local.example", b"user@local.example"), 550),
        (RESENT % (b"user@local.example", b"x@elsewhere.example"), 550),
        (RESENT % (b"nobody", b"user@local.example"), 554),
        (b"Resent-Date: x\r\nX-Between: y\r\nResent-From: other@local.example\r\n", 550),
        (b"Resent-To: x@y.example\r\nReceived: z\r\nResent-Sender: other@local.example\r\n", 550),
        (b"Sender: sales@local.example\r\n", 250),
        (b"Sender: other@local.example\r\n", 550),
    ],
)
async def test_who_sends_for_somebody_must_own_that_name_too(start: bytes, code: int) -> None:
    world = await World().fill()
    assert (await submit(world, start + HEADER + b"\r\nx", "a@elsewhere.example")).startswith(str(code))


@pytest.mark.parametrize(
    ("granted", "sender", "code"),
    [
        ("other@local.example", "other@local.example", 250),
        ("other@local.example", "other+tag@local.example", 250),
        ("other@local.example", "held@local.example", 550),
        ("@caught.example", "anything@caught.example", 250),
        ("@caught.example", "other@local.example", 550),
        ("quiet@local.example", "quiet@local.example", 250),
    ],
)
async def test_an_operator_lets_send_in_other_names(granted: str, sender: str, code: int) -> None:
    world = await World().fill()
    await world.store.directory.grant_sender(world.accounts["user"].id, granted)
    content = f"From: {sender}\r\nDate: x\r\n\r\nx".encode()
    client = await logged_in(world)
    answer = (await talk(client, f"MAIL FROM:<{sender}>\r\n".encode()))[-1]
    assert answer.startswith(str(code))
    if code == 250:
        assert (await submit(world, content, "a@elsewhere.example")).startswith("250")


@pytest.mark.parametrize(
    ("sender", "code"),
    [("sales@local.example", 250), ("SALES@local.example", 250), ("user@local.example", 550)],
)
async def test_the_credential_of_a_program_sends_as_one_address_only(sender: str, code: int) -> None:
    world = await World().fill()
    world.authenticator.sender = Address.from_text("sales@local.example")
    client = await logged_in(world)
    answer = (await talk(client, f"MAIL FROM:<{sender}>\r\n".encode()))[-1]
    assert answer.startswith(str(code)) and (code == 250 or "this password is for that alone" in answer)
    content = f"From: {sender}\r\nDate: x\r\n\r\nx".encode()
    mail = b"MAIL FROM:<sales@local.example>\r\n"
    assert (await submit(world, content, "a@elsewhere.example", mail=mail)).startswith(str(code))


async def among_neighbours(separators: str) -> World:
    """`mary` with people, and an alias of somebody else's, whose names begin with hers and a separator."""
    world = await World().fill()
    directory = world.store.directory
    domain = await directory.domain("local.example")
    assert domain is not None
    await directory.change_domain(Domain("local.example", 0, subaddress_separators=separators))
    for name in ("mary", "mary-ann", "mary+ceo", "mary\u2260eve", "mary-gone", "José"):
        world.accounts[name] = await directory.add_account(Address(name, "local.example"), "x", "")
    await directory.set_state(world.accounts["mary-gone"].id, "deleted")
    await directory.put_alias(Alias("mary-board@local.example", ("other@local.example",)))
    await directory.put_alias(Alias("mary-quiet@local.example", ("mary@local.example",), may_send=False))
    return world


@pytest.mark.parametrize(
    ("separators", "owners"),
    [
        (
            "-",
            {
                "mary": "mary-x mary--x mary-x+y mary-ann+x mary-gone+x",
                "mary+ceo": "mary+ceo Mary+CEO-x",
                "": "mary+x mary=x",
            },
        ),
        (
            "+",
            {
                "mary": "mary+x mary+x-y mary++x mary+ceo-x",
                "mary+ceo": "mary+ceo+x",
                "": "mary-x mary-ann-x mary-board-x mary-gone-x",
            },
        ),
        (
            "+-",
            {
                "mary": "mary+x mary-x mary-+x mary+ann",
                "mary-ann": "mary-ann+x mary-ann-x+y",
                "": "mary-gone+x",
            },
        ),
        (
            "-+",
            {
                "mary": "mary+x mary-x mary-+x mary+ann",
                "mary-ann": "mary-ann+x mary-ann-x+y",
                "": "mary-gone+x",
            },
        ),
        ("=", {"mary": "mary=x", "mary\u2260eve": "mary=\u0338eve mary\u2260eve=x", "": "mary-x mary+x"}),
        ("", {"": "mary-x mary+x mary-ann-x"}),
    ],
)
async def test_the_first_name_that_somebody_has_decides(separators: str, owners: dict[str, str]) -> None:
    world = await among_neighbours(separators)
    always = {
        "mary": "mary MARY",
        "mary-ann": "mary-ann Mary-Ann",
        "mary+ceo": 'mary+ceo "mary+ceo"',
        "José": "jose\u0301 JOSÉ",
    }
    always |= {"other": "mary-board Mary-BOARD", "": "mary-quiet mary-gone -mary -- + -x"}
    rights = SenderRights(world.store.directory)
    for owner, names in (*always.items(), *owners.items()):
        for name in names.split():
            address = Address.from_text(f"{name}@local.example")
            may = {
                n
                for n, account in world.accounts.items()
                if n != "mary-gone" and await rights.may_send_as(account, address)
            }
            assert may == ({owner} if owner else set()), name
            if name != "mary-quiet":  # whose mail it is, his name it is
                assert [a.id for a in (await world.recipients.resolve(address)).accounts] == [
                    world.accounts[n].id for n in may
                ], name


@pytest.mark.parametrize("field", ["From", "Sender", "Resent-From", "Resent-Sender", "MAIL"])
async def test_no_field_takes_a_neighbours_name(field: str) -> None:
    world = await among_neighbours("-")
    if field == "MAIL":
        client = await logged_in(world, "mary@local.example")
        assert codes(
            await talk(
                client, b"MAIL FROM:<mary-ann@local.example>\r\n", b"MAIL FROM:<mary-x@local.example>\r\n"
            )
        ) == [550, 250]
        return
    start = "" if field == "From" else "From: mary@local.example\r\n"
    for name, code in (("mary-ann", 550), ("mary+ceo", 550), ("mary-x", 250)):
        content = f"{start}{field}: {name}@local.example\r\nDate: x\r\n\r\nx".encode()
        assert codes(
            [
                await submit(
                    world, content, mail=b"MAIL FROM:<mary@local.example>\r\n", name="mary@local.example"
                )
            ]
        ) == [code]


@pytest.mark.parametrize(
    "detail",
    [
        "<ceo@bank.example>",
        "ceo@bank.example",
        "x> <ceo@bank.example",
        "a, ceo@bank.example",
        "a b",
        "a;b",
        "a\\b",
        '"',
        "(x)",
        "=?utf-8?Q?=3Cceo=40bank.example=3E?=",
        "ceo%bank.example",
        "bank.example!ceo",
        "\uff1cceo\uff20bank.example\uff1e",
        "ceo\uff20bank.example",
        "a\u202eb",
    ],
)
async def test_a_detail_shows_nobody_elses_address(detail: str) -> None:
    world = await among_neighbours("+")
    directory, mary = world.store.directory, world.accounts["mary"]
    rights, address = SenderRights(directory), Address(f"mary+{detail}", "local.example")
    assert not await rights.may_send_as(mary, address)
    await directory.grant_sender(mary.id, "@local.example")
    assert not await rights.may_send_as(mary, address)
    await directory.grant_sender(mary.id, str(address.canonical))
    assert await rights.may_send_as(mary, address)


async def test_who_was_given_an_odd_address_sends_as_that() -> None:
    world = await among_neighbours("+")
    odd = Address("mary+a b", "local.example")
    account = await world.store.directory.add_account(odd, "x", "")
    assert await SenderRights(world.store.directory).may_send_as(account, odd)


async def test_what_was_granted_ends_where_somebody_elses_name_begins() -> None:
    world = await among_neighbours("-+")
    directory, mary = world.store.directory, world.accounts["mary"]
    await directory.add_account(Address.from_text("chair-anne@local.example"), "x", "")
    rights = SenderRights(directory)
    await directory.grant_sender(mary.id, "chair@local.example")
    for sender, may in (("chair", True), ("chair-x", True), ("chair-anne", False), ("chair-anne+x", False)):
        assert await rights.may_send_as(mary, Address.from_text(f"{sender}@local.example")) == may
