"""What `why` answers: one story per message, connection or login, told by the rule that spoke, followed along
to its end."""

import typing
from typing import Any

import pytest
from tests.stores.opened import OpenStore

from sekisho.adapters.stores.memory.ledger import MemoryLedger
from sekisho.admin.context import AdminRefused, Context
from sekisho.admin.operations import OPERATIONS
from sekisho.admin.queue import ListQueue, MessageRequest, list_queue, show_queued
from sekisho.admin.why.question import Why, WhyAnswer, question_key, why
from sekisho.admin.why.sentences import LOGIN_CAUSES, OBSTACLES, RULES, STATUSES
from sekisho.admin.why.story import Sentence, Story
from sekisho.config.schema import RoleOwners
from sekisho.core.policy.shaping.explaining import meaning_in
from sekisho.core.policy.takeover.signals import Reason
from sekisho.core.policy.takeover.wording import because_in, reasons_told
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.records import by_position
from sekisho.core.terms.reply import Cause, Reply
from sekisho.faces.i18n.catalogue import catalogue
from sekisho.ports.directory import Domain
from sekisho.ports.journal import Entry
from sekisho.ports.leases import Owner
from sekisho.ports.spool import Acceptance, Outcome, RelayRecipient
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.testing.records import MemoryJournal

OWNER = Owner("host", 0, 1)


class Scene:
    def __init__(self) -> None:
        self.clock = ManualClock()
        self.ledger = MemoryLedger(self.clock)
        self.store = OpenStore(self.clock, SeededDice())
        roles = RoleOwners(postmaster="taro@example.org", abuse="taro@example.org")
        stores = (self.store.directory, self.store.spool, self.store.keys)
        self.context = by_position(Context, *stores, MemoryJournal(), self.clock, roles, "uid:0", self.ledger)

    def note(self, kind: str, id_: str = "", *about: str, **fields: Any) -> None:
        self.clock.advance(1)
        self.ledger.keep(self.clock.now_us(), Entry(kind, id_, fields, about))

    async def ask(self, subject: str, **how: Any) -> WhyAnswer:
        return await why(self.context, Why(subject, **how))

    async def story(self, subject: str) -> Story:
        (story,) = (await self.ask(subject)).stories
        return story

    def accepted(self, id_: str = "m1", *recipients: str, **fields: Any) -> None:
        to = recipients or ("c@example.org",)
        about = ("x@b.example", "a@b.example", *to, "k3q7w2ma")
        known = {
            "client": "192.0.2.1",
            "reverse_path": "a@b.example",
            "recipient": " ".join(to),
            "recipients": len(to),
            "session": "k3q7w2ma",
        }
        self.note("reception.accepted", id_, *about, **(known | fields))

    def attempt(
        self,
        recipient: str,
        result: str,
        reply: str,
        id_: str = "m1",
        attempt: int = 1,
        cause: str = "answered",
    ) -> None:
        remote = (
            "mx.far.example [192.0.2.9]"
            if cause in ("answered", "no-connection", "silent", "broken", "tls")
            else ""
        )
        fields = {
            "recipient": recipient,
            "result": result,
            "reply": reply,
            "remote": remote,
            "attempt": attempt,
            "cause": cause,
        }
        self.note("relay.attempt", id_, recipient, reverse_path="a@b.example", **fields)

    async def queue(self, *addresses: str, held: bool = False) -> None:
        content = self.store.spool.open_content()
        content.write(b"\r\nx")
        rows = tuple(
            RelayRecipient(
                recipient=Recipient(Address.from_text(a)),
                next_hop="far.example",
                due_at_us=self.clock.now_us(),
                expires_at_us=self.clock.now_us() + 10**12,
                held=held,
            )
            for a in addresses
        )
        envelope = Envelope(
            reverse_path=ReversePath(Address.from_text("a@b.example")),
            recipients=tuple(row.recipient for row in rows),
        )
        await self.store.spool.accept(
            Acceptance(
                message_id="m1",
                envelope=envelope,
                content=content,
                prefix=b"",
                deliveries=(),
                relays=rows,
                origin="reception",
            )
        )


@pytest.fixture
def scene() -> Scene:
    return Scene()


def said(sentence: Sentence | None, language: Any = "en") -> str:
    assert sentence is not None
    return catalogue(language)(sentence.text, **sentence.values)


