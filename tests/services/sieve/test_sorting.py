"""Scripts of recipients: where copies go, what goes on, who is answered, and that nothing is lost."""

from dataclasses import dataclass

import pytest
from tests.services.sieve_kit import activate, sieve_service
from tests.services.smtp_world import World

from sekisho.config.sieve import SieveSettings
from sekisho.core.message.header import HeaderSection
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient, Voucher
from sekisho.core.terms.reply import Reply
from sekisho.ports.mailstore import FLAGGED, SEEN
from sekisho.ports.spool import Acceptance
from sekisho.services.sieve.service import SieveService
from sekisho.services.sieve.sorting import Offered
from sekisho.services.smtp.acceptance import Destination, RelayTerms, deliveries_of, relays_of

MESSAGE = (
    b"From: anne@b.example\r\nTo: user@local.example\r\nSubject: Hello\r\nMessage-ID: "
    b"<1@b.example>\r\n\r\nText.\r\n"
)
VACATION = 'require "vacation"; vacation "I am away.";'


@dataclass
class Post:
    """Takes messages as reception does."""

    world: World
    sieve: SieveService
    number: int = 0

    async def bring(
        self,
        *recipients: str,
        content: bytes = MESSAGE,
        sender: str = "anne@b.example",
        vouched: Voucher = "spf",
        is_junk: bool = False,
    ) -> Reply | None:
        """None: taken."""
        self.number += 1
        id_ = f"{self.number:029x}"
        path = ReversePath(Address.from_text(sender) if sender else None)
        destinations = []
        for text in recipients:
            found = await self.world.recipients.resolve(Address.from_text(text))
            destinations.append(
                Destination(
                    Recipient(Address.from_text(text)), tuple(a.id for a in found.accounts), found.remotes
                )
            )
        envelope = Envelope(
            reverse_path=path, recipients=tuple(one.recipient for one in destinations), vouched=vouched
        )
        writer = self.world.store.spool.open_content()
        writer.write(content)
        prefix = f"Return-Path: <{path}>\r\n".encode()
        offered = Offered(
            message_id=id_,
            envelope=envelope,
            destinations=destinations,
            header=HeaderSection(content),
            content=writer,
            deliveries=deliveries_of(id_, destinations, prefix, is_junk=is_junk),
        )
        sorted_ = await self.sieve.sort(offered)
        if sorted_.refusal is not None:
            return sorted_.refusal
        relays = relays_of(sorted_.destinations, RelayTerms(self.world.clock.now_us(), 1000, {}))
        await self.world.store.spool.accept(
            Acceptance(
                message_id=id_,
                envelope=envelope,
                content=writer,
                prefix=b"",
                deliveries=sorted_.deliveries,
                relays=relays,
            )
        )
        await self.sieve.follow(offered, sorted_)
        assert self.world.journal.faults == []
        return None

    async def sent(self) -> list[tuple[str, str, bytes]]:
        """(reverse path, recipient, octets) of all that waits to leave."""
        found = []
        for queued in await self.world.store.spool.queue():
            octets = await self.world.store.spool.open_queued(queued.message_id)
            assert octets is not None
            text = await octets.read(0, octets.size_octets)
            found += [
                (str(queued.envelope.reverse_path), str(row.recipient.address), text)
                for row in queued.recipients
            ]
        return found


@pytest.fixture
async def post() -> Post:
    world = await World().fill()
    return Post(world, sieve_service(world))


async def test_without_a_script_all_is_as_before(post: Post) -> None:
    await post.bring("user@local.example", "other@local.example")
    assert [len(await post.world.mailbox(name)) for name in ("user", "other")] == [1, 1]


async def test_a_script_files_and_flags(post: Post) -> None:
    script = 'require ["fileinto", "imap4flags", "mailbox", "copy"]; addflag ["\\\\Seen", "work"]; '
    script += 'fileinto :create :copy "Lists/a"; keep :flags "\\\\Flagged";'
    await activate(post.world, "user", script)
    await post.bring("user@local.example", "other@local.example")
    mail, account_id = post.world.store.mail, post.world.accounts["user"].id
    flags = {}
    for name in ("INBOX", "Lists/a"):
        view = await mail.view(account_id, name, claim_recent=False)
        flags[name] = [(row.flags, row.keywords) for row in await mail.flag_rows(view.info.id, view.uids)]
    assert flags == {"INBOX": [(FLAGGED, ())], "Lists/a": [(SEEN, ("work",))]}
    assert len(await post.world.mailbox("other")) == 1


async def test_a_use_of_a_mailbox_goes_before_its_name(post: Post) -> None:
    await activate(
        post.world, "user", 'require ["fileinto", "special-use"]; fileinto :specialuse "\\\\junk" "No such";'
    )
    await post.bring("user@local.example")
    assert len(await post.world.mailbox("user", "Junk")) == 1


