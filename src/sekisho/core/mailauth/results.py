"""Findings as the result words and properties of an Authentication-Results field (RFC 8601 §2.7)."""

from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding
from sekisho.core.mailauth.iprev.check import IprevFinding
from sekisho.core.mailauth.spf.terms import SpfEvidence
from sekisho.core.message.authentication_results import MethodResult, Property


def spf_results(evidence: SpfEvidence, reverse_path: str, helo: str) -> tuple[MethodResult, ...]:
    """One per identity (RFC 8601 §2.7.2); HELO alone for a null reverse-path."""
    by_helo = MethodResult("spf", evidence.helo.result, (Property("smtp", "helo", helo),))
    if not reverse_path:
        return (by_helo,)
    return (MethodResult("spf", evidence.mailfrom.result, (Property("smtp", "mailfrom", reverse_path),)), by_helo)


def iprev_result(finding: IprevFinding) -> MethodResult:
    """RFC 8601 §2.7.3, with the name that leads back as a comment."""
    return MethodResult("iprev", finding.result, (Property("policy", "iprev", str(finding.address)),), comment=finding.name)


def dmarc_result(finding: DmarcFinding) -> MethodResult:
    """RFC 9989 §9.1: policy.dmarc is what the domain owner asks for."""
    properties: tuple[Property, ...] = (Property("header", "from", finding.author_domain),) if finding.author_domain else ()
    if finding.record is not None:
        properties += (Property("policy", "dmarc", finding.policy),)
    return MethodResult("dmarc", finding.result, properties)