async def test_the_rule_is_not_said_twice(scene: Scene) -> None:
    fields = {
        "rule": "dnsbl-listed",
        "because": "dnsbl-listed: bl.example says spam source (weight 1)",
        "reply": "550 5.7.1 listed",
    }
    scene.note(
        "reception.refused",
        "m1",
        "a@b.example",
        client="192.0.2.1",
        reverse_path="a@b.example",
        recipient="c@example.org",
        **fields,
    )
    story = await scene.story("m1")
    assert (
        said(story.why)
        == "several blocklists list where it came from: bl.example says spam source (weight 1)."
    )


async def test_what_was_put_off_and_came_again_is_here(scene: Scene) -> None:
    common = {
        "client": "192.0.2.1",
        "reverse_path": "a@b.example",
        "recipient": "c@example.org",
        "message_id": "x@b.example",
    }
    scene.note(
        "reception.evidence", "m1", verdict="defer", rule="greylist", because="no name; this is its first try"
    )
    scene.note(
        "reception.refused", "m1", "x@b.example", "a@b.example", reply="451 4.7.1 later", rule="", **common
    )
    assert "was deferred on" in said((await scene.story("m1")).what) and "release m1" in said(
        (await scene.story("m1")).remedy
    )
    scene.note("reception.accepted", "other", "x@b.example", **(common | {"reverse_path": "z@b.example"}))
    assert "accepted" not in said((await scene.story("m1")).what)
    scene.accepted("m2", message_id="x@b.example", delivered=1)
    story = await scene.story("m1")
    assert (
        said(story.what).endswith(", as m2")
        and said(story.remedy) == "Nothing: the message has arrived. For what became of it: sekisho why m2."
    )
    assert "m2" in said(story.what, "ja") and "the sender is unknown here" in said(story.why)


async def test_a_refused_recipient(scene: Scene) -> None:
    fields = {
        "client": "192.0.2.1",
        "reverse_path": "a@b.example",
        "recipient": "no@example.org",
        "rule": "no-such-recipient",
    }
    scene.note(
        "reception.recipient_refused",
        "k3q7w2ma-1",
        "no@example.org",
        "a@b.example",
        reply="550 5.1.1 No",
        **fields,
    )
    for subject in ("k3q7w2ma-1", "No@Example.ORG", "a@b.example", "<a@b.example>"):
        story = await scene.story(subject)
        assert (story.id, story.verdict) == ("k3q7w2ma-1", "refused")
        assert said(story.what).startswith("The recipient no@example.org was refused on ")
        assert said(story.why) == "there is no account and no alias of that name here."
        assert "sekisho account add no@example.org" in said(story.remedy)
        assert "no@example.org" in said(story.what, "ja") and "断りました" in said(story.what, "ja")
    assert story.entries[0].fields["reply"] == "550 5.1.1 No"


async def test_a_refused_message_is_told_by_the_rule_of_its_evidence(scene: Scene) -> None:
    scene.note(
        "reception.evidence",
        "m1",
        verdict="refuse",
        rule="dmarc-reject",
        author_domain="b.example",
        dmarc="fail",
    )
    fields = {
        "client": "192.0.2.1",
        "reverse_path": "a@b.example",
        "recipient": "c@example.org",
        "reply": "550 5.7.1 DMARC",
        "rule": "",
    }
    scene.note("reception.refused", "m1", "x@b.example", "a@b.example", "c@example.org", **fields)
    story = await scene.story("<x@b.example>")
    assert story.verdict == "refused" and [entry.kind for entry in story.entries] == [
        "reception.evidence",
        "reception.refused",
    ]
    assert "b.example, which asks that such mail be rejected" in said(story.why)


@pytest.mark.parametrize(
    ("reply", "verdict", "why"),
    [
        ("552 5.3.4 The message is too large", "refused", "larger than this server accepts"),
        ("550 5.5.2 Bare CR or LF received", "refused", "CRLF"),
        ("452 4.3.1 The message cannot be stored at the moment", "deferred", "not enough room"),
        ("550 5.9.9 Something new", "refused", "550 5.9.9 Something new"),
        ("nonsense", "refused", "nonsense"),
    ],
)
async def test_without_a_rule_the_status_tells(scene: Scene, reply: str, verdict: str, why: str) -> None:
    scene.note(
        "reception.refused", "k3q7w2ma", client="192.0.2.1", reverse_path="", rule="content", reply=reply
    )
    story = await scene.story("k3q7w2ma")
    assert story.verdict == verdict and why in said(story.why) and "from <> to ?" in said(story.what)