async def test_what_is_discarded_is_nowhere(post: Post) -> None:
    await activate(post.world, "user", "discard;")
    assert await post.bring("user@local.example") is None
    assert await post.world.mailbox("user") == [] and await post.sent() == []


@pytest.mark.parametrize(
    "script", ['require "variables"; redirect "${x}";', 'require "include"; include "gone";', "broken"]
)
async def test_a_failing_script_keeps_and_its_owner_is_told_once(post: Post, script: str) -> None:
    await activate(post.world, "user", script)
    await post.bring("user@local.example")
    await post.bring("user@local.example")
    first, letter, second = await post.world.mailbox("user")
    assert b"Subject: Hello" in first and b"Subject: Hello" in second
    assert b"Subject: Your Sieve script failed" in letter
    assert [entry.kind for entry in post.world.journal.entries] == ["sieve.failed", "sieve.failed"]


async def test_scripts_include_others_of_their_account(post: Post) -> None:
    await activate(post.world, "user", 'require "include"; include "inner";', inner="discard;")
    await post.bring("user@local.example")
    assert await post.world.mailbox("user") == []


# --- redirect


async def test_a_redirect_is_a_queue_row_with_the_same_sender(post: Post) -> None:
    await activate(post.world, "user", 'redirect "friend@elsewhere.example";')
    await post.bring("user@local.example")
    ((path, to, octets),) = await post.sent()
    assert (path, to) == ("anne@b.example", "friend@elsewhere.example") and octets == MESSAGE
    assert await post.world.mailbox("user") == []


async def test_a_null_path_stays_null(post: Post) -> None:
    await activate(post.world, "user", 'redirect "friend@elsewhere.example";')
    await post.bring("user@local.example", sender="")
    assert [path for path, _, _ in await post.sent()] == [""]


async def test_a_message_that_comes_back_is_kept(post: Post) -> None:
    """THREATS 34"""
    await activate(post.world, "user", 'redirect "friend@elsewhere.example";')
    await post.bring("user@local.example")
    await post.bring("user@local.example", content=b"Received: from elsewhere\r\n" + MESSAGE)
    assert len(await post.sent()) == 1 and len(await post.world.mailbox("user")) == 1


@pytest.mark.parametrize(
    "target", ["user@local.example", "user+x@local.example", "both@local.example", "nobody@local.example"]
)
async def test_no_redirect_to_oneself_or_to_nobody(post: Post, target: str) -> None:
    await activate(post.world, "user", f'redirect "{target}";')
    await post.bring("user@local.example")
    assert len(await post.world.mailbox("user")) == 1 and await post.sent() == []


async def test_a_redirect_to_a_neighbour_lies_there(post: Post) -> None:
    await activate(post.world, "user", 'redirect "other@local.example";')
    await post.bring("user@local.example")
    assert [len(await post.world.mailbox(name)) for name in ("user", "other")] == [
        0,
        1,
    ] and await post.sent() == []


async def test_too_many_redirects_a_day_stay_here() -> None:
    world = await World().fill()
    post = Post(world, sieve_service(world, SieveSettings(redirects_per_day=2)))
    await activate(world, "user", 'redirect "friend@elsewhere.example";')
    for number in range(4):
        await post.bring("user@local.example", content=MESSAGE.replace(b"<1@", b"<%d@" % (number + 10)))
    assert len(await post.sent()) == 2 and len(await world.mailbox("user")) == 2


# --- refusals


async def test_a_refusal_is_said_if_it_is_everybodys(post: Post) -> None:
    for name in ("user", "other"):
        await activate(post.world, name, f'require "ereject"; ereject "Not to\n{name}.";')
    assert await post.bring("user@local.example") == Reply.of(550, "5.7.1", "Not to user.")
    assert await post.bring("user@local.example", "other@local.example") == Reply.of(
        550, "5.7.1", "Not to user."
    )
    assert await post.world.mailbox("user") == []


async def test_a_refusal_of_some_is_a_copy(post: Post) -> None:
    await activate(post.world, "user", 'require "reject"; reject "いりません";')
    assert await post.bring("user@local.example", "other@local.example") is None
    assert await post.bring("user@local.example", "away@local.example") is None
    assert [len(await post.world.mailbox(name)) for name in ("user", "other")] == [2, 1]
    assert await post.bring("user@local.example") == Reply.of(
        550, "5.7.1", "The recipient refuses this message"
    )


# --- answers


