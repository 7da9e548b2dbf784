"""What outgoing mail looks like, as advice to the guard of hijacked accounts. None of it is refused or lost
for that."""

import asyncio

from sekisho.core.policy.content import ClamavFinding, ContentFinding, RspamdFinding
from sekisho.core.policy.contentrules import ContentRules, dangerous, rspamd_says, told_of, virus_in
from sekisho.core.policy.takeover.sending import Said
from sekisho.ports.clock import Clock
from sekisho.ports.journal import Entry, Journal, JournalValue
from sekisho.ports.scanners import Circumstances
from sekisho.probes.content import ContentProbe
from sekisho.services.submission.seams import Submitted

TOO_LARGE = "the message is larger than scanner_octets"
PLENTY = 60  # messages of one account in an hour that are all read
SAMPLE = (
    10  # of the ones beyond, one of so many: a newsletter must not take the time of those who write a letter
)
HOUR_US = 3_600_000_000


class OutgoingContent:
    """Implements `seams.ContentCheck`. Attachments and viruses are looked for in every message, words (and
    rspamd's opinion) in the first `PLENTY` of an account's hour and then in samples: a burst of spam is long
    since held by then, or shows in the samples."""

    def __init__(self, probe: ContentProbe, rules: ContentRules, clock: Clock, journal: Journal) -> None:
        self._probe, self._rules = probe, rules
        self._clock, self._journal = clock, journal
        self._hour, self._counts = 0, dict[int, int]()

    async def says(self, submitted: Submitted) -> tuple[Said, ...]:
        """By everybody's lessons: what an account itself calls junk is about the mail that it gets."""
        if not submitted.elsewhere:
            return ()
        reads_words = self._is_read(submitted.identity.account_id)
        looking = self._probe.inside(
            submitted.content.read, submitted.header, None, (), reads_words=reads_words
        )
        rspamd: RspamdFinding | None = None
        clamav: ClamavFinding | None = None
        if self._probe.rspamd is None and self._probe.clamav is None:
            content = await looking
        else:
            content, rspamd, clamav = await asyncio.gather(
                looking,
                self._ask_rspamd(submitted) if reads_words else _nothing(),
                self._ask_clamav(submitted),
            )
        said = _said(content, rspamd, clamav, self._rules)
        self._write_down(submitted, said, rspamd, clamav)
        return said

    def _is_read(self, account_id: int) -> bool:
        hour = self._clock.now_us() // HOUR_US
        if hour != self._hour:
            self._hour, self._counts = hour, {}
        count = self._counts[account_id] = self._counts.get(account_id, 0) + 1
        return count <= PLENTY or not count % SAMPLE

    async def _ask_rspamd(self, submitted: Submitted) -> RspamdFinding | None:
        if self._probe.rspamd is None:
            return None
        size, envelope, context = submitted.content.size_octets, submitted.envelope, submitted.context
        if size > self._probe.scanner_octets:
            return RspamdFinding(problem=TOO_LARGE)
        about = Circumstances(
            message_id=submitted.message_id,
            client=str(context.client or ""),
            client_name="",
            hello=context.hello,
            reverse_path=str(envelope.reverse_path),
            recipients=tuple(str(recipient.address) for recipient in envelope.recipients),
            user=str(submitted.identity.address),
        )
        return await self._probe.rspamd.scan(submitted.content.read, size, about)

    async def _ask_clamav(self, submitted: Submitted) -> ClamavFinding | None:
        if self._probe.clamav is None:
            return None
        size = submitted.content.size_octets
        if size > self._probe.scanner_octets:
            return ClamavFinding(problem=TOO_LARGE)
        return await self._probe.clamav.scan(submitted.content.read, size)

    def _write_down(
        self,
        submitted: Submitted,
        said: tuple[Said, ...],
        rspamd: RspamdFinding | None,
        clamav: ClamavFinding | None,
    ) -> None:
        """What spoke against it, and what could not be known."""
        fields: dict[str, JournalValue] = {each.check: each.what for each in said}
        fields |= {
            name: found.problem
            for name, found in (("rspamd", rspamd), ("clamav", clamav))
            if found is not None and found.problem
        }
        if fields:
            account = str(submitted.identity.address)
            self._journal.record(
                Entry("submission.evidence", submitted.message_id, {"account": account, **fields}, (account,))
            )


async def _nothing() -> None:
    return None


def _said(
    content: ContentFinding, rspamd: RspamdFinding | None, clamav: ClamavFinding | None, rules: ContentRules
) -> tuple[Said, ...]:
    said: list[Said] = []
    if virus := virus_in(clamav):
        said.append(Said("virus", virus))
    if found := dangerous(content, rules):
        said.append(Said("attachment", told_of(found)))
    action, because = rspamd_says(rspamd, rules)
    if action:
        said.append(Said("rspamd", because))
    if content.is_test:
        said.append(Said("content", "GTUBE"))
    elif content.overall is not None and content.overall.score >= rules.junk_score:
        telling = ", ".join(told.token for told in content.overall.telling if told.weight > 0)
        said.append(Said("content", f"{content.overall.score:.2f}; {telling}"))
    return tuple(said)