async def test_a_delivered_message_and_one_in_junk(scene: Scene) -> None:
    scene.accepted("m1", delivered=1)
    assert said((await scene.story("m1")).what).startswith(
        "The message from a@b.example to c@example.org was put into the mailbox on "
    )
    scene.note("reception.evidence", "m2", verdict="junk", rule="dmarc-quarantine", author_domain="b.example")
    scene.accepted("m2", delivered=1)
    story = await scene.story("m2")
    assert story.verdict == "junk" and "be quarantined" in said(story.why)
    scene.accepted("m3", delivered=1, over_quota=1)
    assert said((await scene.story("m3")).why) == "the mailbox is full."


async def test_a_message_is_followed_through_the_queue(scene: Scene) -> None:
    scene.accepted("m1", "c@far.example", relayed=1)
    assert (await scene.story("m1")).verdict == "accepted"
    await scene.queue("c@far.example")
    story = await scene.story("c@far.example")
    assert story.verdict == "waiting" and "waits for its first attempt" in said(story.what)
    (job,) = await scene.store.spool.claim(OWNER, 1)
    assert "is being delivered right now" in said((await scene.story("m1")).what)
    scene.attempt("c@far.example", "deferred", "450 4.2.0 Greylisted")
    later = scene.clock.now_us() + 600_000_000
    outcome = Outcome(
        recipient_id=job.recipients[0].id,
        result="deferred",
        reply=Reply.of(450, "4.2.0", "Greylisted"),
        retry_at_us=later,
    )
    await scene.store.spool.settle(job, (outcome,))
    story = await scene.story("m1")
    assert said(story.why) == (
        "mx.far.example [192.0.2.9] answered: 450 4.2.0 Greylisted – "
        "The other server lets strangers come twice (greylisting)."
    )
    assert story.what.values["due"] == later and "sekisho queue retry m1" in said(story.remedy)
    await scene.store.spool.hold("m1", True)
    assert "sekisho queue release m1" in said((await scene.story("m1")).remedy)
    await scene.store.spool.drop("m1")
    scene.note("admin.queue.drop", "m1", actor="uid:0")
    assert "removed from the queue by an operator" in said((await scene.story("m1")).what)


async def test_how_deliveries_end(scene: Scene) -> None:
    scene.accepted("m1", "c@far.example", "d@far.example", "e@far.example", relayed=3)
    scene.attempt("c@far.example", "delivered", "250 2.0.0 OK")
    story = await scene.story("m1")
    assert (story.verdict, story.remedy) == (
        "delivered",
        None,
    ) and "was delivered to mx.far.example [192.0.2.9]" in said(story.what)
    scene.attempt("d@far.example", "deferred", "451 4.4.1 No", attempt=9)
    scene.note("queue.expired", "m1", recipient="d@far.example")
    story = await scene.story("m1")
    assert said(
        story.why
    ) == "mx.far.example [192.0.2.9] answered: 451 4.4.1 No" and "was given up on" in said(story.what)
    scene.attempt("e@far.example", "failed", "550 5.1.1 Who?")
    scene.note("notice.composed", "m1", "n1", action="failed", notice="n1")
    story = await scene.story("m1")
    assert story.verdict == "failed" and "to e@far.example could not be delivered" in said(story.what)
    assert [(one.address, one.state) for one in story.recipients] == [
        ("c@far.example", "delivered"),
        ("d@far.example", "expired"),
        ("e@far.example", "failed"),
    ]
    assert (await scene.story("n1")).id == "m1"


async def test_what_nobody_was_told_says_so(scene: Scene) -> None:
    because = "neither SPF nor DKIM authenticates b.example"
    for id_, *ends in (("m1", "failed", "550 5.1.1 Who?"), ("m2", "deferred", "451 4.4.1 No")):
        scene.accepted(id_, "c@far.example", relayed=1)
        scene.note(
            "relay.attempt",
            id_,
            recipient="c@far.example",
            result=ends[0],
            reply=ends[1],
            remote="mx.far.example",
            attempt=1,
        )
    scene.note("queue.expired", "m2", recipient="c@far.example")
    scene.accepted("m3", delivered=1, over_quota=1)
    for id_ in ("m1", "m2", "m3"):
        assert "Nobody was told" not in said((await scene.story(id_)).remedy)
        scene.note(
            "notice.withheld",
            id_,
            action="failed",
            reverse_path="a@b.example",
            recipient="c@far.example",
            because=because,
        )
        story = await scene.story(id_)
        assert said(story.remedy).startswith(
            f"Nobody was told: {because}; if a@b.example is forged"
        ) and "got a notice" not in said(story.remedy)


