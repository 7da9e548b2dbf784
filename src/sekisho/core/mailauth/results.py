"""Findings as the result words and properties of an Authentication-Results field (RFC 8601 §2.7)."""

from collections.abc import Sequence

from sekisho.core.mailauth.arc.verify import ArcEvidence
from sekisho.core.mailauth.dkim.evidence import DkimEvidence
from sekisho.core.mailauth.dmarc.evaluate import DmarcFinding
from sekisho.core.mailauth.iprev.check import IprevFinding
from sekisho.core.mailauth.spf.terms import SpfEvidence
from sekisho.core.message.authentication_results import MethodResult, Property


def spf_results(evidence: SpfEvidence, reverse_path: str, helo: str) -> tuple[MethodResult, ...]:
    """One per identity (RFC 8601 §2.7.2); HELO alone for a null reverse-path."""
    by_helo = MethodResult(
        method="spf", result=evidence.helo.result, properties=(Property("smtp", "helo", helo),)
    )
    if not reverse_path:
        return (by_helo,)
    return (
        MethodResult(
            method="spf",
            result=evidence.mailfrom.result,
            properties=(Property("smtp", "mailfrom", reverse_path),),
        ),
        by_helo,
    )


def iprev_result(finding: IprevFinding) -> MethodResult:
    """RFC 8601 §2.7.3, with the name that leads back as a comment."""
    return MethodResult(
        method="iprev",
        result=finding.result,
        properties=(Property("policy", "iprev", str(finding.address)),),
        comment=finding.name,
    )


def dmarc_result(finding: DmarcFinding) -> MethodResult:
    """RFC 9989 §9.1: policy.dmarc is what the domain owner asks for."""
    properties: tuple[Property, ...] = (
        (Property("header", "from", finding.author_domain),) if finding.author_domain else ()
    )
    if finding.record is not None:
        properties += (Property("policy", "dmarc", finding.policy),)
    return MethodResult(method="dmarc", result=finding.result, properties=properties)


def dkim_results(evidence: Sequence[DkimEvidence]) -> tuple[MethodResult, ...]:
    """One per signature (RFC 8601 §2.7.1), told apart by header.b (RFC 6008 §4); "none" if there was no
    signature."""
    if not evidence:
        return (MethodResult(method="dkim", result="none"),)
    return tuple(_dkim_result(one) for one in evidence)


def _dkim_result(evidence: DkimEvidence) -> MethodResult:
    values = (
        ("d", evidence.domain),
        ("i", evidence.identity if evidence.identity != f"@{evidence.domain}" else ""),
        ("s", evidence.selector),
        ("a", evidence.algorithm),
        ("b", evidence.signature_start),
    )
    properties = tuple(Property("header", name, value) for name, value in values if value)
    comment = (
        f"{evidence.key_bits}-bit key{', testing' if evidence.is_testing else ''}"
        if evidence.key_bits
        else ""
    )
    return MethodResult(
        method="dkim",
        result=evidence.result,
        properties=properties,
        reason=evidence.reason or None,
        comment=comment,
    )


def arc_result(evidence: ArcEvidence) -> MethodResult:
    """RFC 8617 §10.2: the chain's status; how long it is and who sealed it last as a comment."""
    comment = f"{evidence.instances} sets, last by {evidence.sealers[-1]}" if evidence.sealers else ""
    return MethodResult(
        method="arc", result=evidence.result, properties=(), reason=evidence.reason or None, comment=comment
    )
