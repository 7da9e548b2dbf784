"""A message that has come: the one record of it that goes from the service through the probes to the
evidence."""

from dataclasses import dataclass

from sekisho.core.message.header import HeaderSection
from sekisho.core.terms.envelope import Envelope
from sekisho.ports.content import ContentWriter
from sekisho.ports.stream import Endpoint
from sekisho.probes.recipient import ROLES


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One message after its last octet and before the reply. `header` indexes the section as it was
    received."""

    message_id: str = ""  # our id of it
    at_us: int
    hostname: str  # ours
    client: Endpoint
    hello: str
    envelope: Envelope
    header: HeaderSection
    content: ContentWriter
    body_offset: int = 0  # of the body in `content`
    account_ids: tuple[int, ...] = ()  # that get a copy
    role_account_ids: frozenset[int] = frozenset()  # those of them that get it as postmaster or abuse

    @property
    def reverse_domain(self) -> str:
        """ "" for the null path."""
        address = self.envelope.reverse_path.address
        return address.domain if address is not None else ""

    @property
    def leads_away(self) -> bool:
        """Nobody here gets a copy: aliases send all of it elsewhere."""
        roles = (recipient.address.local_canonical in ROLES for recipient in self.envelope.recipients)
        return not self.account_ids and not any(roles)