@pytest.mark.parametrize("refused", [False, True])
@pytest.mark.parametrize(
    ("because", "why"),
    [
        ("program: a.exe", "it has an attachment that acts when it is opened: program: a.exe."),
        (
            "program: a.exe, broken structure: x",
            "it has an attachment that acts when it is opened: program: a.exe, broken structure: x.",
        ),
        ("broken structure: a multipart without a boundary", "its structure is ambiguous"),
    ],
)
async def test_what_cannot_be_taken_apart_is_told_in_its_own_words(
    scene: Scene, because: str, why: str, refused: bool
) -> None:
    scene.note(
        "reception.evidence",
        "m1",
        verdict="refuse" if refused else "junk",
        rule="dangerous-attachment",
        because=because,
    )
    if refused:
        scene.note(
            "reception.refused",
            "m1",
            reverse_path="a@b.example",
            because=f"dangerous-attachment: {because}",
            reply="550 5.7.1 No",
        )
    else:
        scene.accepted("m1", delivered=1)
    story = await scene.story("m1")
    assert said(story.why).startswith(why) and because in said(story.why)


@pytest.mark.parametrize("result", ["deferred", "failed", "expired"])
@pytest.mark.parametrize("cause", [*OBSTACLES, None])
async def test_nobody_answered_who_was_not_heard(scene: Scene, cause: str | None, result: str) -> None:
    """Each cause that the relay knows has its sentence; one that an older ledger does not name is not
    invented."""
    scene.accepted("m1", "c@far.example", relayed=1)
    scene.attempt(
        "c@far.example", "failed" if result == "failed" else "deferred", "451 4.4.1 Words", cause=cause or ""
    )
    if result == "expired":
        scene.note("queue.expired", "m1", recipient="c@far.example")
    why = said((await scene.story("m1")).why)
    assert "451 4.4.1 Words" in why and (" answered: " in why) == (cause == "answered")
    assert said((await scene.story("m1")).why, "ja") != why
    assert ("ask its postmaster" in said((await scene.story("m1")).remedy)) == (
        result == "failed" and cause in ("answered", "", None)
    )


def test_every_cause_has_a_sentence() -> None:
    assert set(OBSTACLES) == set(typing.get_args(Cause)) and len(
        {wording.why for wording in OBSTACLES.values()}
    ) == len(OBSTACLES)


async def test_the_next_attempt_is_when_the_next_hop_has_rested(scene: Scene) -> None:
    """What is due for a next hop that rests is not tried before: no time in the past is promised."""
    scene.accepted("m1", "c@far.example", relayed=1)
    await scene.queue("c@far.example")
    (job,) = await scene.store.spool.claim(OWNER, 1)
    due, rested = scene.clock.now_us() + 1_000_000, scene.clock.now_us() + 900_000_000
    outcome = Outcome(
        recipient_id=job.recipients[0].id,
        result="deferred",
        reply=Reply.of(451, "4.4.1", "No"),
        retry_at_us=due,
    )
    await scene.store.spool.settle(job, (outcome,), not_before_us=rested)
    scene.clock.advance(10)
    assert (await scene.story("m1")).what.values["due"] == rested
    (listed,) = await list_queue(scene.context, ListQueue())
    assert [row.due_at_us for row in listed.recipients] == [rested]
    assert (await show_queued(scene.context, MessageRequest("m1"))).recipients[0].due_at_us == rested
    await scene.store.spool.hold("m1", True)
    assert (await show_queued(scene.context, MessageRequest("m1"))).recipients[0].due_at_us == 0


