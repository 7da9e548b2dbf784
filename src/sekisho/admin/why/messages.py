"""The story of a message: refused or accepted, put into a mailbox or into Junk, waiting, sent on, given up.
Pure."""

from collections.abc import Sequence

from sekisho.admin.why.sentences import OBSTACLES, RULES, Wording, wording_of_rule
from sekisho.admin.why.story import RecipientView, Story, Told, named, story, values_of
from sekisho.admin.why.ways import WAYS
from sekisho.core.policy.shaping.explaining import PACED, meaning_in
from sekisho.core.policy.shaping.recognise import recognise_text
from sekisho.ports.journal import JournalValue
from sekisho.ports.ledger import LedgerEntry
from sekisho.ports.spool import QueuedMessage

ACCEPTED = frozenset({"reception.accepted", "submission.accepted"})
REFUSED = frozenset({"reception.refused", "submission.refused"})
_JUNK = frozenset({"junk", "quarantine"})


def refused_message(id_: str, entries: Sequence[LedgerEntry], again: LedgerEntry | None = None) -> Story:
    """`entries`: all of this id, the oldest first, one of them a refusal; `again`: when it was sent once more
    and accepted."""
    refusal = next(entry for entry in reversed(entries) if entry.kind in REFUSED)
    values = values_of(entries, id_, refusal.at_us)
    reply = str(values["reply"])
    wording = wording_of_rule(str(values["rule"]), reply, str(values["because"]))
    is_temporary = reply.startswith("4")
    if refusal.kind == "submission.refused":
        told = (
            Told(
                "deferred",
                "A message of {account} to {recipients} was deferred on {when} (client {client})",
                wording,
            )
            if is_temporary
            else Told(
                "refused",
                "A message of {account} to {recipients} was refused on {when} (client {client})",
                wording,
            )
        )
    elif again is not None:
        values |= {"later": again.id, "due": again.at_us}
        told = Told(
            "deferred",
            "The message from {sender} to {recipients} was deferred on {when} (client {client}); it "
            "was sent again and accepted on {due}, as {later}",
            Wording(
                wording.why, "Nothing: the message has arrived. For what became of it: sekisho why {later}."
            ),
        )
    else:
        told = (
            Told(
                "deferred",
                "The message from {sender} to {recipients} was deferred on {when} (client {client})",
                wording,
            )
            if is_temporary
            else Told(
                "refused",
                "The message from {sender} to {recipients} was refused on {when} (client {client})",
                wording,
            )
        )
    return story(id_, told, entries, values)


def accepted_message(id_: str, entries: Sequence[LedgerEntry], queued: QueuedMessage | None) -> Story:
    """`entries`: all of this id, the oldest first. `queued`: what the queue has of it now."""
    recipients = _recipients(entries, queued)
    values = values_of(entries, id_, entries[-1].at_us)
    told = _removed(entries) or _remote(recipients, values) or _local(entries, values)
    if (
        told.wording is not None
        and told.verdict == "failed"
        and any(entry.kind == "notice.withheld" for entry in entries)
    ):
        told = Told(told.verdict, told.what, Wording(told.wording.why, _UNTOLD.remedy))
    if told is _HELD and any(entry.fields.get("rule") == "sending-held" for entry in entries):
        told = _HELD_BY_OPERATOR
    elif told is _HELD and any(entry.kind == "guard.verdict" for entry in entries):
        told = _HELD_BY_GUARD
    return story(id_, told, entries, values, recipients)


