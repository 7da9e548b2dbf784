"""Signing what leaves with the keys of its author's domain (RFC 6376 §5)."""

from sekisho.services.signing import Signing
from sekisho.services.submission.seams import Submitted


class DomainSigner:
    """Implements `seams.Signer`: signed for the domain of the first author; not at all where that has no
    key."""

    def __init__(self, signing: Signing) -> None:
        self._signing = signing

    async def sign(self, submitted: Submitted) -> bytes:
        return await self._signing.sign(
            submitted.authors[0].domain, submitted.header, submitted.content, submitted.message_id
        )
