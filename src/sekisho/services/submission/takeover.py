"""The watch over hijacked accounts at submission: gathers what `core.policy.takeover` judges by, and writes
down what was decided.

The verdict itself falls inside the transaction that accepts the message, where no other connection comes
between. What is held was signed in vain: it is signed anew when it is released.
"""

from sekisho.core.message.references import header_references
from sekisho.core.policy.takeover.content import LOOKED_AT, count_hidden, look_at_author, look_at_content
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.core.policy.takeover.sending import (
    Outgoing,
    Said,
    Sending,
    client_of,
    key_of,
    network_of,
    recipient_key,
    short_key,
)
from sekisho.core.policy.takeover.state import DAY_US
from sekisho.core.policy.takeover.wording import reasons_told
from sekisho.ports.clock import Clock
from sekisho.ports.journal import Entry, Journal, JournalValue
from sekisho.ports.metrics import Metrics
from sekisho.ports.outgoing import Decision
from sekisho.ports.places import Places
from sekisho.services.submission.seams import ContentInspection, NoContentCheck, OutboundVerdict, Submitted

MOST_PLACES = 10_000  # that are remembered: on how many days before today nothing changes any more
HIDDEN_FROM = 10  # fewer hidden recipients need not be counted: no signal looks at them


class TakeoverWatch:
    """Implements `seams.OutboundJudge`."""

    def __init__(
        self,
        rules: GuardRules,
        clock: Clock,
        journal: Journal,
        metrics: Metrics,
        check: ContentInspection | None = None,
        places: Places | None = None,
    ) -> None:
        self._rules, self._clock = rules, clock
        self._journal, self._metrics = journal, metrics
        self._check = check or NoContentCheck()
        self._places = places
        self._today, self._days_at = 0, dict[tuple[int, str], int]()  # what `places` said today

    async def judge(self, submitted: Submitted) -> OutboundVerdict:
        if self._rules.mode == "off":
            return OutboundVerdict()
        octets = await submitted.content.read(0, LOOKED_AT)
        said = await self._check.says(submitted)
        return OutboundVerdict(
            outgoing=self._facts(submitted, octets, said, await self._days_read(submitted))
        )

    async def _days_read(self, submitted: Submitted) -> int:
        network = network_of(submitted.context.client)
        if self._places is None or not network:
            return 0
        key, now_us = (submitted.identity.account_id, network), self._clock.now_us()
        if now_us // DAY_US != self._today or len(self._days_at) >= MOST_PLACES:
            self._today, self._days_at = now_us // DAY_US, {}
        days_at = self._days_at
        if key not in days_at:
            days_at[key] = await self._places.days_at(*key, now_us)
        return days_at[key]

    def _facts(self, submitted: Submitted, octets: bytes, said: tuple[Said, ...], days_read: int) -> Outgoing:
        header, identity, context = submitted.header, submitted.identity, submitted.context
        elsewhere = submitted.elsewhere
        links, contents = look_at_content(header, octets)
        author = look_at_author(header, frozenset(address.domain for address in submitted.authors))
        references = header_references(header)
        answered = references[-1] if references else ""
        agent = header.first(b"user-agent") or header.first(b"x-mailer") or b""
        sending = Sending(
            message_id=submitted.message_id,
            account_id=identity.account_id,
            credential_id=identity.credential_id,
            at_us=self._clock.now_us(),
            network=network_of(context.client),
            client=client_of(agent.decode("utf-8", "replace"), context.hello, context.mechanism)
            if context.client
            else "",
            is_service=identity.is_service,
            local_recipients=len(submitted.envelope.recipients) - len(elsewhere),
            remote_recipients=len(elsewhere),
            hidden=count_hidden(header, elsewhere) if len(elsewhere) >= HIDDEN_FROM else 0,
            thread=key_of(answered) if answered else 0,
            identities=author.identities,
            reply_elsewhere=author.reply_elsewhere,
            links=links,
            contents=contents,
            said=said,
            days_read=days_read,
        )
        keys = tuple((recipient_key(address), short_key(address.domain)) for address in elsewhere)
        return Outgoing(sending, keys, submitted.locals, answered)

    def decided(self, submitted: Submitted, decision: Decision) -> None:
        verdict = decision.verdict
        action = "hold" if decision.case_id and not verdict.holds else verdict.action
        self._metrics.count("sekisho_guard_verdicts_total", verdict=action)
        if action == "pass":
            return
        account = str(submitted.identity.address)
        client = str(submitted.context.client or "")
        fields: dict[str, JournalValue] = {
            "account": account,
            "credential": submitted.identity.credential_id,
            "client": client,
            "verdict": action,
            "score": verdict.score,
            "because": verdict.because,
            "reasons": reasons_told(verdict.reasons),
            "case": decision.case_id,
            "recipients": len(submitted.envelope.recipients),
            "observed": self._rules.mode == "observe",
        }
        self._journal.record(Entry("guard.verdict", submitted.message_id, fields, (account, client)))