def _recipients(entries: Sequence[LedgerEntry], queued: QueuedMessage | None) -> list[RecipientView]:
    """The last word about each remote recipient; the queue knows best about those that it still has."""
    found: dict[str, RecipientView] = {}
    for entry in entries:
        address = str(entry.fields.get("recipient", ""))
        if entry.kind == "relay.attempt":
            found[address] = _attempted(address, entry)
        elif entry.kind == "queue.expired":
            last = found.get(address, RecipientView(address=address, state=""))
            found[address] = RecipientView(
                address=address,
                state="expired",
                reply=last.reply,
                remote=last.remote,
                attempts=last.attempts,
                at_us=entry.at_us,
                cause=last.cause,
                policy=last.policy,
            )
    for row in queued.recipients if queued is not None else ():
        address = str(row.recipient.address)
        last = found.get(address, RecipientView(address=address, state=""))
        reply, due_at_us = row.last_reply or last.reply, row.due_at_us
        # What the queue heard last may not be in the ledger yet.
        cause = last.cause if reply == last.reply else ""
        found[address] = RecipientView(
            address=address,
            state=row.state,
            reply=reply,
            remote=last.remote,
            attempts=row.attempts,
            at_us=row.last_attempt_at_us,
            due_at_us=due_at_us,
            cause=cause,
            policy=last.policy,
            proof=last.proof,
        )
    return list(found.values())


def _attempted(address: str, entry: LedgerEntry) -> RecipientView:
    fields = entry.fields
    attempts = fields.get("attempt")
    return RecipientView(
        address=address,
        state=str(fields.get("result", "")),
        reply=str(fields.get("reply", "")),
        remote=str(fields.get("remote", "")),
        attempts=attempts if isinstance(attempts, int) else 0,
        at_us=entry.at_us,
        cause=str(fields.get("cause", "")),
        policy=str(fields.get("policy", "")),
        proof=str(fields.get("proof", "")),
    )


def _removed(entries: Sequence[LedgerEntry]) -> Told | None:
    if all(entry.kind != "admin.queue.drop" for entry in entries):
        return None
    return Told(
        "failed",
        "The message from {sender} to {recipients} was removed from the queue by an operator on {when}.",
    )


def _remote(recipients: Sequence[RecipientView], values: dict[str, JournalValue]) -> Told | None:
    """Of the recipient that needs attention most; `values` then speak of that one and its like."""
    for states, told in _BY_STATE:
        concerned = [recipient for recipient in recipients if recipient.state in states]
        if not concerned:
            continue
        first = concerned[0]
        values |= {
            "recipients": named([recipient.address for recipient in concerned]),
            "recipient": first.address,
            "reply": first.reply or "-",
            "remote": first.remote or first.address.rpartition("@")[2],
            "when": first.at_us or values["when"],
            "due": first.due_at_us,
            **_meant(first),
        }
        if first.reply.startswith(PACED) and first.state in ("waiting", "deferred"):
            return Told(told.verdict, told.what, OBSTACLES["pace"])
        if first.state == "waiting" and not first.attempts:
            return _FIRST_ATTEMPT
        if first.state == "delivered" and (way := WAYS.get((first.policy, first.proof))) is not None:
            return Told(_TAKEN.verdict, _TAKEN.what, way)
        is_about_it = told.wording in (_FAILED, _EXPIRED, _WAITS)
        return (
            Told(told.verdict, told.what, _because(first, told.wording))
            if told.wording is not None and is_about_it
            else told
        )
    return None


def _meant(recipient: RecipientView) -> dict[str, str]:
    """The row of the table that knows the reply (`meant`), with its English words; empty where none does."""
    found = recognise_text(recipient.reply, recipient.remote) if recipient.cause in ("answered", "") else None
    if found is None:
        return {}
    return {"meant": found.rule.name, **meaning_in(found.rule.name, "en")}


def _because(recipient: RecipientView, wording: Wording) -> Wording:
    """With the sentence for what kept the message."""
    if _meant(recipient):
        return _MEANT_WAITS if wording is _WAITS else _MEANT
    obstacle = OBSTACLES.get(recipient.cause, OBSTACLES[""])
    if wording is not _FAILED or recipient.cause in ("answered", ""):
        return Wording(obstacle.why, wording.remedy)
    return Wording(obstacle.why, obstacle.remedy or _NOWHERE.remedy)


