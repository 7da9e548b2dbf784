"""Notices to senders: composed, and put on their way to whoever is behind the reverse path."""

from collections.abc import Sequence

from sekisho.core.message.dsn import MAX_FULL_OCTETS, MAX_HEADER_OCTETS, Dsn, DsnRecipient, compose_dsn
from sekisho.core.message.dsn_text import Action
from sekisho.core.message.trace import format_return_path, new_message_id
from sekisho.core.policy.routing import next_hop_for
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.ports.content import MessageOctets, StoreUnavailable
from sekisho.ports.journal import Entry
from sekisho.ports.spool import Acceptance, MailboxDelivery, QueueJob, RelayRecipient
from sekisho.services.queue.surroundings import QueuePorts, QueueRules


class Notices:
    def __init__(self, rules: QueueRules, ports: QueuePorts) -> None:
        self._rules = rules
        self._ports = ports

    async def about(self, job: QueueJob, octets: MessageOctets, told: Sequence[DsnRecipient]) -> tuple[Acceptance, ...]:
        """One notice per action that occurs in `told`; none about a notice (RFC 5321 §4.5.4, RFC 3461 §5.2)."""
        if not told:
            return ()
        to = job.envelope.reverse_path.address
        if to is None:
            for recipient in told:
                self._journal(job, "queue.notice_about_notice", {"recipient": str(recipient.recipient.address), "action": recipient.action})
            return ()
        found: list[Acceptance] = []
        for action in dict.fromkeys(recipient.action for recipient in told):
            notice = await self._notice(job, octets, to, tuple(recipient for recipient in told if recipient.action == action), action)
            if notice is not None:
                found.append(notice)
        return tuple(found)

    async def _notice(
        self, job: QueueJob, octets: MessageOctets, to: Address, told: tuple[DsnRecipient, ...], action: Action
    ) -> Acceptance | None:
        ports, rules = self._ports, self._rules
        now_us = ports.clock.now_us()
        resolution = await ports.recipients.resolve(to)
        if resolution.status == "unknown":
            self._journal(job, "queue.notice_undeliverable", {"reverse_path": str(to), "action": action})
            return None
        # RFC 3461 §4.3: RET says what a failure notice carries; the others carry the header section.
        is_whole = action == "failed" and job.envelope.ret == "FULL" and octets.size_octets <= MAX_FULL_OCTETS
        notice_id = new_message_id(now_us, ports.dice.octets(8))
        composed = compose_dsn(
            Dsn(
                id=notice_id,
                reporting_mta=rules.hostname,
                to=to,
                date_us=now_us,
                arrived_at_us=job.arrived_at_us,
                recipients=told,
                original=await self._original(octets),
                is_whole=is_whole,
                envid=job.envelope.envid,
                message_id=job.message_id,
                language=rules.language,
            )
        )
        content = ports.spool.open_content()
        content.write(composed.octets)
        remotes = (to,) if resolution.status == "not_ours" else resolution.remotes
        expires_at_us = rules.schedule.expires_at_us(now_us, is_notice=True)
        self._journal(job, "queue.notice", {"reverse_path": str(to), "action": action, "notice": notice_id})
        return Acceptance(
            message_id=notice_id,
            envelope=Envelope(ReversePath(), (Recipient(to),), composed.body, composed.smtputf8),  # RFC 3464 §2: from <>
            content=content,
            prefix=b"",
            deliveries=tuple(
                MailboxDelivery(f"{notice_id}/{account.id}/0", account.id, format_return_path(ReversePath()))
                for account in resolution.accounts
            ),
            relays=tuple(
                RelayRecipient(Recipient(address), next_hop_for(address.domain, rules.routes), now_us, expires_at_us) for address in remotes
            ),
            origin="dsn",
            header_message_id=composed.header_message_id,
        )

    async def _original(self, octets: MessageOctets) -> bytes:
        """The beginning of the message; nothing when it cannot be read: the notice matters more."""
        try:
            return await octets.read(0, max(MAX_FULL_OCTETS, MAX_HEADER_OCTETS))
        except StoreUnavailable:
            return b""

    def _journal(self, job: QueueJob, kind: str, fields: dict[str, str]) -> None:
        self._ports.journal.record(Entry(kind, job.message_id, fields))
