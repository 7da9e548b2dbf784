"""What outgoing mail looks like, as advice to the guard of hijacked accounts."""

from sekisho.core.policy.rules.content import ContentRules, dangerous, told_of
from sekisho.probes.content import ContentProbe
from sekisho.services.submission.seams import Submitted


class OutgoingContent:
    """Implements `seams.ContentCheck`. Nobody is refused by it."""

    def __init__(self, probe: ContentProbe, rules: ContentRules) -> None:
        self._probe, self._rules = probe, rules

    async def says(self, submitted: Submitted) -> str:
        """By everybody's lessons: what an account itself calls junk is about the mail that it gets."""
        if not submitted.elsewhere:
            return ""
        content = submitted.content
        finding = await self._probe.inside(content.read, submitted.header, None, ())
        if virus := await self._virus(submitted):
            return f"ClamAV found {virus}"
        if found := dangerous(finding, self._rules):
            return told_of(found)
        if finding.overall is not None and finding.overall.score >= self._rules.junk_score:
            return f"it reads like spam (score {finding.overall.score:.2f})"
        return ""

    async def _virus(self, submitted: Submitted) -> str:
        scanner, size = self._probe.clamav, submitted.content.size_octets
        if scanner is None or size > self._probe.scanner_octets:
            return ""
        return (await scanner.scan(submitted.content.read, size)).virus
