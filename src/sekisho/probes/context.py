"""What every probe of a message may look at."""

from dataclasses import dataclass

from sekisho.core.message.header import HeaderSection
from sekisho.core.terms.dns import Resolver
from sekisho.core.terms.envelope import Envelope
from sekisho.ports.content import ContentWriter
from sekisho.ports.stream import Endpoint
from sekisho.probes.kept import KeptFindings


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeContext:
    """One message after its last octet and before the reply. `resolver` is this message's own
    `BudgetedResolver`."""

    client: Endpoint
    hello: str
    envelope: Envelope
    header: HeaderSection
    content: ContentWriter
    resolver: Resolver
    hostname: str  # ours
    now_us: int
    body_offset: int = 0  # of the body in `content`
    account_ids: tuple[int, ...] = ()  # that get a copy
    role_account_ids: frozenset[int] = frozenset()  # those of them that get it as postmaster or abuse
    message_id: str = ""  # our id of it
    kept: KeptFindings | None = None  # what was found out lately