async def test_an_answer_goes_out_once_in_a_while(post: Post) -> None:
    await activate(post.world, "user", VACATION)
    await post.bring("user@local.example")
    await post.bring("user@local.example")
    ((path, to, octets),) = await post.sent()
    assert (path, to) == ("", "anne@b.example")
    header = HeaderSection(octets)
    assert (
        header.first(b"auto-submitted") == b"auto-replied (vacation)"
        and header.first(b"from") == b"<user@local.example>"
    )
    post.world.clock.advance(7 * 86_400 + 1)
    await post.bring("user@local.example")
    assert len(await post.sent()) == 2 and len(await post.world.mailbox("user")) == 3


@pytest.mark.parametrize(
    ("sender", "vouched"), [("", "spf"), ("anne@b.example", ""), ("mailer-daemon@b.example", "dkim")]
)
async def test_nobody_is_answered_who_may_not_have_written(post: Post, sender: str, vouched: Voucher) -> None:
    """THREATS 34"""
    await activate(post.world, "user", VACATION)
    await post.bring("user@local.example", sender=sender, vouched=vouched)
    assert await post.sent() == [] and len(await post.world.mailbox("user")) == 1


async def test_two_people_do_not_answer_each_other_for_ever(post: Post) -> None:
    """THREATS 34"""
    for name in ("user", "other"):
        await activate(
            post.world, name, 'require ["vacation", "vacation-seconds"]; vacation :seconds 0 "I am away.";'
        )
    content = MESSAGE.replace(b"anne@b.example", b"other@local.example")
    await post.bring("user@local.example", content=content, sender="other@local.example")
    (answer,) = await post.world.mailbox("other")
    await post.bring("other@local.example", content=answer, sender="")
    assert len(await post.world.mailbox("user")) == 1 and len(await post.world.mailbox("other")) == 2


async def test_an_answer_comes_from_its_owner(post: Post) -> None:
    await activate(
        post.world, "user", 'require "vacation"; vacation :from "The Boss <boss@bank.example>" "Pay.";'
    )
    await post.bring("user@local.example")
    ((_, _, octets),) = await post.sent()
    assert HeaderSection(octets).first(b"from") == b"<user@local.example>"


async def test_a_notice_tells_of_a_message(post: Post) -> None:
    await activate(post.world, "user", 'require "enotify"; notify "mailto:phone@elsewhere.example";')
    await post.bring("user@local.example")
    ((path, to, octets),) = await post.sent()
    assert (path, to) == ("", "phone@elsewhere.example")
    assert (HeaderSection(octets).first(b"auto-submitted") or b"").startswith(b"auto-notified")


# --- what scripts see


async def test_duplicates_are_known(post: Post) -> None:
    await activate(post.world, "user", 'require "duplicate"; if duplicate :seconds 60 { discard; }')
    await post.bring("user@local.example")
    await post.bring("user@local.example")
    assert len(await post.world.mailbox("user")) == 1
    post.world.clock.advance(61)
    await post.bring("user@local.example")
    assert len(await post.world.mailbox("user")) == 2


async def test_a_script_sees_mailboxes_the_body_and_the_envelope(post: Post) -> None:
    tests = (
        'mailboxexists "inbox"',
        'not mailboxexists "x"',
        'specialuse_exists "\\\\Sent"',
        'body :contains "text."',
        'envelope :detail "to" "tag"',
        'header :contains "return-path" "anne"',
        'environment "remote-ip" "192.0.2.7"',
    )
    requires = 'require ["mailbox", "special-use", "body", "envelope", "subaddress", "environment"];'
    await activate(post.world, "user", f"{requires} if allof ({', '.join(tests[:-1])}) {{ discard; }}")
    await post.bring("user+tag@local.example")
    assert await post.world.mailbox("user") == []


async def test_junk_is_shown_to_no_script(post: Post) -> None:
    await activate(post.world, "user", VACATION + ' redirect "friend@elsewhere.example";')
    await post.bring("user@local.example", is_junk=True)
    assert await post.sent() == [] and len(await post.world.mailbox("user", "Junk")) == 1


async def test_scripts_can_be_switched_off() -> None:
    world = await World().fill()
    post = Post(world, sieve_service(world, SieveSettings(enabled=False)))
    await activate(world, "user", "discard;")
    await post.bring("user@local.example")
    assert len(await world.mailbox("user")) == 1


async def test_an_account_cannot_use_up_the_worker(post: Post) -> None:
    """THREATS 33"""
    keys = ", ".join(f'"{"a" * 90}{number}"' for number in range(400))
    await activate(
        post.world, "user", f'require "body"; if body :raw :contains [{keys}] {{ stop; }} discard;'
    )
    content = MESSAGE + b"a" * 200_000
    for _ in range(30):
        await post.bring("user@local.example", content=content)
    errors = {str(entry.fields["error"]) for entry in post.world.journal.entries}
    assert any("per minute" in error for error in errors) and len(await post.world.mailbox("user")) == 31