async def test_what_the_queue_heard_after_the_ledger(scene: Scene) -> None:
    """A reply that the ledger does not have yet is not put into the mouth of whoever spoke before."""
    scene.accepted("m1", "c@far.example", relayed=1)
    await scene.queue("c@far.example")
    scene.attempt("c@far.example", "deferred", "450 4.2.0 Greylisted")
    (job,) = await scene.store.spool.claim(OWNER, 1)
    reply = Reply.of(451, "4.4.1", "Cannot connect", cause="no-connection")
    await scene.store.spool.settle(
        job,
        (
            Outcome(
                recipient_id=job.recipients[0].id,
                result="deferred",
                reply=reply,
                retry_at_us=scene.clock.now_us() + 1,
            ),
        ),
    )
    assert said((await scene.story("m1")).why) == "the last attempt ended with: 451 4.4.1 Cannot connect"


async def test_many_recipients_are_not_all_named(scene: Scene) -> None:
    scene.accepted("m1", *(f"{number}@example.org" for number in range(5)), delivered=5)
    assert "to 0@example.org, 1@example.org, 2@example.org (+2) was" in said(
        (await scene.story("4@example.org")).what
    )


async def test_a_message_whose_beginning_is_gone(scene: Scene) -> None:
    scene.note("notice.lost", "m1", recipients="a@b.example", reason="full")
    assert "the ledger does not have its beginning" in said((await scene.story("m1")).what)


async def test_a_session_tells_all_that_happened_in_it(scene: Scene) -> None:
    fields = {
        "client": "192.0.2.1",
        "reverse_path": "a@b.example",
        "recipient": "no@example.org",
        "rule": "relay-denied",
    }
    scene.note(
        "reception.recipient_refused",
        "k3q7w2ma-1",
        "no@example.org",
        "k3q7w2ma",
        reply="550 5.7.1 No",
        **fields,
    )
    scene.accepted("m1", delivered=1)
    scene.note(
        "reception.connection",
        "k3q7w2ma",
        "192.0.2.1",
        client="192.0.2.1",
        hello="b.example",
        accepted=1,
        refused=0,
        reason="quit",
    )
    assert [story.id for story in (await scene.ask("192.0.2.1")).stories] == ["k3q7w2ma"]
    stories = (await scene.ask("k3q7w2ma")).stories
    assert [story.id for story in stories] == ["k3q7w2ma", "m1", "k3q7w2ma-1"]
    assert said(stories[0].why) == "1 messages were accepted, 0 refused; it ended with: quit."


async def test_a_limit_of_the_session_outranks_its_end(scene: Scene) -> None:
    fields = {
        "client": "192.0.2.1",
        "command": "MAIL",
        "argument": "",
        "reply": "552 5.3.4 The message is larger than 5 octets",
    }
    scene.note("reception.command_refused", "k3q7w2ma", "192.0.2.1", **fields)
    scene.note(
        "reception.connection", "k3q7w2ma", "192.0.2.1", client="192.0.2.1", hello="b.example", reason="quit"
    )
    story = await scene.story("k3q7w2ma")
    assert story.verdict == "refused" and "larger than this server accepts" in said(story.why)


@pytest.mark.parametrize("cause", [*LOGIN_CAUSES, "wrong password, again", "account suspended"])
async def test_logins_are_counted(scene: Scene, cause: str) -> None:
    fields = {"username": "taro@example.org", "client": "192.0.2.1", "service": "imap"}
    for _ in range(3):
        scene.note("authentication.refused", "", "192.0.2.1", "taro@example.org", cause=cause, **fields)
    scene.note("authentication.accepted", "", "192.0.2.1", "taro@example.org", **fields)
    refused, accepted = (await scene.ask("taro@example.org")).stories
    assert (refused.times, refused.verdict, accepted.times) == (3, "refused", 1)
    assert "taro@example.org logged in from 192.0.2.1 (imap)" in said(accepted.what)
    wording = LOGIN_CAUSES.get(cause.removesuffix(", again"))
    assert said(refused.why) == (wording.why.format(**fields) if wording else "account suspended.")


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("token without the scope", "the token is not valid (token without the scope)."),
        ("issuer unavailable: HTTP 500", "could not be asked (issuer unavailable: HTTP 500)."),
    ],
)
async def test_tokens_by_their_kind_of_fault(scene: Scene, cause: str, words: str) -> None:
    scene.note(
        "authentication.refused",
        "",
        "192.0.2.1",
        cause=cause,
        username="",
        client="192.0.2.1",
        service="imap",
    )
    (story,) = (await scene.ask("192.0.2.1")).stories
    assert words in said(story.why) and said(story.why, "ja") != said(story.why)