def _local(entries: Sequence[LedgerEntry], values: dict[str, JournalValue]) -> Told:
    accepted = next((entry for entry in entries if entry.kind in ACCEPTED), None)
    if accepted is None:
        return Told("noted", "The message {id} was seen on {when}; the ledger does not have its beginning.")
    values["when"] = accepted.at_us
    evidence = next((entry for entry in entries if entry.kind == "reception.evidence"), None)
    if evidence is not None and evidence.fields.get("verdict") in _JUNK:
        wording = wording_of_rule(str(values["rule"]), "", str(values["because"]))
        return Told("junk", "The message from {sender} to {recipients} was put into Junk on {when}", wording)
    if accepted.fields.get("over_quota"):
        wording = wording_of_rule("mailbox-full", "")
        return Told(
            "failed",
            "The message from {sender} to {recipients} was accepted on {when}, but one copy was not made",
            wording,
        )
    if accepted.fields.get("delivered"):
        return Told(
            "delivered", "The message from {sender} to {recipients} was put into the mailbox on {when}."
        )
    return Told(
        "accepted",
        "The message from {sender} to {recipients} was accepted on {when} for delivery elsewhere; "
        "nothing more is known yet.",
    )


_UNTOLD = Wording(
    "",
    "Nobody was told: {because}; if {sender} is forged, a notice would reach somebody who never wrote here. "
    "If the sender is honest, its domain should publish SPF or sign with DKIM.",
)
_TAKEN = Told(
    "delivered", "The message from {sender} to {recipients} was taken by {remote} on {when} ({reply})"
)
_FIRST_ATTEMPT = Told(
    "waiting", "The message from {sender} to {recipients} waits for its first attempt, on {due}."
)
_HELD = Told(
    "waiting",
    "The message from {sender} to {recipients} is held in the queue",
    Wording(
        "an operator or the guard holds it.",
        "To deliver it: sekisho queue release {id}. To remove it: sekisho queue drop {id}. If the "
        "guard holds it: sekisho guard list.",
    ),
)
_HELD_BY_GUARD = Told(
    "waiting",
    "The guard holds the message of {account} to {recipients}",
    Wording(
        "{because}",
        "Ask the owner. If they sent it: sekisho guard release {account}; if not: sekisho guard purge "
        "{account}.",
    ),
)
_HELD_BY_OPERATOR = Told("waiting", "The message of {account} to {recipients} is held", RULES["sending-held"])
_FAILED = Wording(
    "{reply}", "The sender got a notice with this reply. It comes from the other server: ask its postmaster."
)
_MEANT = Wording(
    "{remote} answered: {reply} – {meaning}", "The sender got a notice with these words. {advice}"
)
_MEANT_WAITS = Wording(
    _MEANT.why, "It is retried automatically. {advice} To try now: sekisho queue retry {id}."
)
_NOWHERE = Wording(
    "{reply}",
    "The sender got a notice with this reason. Check whether the address is right; no server has "
    "seen the message.",
)
_EXPIRED = Wording(
    "{reply}", "The sender got a notice. Once the other server works again, the message can be sent again."
)
_WAITS = Wording("{reply}", "Nothing: it is retried automatically. To try now: sekisho queue retry {id}.")
# What needs attention most comes first.
_BY_STATE: tuple[tuple[tuple[str, ...], Told], ...] = (
    (
        ("failed",),
        Told(
            "failed",
            "The message from {sender} to {recipients} could not be delivered on {when}",
            _FAILED,
        ),
    ),
    (
        ("expired",),
        Told(
            "failed",
            "Delivery of the message from {sender} to {recipients} was given up on {when}, after "
            "queue.lifetime_seconds",
            _EXPIRED,
        ),
    ),
    (
        ("parked",),
        Told(
            "waiting",
            "The message from {sender} to {recipients} is parked",
            Wording(
                "its delivery crashed a worker three times, the last time on {when}.",
                "Please report the traceback in the log. To try again: sekisho queue retry {id}; to "
                "remove it: sekisho queue drop {id}.",
            ),
        ),
    ),
    (("held",), _HELD),
    (
        ("waiting", "deferred"),
        Told(
            "waiting",
            "The message from {sender} to {recipients} waits; the next attempt is on {due}",
            _WAITS,
        ),
    ),
    (
        ("claimed",),
        Told("waiting", "The message from {sender} to {recipients} is being delivered right now."),
    ),
    (
        ("delivered",),
        Told(
            "delivered",
            "The message from {sender} to {recipients} was delivered to {remote} on {when}: {reply}",
        ),
    ),
)
