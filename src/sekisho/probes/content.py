"""What the content of a message is: its words, its attachments, and what scanners beside us say of it."""

import asyncio
from dataclasses import dataclass

from sekisho.core.message.header import HeaderSection
from sekisho.core.message.hops import Hop
from sekisho.core.policy.attachments import AttachmentFinding
from sekisho.core.policy.classifier.reading import client_hop, read_tokens
from sekisho.core.policy.content import ClamavFinding, ContentFinding, RspamdFinding
from sekisho.ports.classifier import Classifier, Verdicts
from sekisho.ports.scanners import Circumstances, SpamScanner, VirusScanner
from sekisho.probes.arrival import Arrival
from sekisho.probes.attachments import probe_attachments
from sekisho.probes.reading import Read, read_parts

# The test string of spam filters (spamassassin.apache.org/gtube), in two pieces: this file is no spam.
_TEST = b"XJS*C4JDBQADN1.NSBN3*2IDNEN*" + b"GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"


@dataclass(frozen=True, slots=True)
class ContentEvidence:
    """None: not asked."""

    content: ContentFinding | None = None
    rspamd: RspamdFinding | None = None
    clamav: ClamavFinding | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ContentProbe:
    """None: is not to be asked. `scanner_octets`: larger messages are not given to scanners."""

    classifier: Classifier | None = None
    looks_at_attachments: bool = True
    rspamd: SpamScanner | None = None
    clamav: VirusScanner | None = None
    scanner_octets: int = 26_214_400

    async def look(self, arrival: Arrival, client_name: str) -> ContentEvidence:
        """`client_name`: the verified reverse name of the client, or ""."""
        if (
            self.rspamd is None and self.clamav is None
        ):  # gathering costs three tasks, a thirtieth of all that a message costs
            return ContentEvidence(await self._look_inside(arrival, client_name))
        size = arrival.content.size_octets
        content, rspamd, clamav = await asyncio.gather(
            self._look_inside(arrival, client_name),
            self._ask_rspamd(arrival, client_name, size),
            self._ask_clamav(arrival, size),
        )
        return ContentEvidence(content, rspamd, clamav)

    async def _look_inside(self, arrival: Arrival, client_name: str) -> ContentFinding | None:
        if self.classifier is None and not self.looks_at_attachments:
            return None
        client = client_hop(arrival.hello, client_name, str(arrival.client.address))
        return await self.inside(
            arrival.content.read, arrival.header, client, arrival.account_ids, arrival.role_account_ids
        )

    async def inside(
        self,
        read: Read,
        header: HeaderSection,
        client: Hop | None,
        account_ids: tuple[int, ...],
        roles: frozenset[int] = frozenset(),
        *,
        reads_words: bool = True,
    ) -> ContentFinding:
        """Of any message; `read` gives it from its first octet on. Without `reads_words` only its attachments
        are looked at."""
        message = await read_parts(read)
        verdicts = Verdicts()
        if reads_words and self.classifier is not None:
            await self.classifier.catch_up()
        if reads_words and self.classifier is not None and self.classifier.is_ready:
            tokens = read_tokens(header, message.structure, message.size, message.bodies, client)
            verdicts = self.classifier.judge(tokens, account_ids)
        attachments = (
            await probe_attachments(read, 0, message.structure)
            if self.looks_at_attachments
            else AttachmentFinding()
        )
        is_test = self.classifier is not None and any(_TEST in body.octets for body in message.bodies)
        return ContentFinding(
            overall=verdicts.overall,
            accounts=verdicts.accounts,
            account_ids=account_ids,
            roles=roles,
            attachments=attachments,
            is_test=is_test,
        )

    async def _ask_rspamd(self, arrival: Arrival, client_name: str, size: int) -> RspamdFinding | None:
        if self.rspamd is None:
            return None
        if size > self.scanner_octets:
            return RspamdFinding(problem="the message is larger than scanner_octets")
        envelope = arrival.envelope
        about = Circumstances(
            message_id=arrival.message_id,
            client=str(arrival.client.address),
            client_name=client_name,
            hello=arrival.hello,
            reverse_path=str(envelope.reverse_path),
            recipients=tuple(str(recipient.address) for recipient in envelope.recipients),
        )
        return await self.rspamd.scan(arrival.content.read, size, about)

    async def _ask_clamav(self, arrival: Arrival, size: int) -> ClamavFinding | None:
        if self.clamav is None:
            return None
        if size > self.scanner_octets:
            return ClamavFinding(problem="the message is larger than scanner_octets")
        return await self.clamav.scan(arrival.content.read, size)