async def test_what_an_operator_holds_of_an_account(scene: Scene) -> None:
    scene.note(
        "submission.accepted",
        "m1",
        "t@example.org",
        account="t@example.org",
        recipient="a@far.example",
        rule="sending-held",
    )
    await scene.queue("a@far.example", held=True)
    story = await scene.story("m1")
    assert said(story.what).startswith("The message of t@example.org to a@far.example is held")
    assert "an operator holds all" in said(story.why) and "sekisho guard release t@example.org" in said(
        story.remedy
    )


@pytest.mark.parametrize(
    ("kind", "fields", "words"),
    [
        ("listener.refused", {"listener": "smtp", "cap": "per_ip"}, "too many connections"),
        (
            "submission.command_refused",
            {"command": "AUTH", "reply": "535 5.7.8 Wrong"},
            "or the password is wrong",
        ),
        ("submission.command_refused", {"command": "MAIL", "reply": "421 4.7.0 Too much"}, "reached a limit"),
        (
            "submission.recipient_refused",
            {"account": "t@example.org", "rule": "not-qualified", "reply": "554 5.1.2 No"},
            "no dot",
        ),
        (
            "submission.recipient_refused",
            {"account": "t@example.org", "rule": "mailbox-full", "reply": "452 4.2.2 No"},
            "full",
        ),
        ("reception.recipient_refused", {"rule": "mailbox-full", "reply": "452 4.2.2 No"}, "full"),
        (
            "submission.refused",
            {"account": "t@example.org", "rule": "sending-held", "reply": "550 5.7.1 No"},
            "an operator holds all mail of t@example.org",
        ),
        (
            "submission.refused",
            {"account": "t@example.org", "rule": "mailbox-full", "reply": "452 4.2.2 No"},
            "full",
        ),
        ("submission.local_refused", {"uid": 1000, "reply": "554 No"}, "554 No"),
        ("listener.ended", {"listener": "imaps", "reason": "no handshake"}, "no handshake"),
        ("fault", {"where": "reception", "error": "KeyError('x')"}, "KeyError"),
    ],
)
async def test_other_stories(scene: Scene, kind: str, fields: dict[str, Any], words: str) -> None:
    scene.note(kind, "id1", client="192.0.2.1", **fields)
    story = await scene.story("id1")
    assert words in said(story.why)
    assert said(story.what, "ja") != said(story.what)


async def test_a_refused_login_is_told_by_the_cause_that_its_client_was_not_told(scene: Scene) -> None:
    login = {"username": "taro@example.org", "client": "192.0.2.1", "service": "submission"}
    scene.note("authentication.refused", "", "192.0.2.1", cause="no such account", **login)
    for cause in ("wrong password", "wrong password, again"):
        scene.note("authentication.refused", "", "192.0.2.1", cause=cause, **login)
    scene.note(
        "submission.command_refused",
        "k3q7w2ma-1",
        "192.0.2.1",
        client="192.0.2.1",
        command="AUTH",
        reply="535 5.7.8 Wrong",
    )
    story = await scene.story("k3q7w2ma-1")
    assert said(story.why) == "the password is wrong." and len(story.entries) == 2
    assert sorted(story.times for story in (await scene.ask("192.0.2.1")).stories) == [1, 1, 2]


async def test_what_an_operator_did_and_what_is_new(scene: Scene) -> None:
    scene.note("admin.account.add", "taro@example.org", actor="uid:0")
    assert "admin.account.add taro@example.org" in said((await scene.story("taro@example.org")).what)
    scene.note("guard.frozen", "c1", account="taro@example.org")
    assert said((await scene.story("c1")).what).startswith("The guard has held the mail of taro@example.org")
    scene.note("future.kind", "c2", account="taro@example.org")
    assert said((await scene.story("c2")).what).startswith("future.kind was recorded on")


async def test_nothing_is_an_answer(scene: Scene) -> None:
    assert await scene.ask("nobody") == WhyAnswer("nobody", [], 0, 0)
    scene.accepted()
    answer = await scene.ask("nobody")
    assert answer.stories == [] and answer.entries == 1 and answer.reaches_back_to_us == scene.clock.now_us()


async def test_what_was_typed_is_looked_for_too(scene: Scene) -> None:
    scene.note("reception.refused", "m1", "a@例え.jp", reverse_path="", reply="550 5.7.1 No")
    assert (await scene.story("<A@例え.JP>")).id == "m1"


