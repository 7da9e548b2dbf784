"""DMARC over what SPF and DKIM found (RFC 9989 §5.3)."""

from collections.abc import Iterable, Sequence

from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding, evaluate_dmarc
from sekisho.core.mailauth.spf.terms import SpfEvidence
from sekisho.core.message.address_list import parse_address_list
from sekisho.core.message.header import HeaderSection
from sekisho.core.terms.address import Address
from sekisho.probes.context import ProbeContext


async def probe_dmarc(context: ProbeContext, authors: Sequence[str], spf: SpfEvidence, dkim_domains: Iterable[str]) -> DmarcFinding:
    """`authors`: the `author_domains`; `dkim_domains`: d= of the signatures that pass, aligned or not."""
    spf_domain = spf.mailfrom.domain if spf.mailfrom.result == "pass" else None
    return await evaluate_dmarc(context.resolver, authors, spf_domain=spf_domain, dkim_domains=dkim_domains)


def author_addresses(header: HeaderSection) -> tuple[Address, ...]:
    """The addresses in From; none unless there is exactly one such field and it can be read (THREATS 40)."""
    if header.count(b"from") != 1 or header.too_many:
        return ()
    return parse_address_list(header.first(b"from") or b"") or ()


def author_domains(header: HeaderSection) -> tuple[str, ...]:
    """The domains of the same."""
    return tuple(address.domain for address in author_addresses(header))