async def test_since_and_limit(scene: Scene) -> None:
    for number in range(5):
        scene.accepted(f"m{number}", delivered=1)
        scene.clock.advance(3600)
    since_us = scene.clock.now_us() - 2 * 3_600_000_000 - 10_000_000
    assert [story.id for story in (await scene.ask("a@b.example", since_us=since_us)).stories] == ["m4", "m3"]
    assert [story.id for story in (await scene.ask("a@b.example", limit=1)).stories] == ["m4"]


async def test_without_a_ledger_it_says_so(context: Context) -> None:
    with pytest.raises(AdminRefused, match="There is no ledger"):
        await why(context, Why("x"))
    assert OPERATIONS["ledger.why"].result is WhyAnswer


@pytest.mark.parametrize(
    ("subject", "key"),
    [
        ("Tarō@例え.jp", "tarō@xn--r8jz45g.jp"),
        (" <A@B.example> ", "a@b.example"),
        ("192.0.2.1", "192.0.2.1"),
        ("K3Q7W2MA-1", "k3q7w2ma-1"),
        ("203.0.113.9/24", "203.0.113.0/24"),
        ("2001:DB8:0::1", "2001:db8::1"),
        ("2001:db8::/64", "2001:db8::/64"),
        ("例え.JP", "xn--r8jz45g.jp"),
        ("..", ".."),
        ("a@@b", "a@@b"),
    ],
)
def test_the_key_of_a_question(subject: str, key: str) -> None:
    assert question_key(subject) == key


def test_statuses_are_statuses() -> None:
    assert all(text.count(".") == 2 and text[0] in "45" for text in STATUSES)
    assert all(
        wording.why.endswith((".", "}"))
        for table in (RULES, STATUSES, LOGIN_CAUSES)
        for wording in table.values()
    )


async def test_the_guards_reasons_are_told_in_the_readers_language(scene: Scene) -> None:
    reasons = (
        Reason(
            "bounces", 60, "{bounced} of {answered} recipients do not exist.", {"bounced": 9, "answered": 12}
        ),
        Reason("virus", 100, "ClamAV found a virus in it: {said}.", {"said": "Evil"}),
    )
    because = " ".join(map(str, reasons))
    scene.note(
        "guard.held",
        "7",
        "taro@example.org",
        account="taro@example.org",
        because=because,
        reasons=reasons_told(reasons),
    )
    story = await scene.story("taro@example.org")
    assert story.why is not None and "ClamAV found a virus in it: Evil." in said(story.why)
    assert because_in(str(story.why.values["reasons"]), "en") == because
    assert because_in(str(story.why.values["reasons"]), "ja").startswith(
        "12 件の宛先のうち 9 件が存在しません。 ClamAV が"
    )
    assert [because_in(octets, "ja") for octets in ("", "x", "[1]", '[["{a}", {}]]')] == ["", "", "", ""]


async def test_an_account_is_named_and_not_numbered(scene: Scene) -> None:
    await scene.store.directory.add_domain(Domain("example.org", 0))
    account = await scene.store.directory.add_account(Address.from_text("taro@example.org"), "", "")
    scene.note("classifier.taught", "c1", account=account.id, side="spam")
    scene.note("classifier.taught", "c2", account=999, side="ham")
    assert (await scene.story("c1")).entries[0].fields["account"] == "taro@example.org"
    assert (await scene.story("c2")).entries[0].fields["account"] == "#999"


async def test_a_providers_reply_is_explained_in_both_languages(scene: Scene) -> None:
    scene.accepted()
    scene.note(
        "relay.attempt",
        "m1",
        "c@example.org",
        reverse_path="a@b.example",
        recipient="c@example.org",
        result="deferred",
        reply="421 4.7.28 Gmail has detected an unusual rate of mail",
        remote="aspmx.l.google.com [192.0.2.9]",
        attempt=1,
        cause="answered",
    )
    story = await scene.story("m1")
    assert story.why is not None and story.why.values["meant"] == "google-rate"
    english, japanese = (meaning_in("google-rate", language) for language in ("en", "ja"))
    assert "Google" in english["meaning"] and "https://support.google.com/" in english["advice"]
    assert "送信量" in japanese["meaning"] and "減速" in japanese["advice"]
    assert "4.7.28" in catalogue("ja")(story.why.text, **{**story.why.values, **japanese})
