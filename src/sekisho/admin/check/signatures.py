"""Sentences about the signatures of a message: DKIM and ARC."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from sekisho.admin.check.finding import Finding, sentence
from sekisho.core.mailauth.arc.verify import ArcEvidence
from sekisho.core.mailauth.dkim.evidence import DkimEvidence


class SignatureWording(NamedTuple):
    """`why` stands behind a colon in place of the reason of `core.mailauth.dkim`."""

    why: str
    remedy: str


_SYNTAX = SignatureWording(
    "the signature cannot be read", "The program that signs must be corrected or renewed."
)
_BODY = SignatureWording(
    "the body is not the one that was signed",
    "Nothing may change the message after it was signed: no footer, no conversion of line ends or "
    "encodings. Sign last.",
)
_HEADER = SignatureWording(
    "a field of the header section is not the one that was signed, or the key in the DNS is not the one "
    "that signed",
    "Compare the published key with the one that signs (sekisho check domain); let nothing rewrite the "
    "header section after signing.",
)
_NO_KEY = SignatureWording(
    "the DNS has no key of that name",
    'Publish the TXT record {name}; for keys of this server "sekisho dkim publish {domain}" prints it.',
)
_BAD_KEY = SignatureWording(
    "the key in the DNS cannot be used", "Publish the record {name} anew, as it was made."
)
# The reasons of core.mailauth.dkim, by how they begin.
REASONS: Mapping[str, SignatureWording] = {
    "body hash did not verify": _BODY,
    "l= is longer": _BODY,
    "signature did not verify": _HEADER,
    "signature expired": SignatureWording(
        "it has expired",
        "Signatures live some days. For a new message, the clock of the signing server is wrong.",
    ),
    "no key for signature": _NO_KEY,
    "key revoked": SignatureWording(
        "the key was withdrawn",
        "Sign with a key that is published; what was signed with the old one stays unsigned.",
    ),
    "d= is a top-level": SignatureWording(
        "it is made by a top-level domain, which cannot authenticate the domains below it",
        "Sign with the domain of the author.",
    ),
    "RSA key of": SignatureWording("the key is too short or too long", "Sign with an RSA key of 2048 bits."),
    "rsa-sha1": SignatureWording(
        "it is made with SHA-1, which is no longer accepted", "Sign with rsa-sha256."
    ),
    "l= leaves": SignatureWording("it covers only part of the body (l=)", "Sign without l=."),
    "key demands": SignatureWording(
        "its key (t=s) does not allow an i= below d=", "Publish the key without t=s, or sign without i=."
    ),
    "key does not allow": SignatureWording(
        "its key does not allow the hash algorithm (h=)", "Publish the key without h=."
    ),
    "key type": SignatureWording("its algorithm is not that of the key", "Publish the key that signs."),
    "key is not for mail": _BAD_KEY,
    "key record": _BAD_KEY,
    "unknown key": _BAD_KEY,
    "p= ": _BAD_KEY,
    "h= without From": SignatureWording("it does not cover From", "The program that signs must sign From."),
    "the message has no From": SignatureWording(
        "the message has no From", "The program that wrote the message must write one."
    ),
    "more than one": SignatureWording(
        "a field that may be there once is there twice",
        "The program that wrote the message must write it once.",
    ),
    "too many header fields": SignatureWording(
        "the message has too many header fields",
        "The program that wrote the message must write less of them.",
    ),
}


def _wording(reason: str) -> SignatureWording:
    return next((wording for start, wording in REASONS.items() if reason.startswith(start)), _SYNTAX)


def judge_dkim(signatures: Sequence[DkimEvidence], author_domain: str) -> list[Finding]:
    if not signatures:
        return [
            Finding.bad(
                "DKIM",
                "The message is not signed; large receivers refuse or distrust such mail.",
                "Sign it as {domain}: sekisho dkim add {domain}, publish the record, sekisho dkim rotate "
                "{domain}.",
                domain=author_domain or "DOMAIN",
            )
        ]
    # One that passes is enough: another that fails is only noise (RFC 6376 §6.3).
    has_pass = any(one.result == "pass" for one in signatures)
    return [_judge_signature(one, has_pass=has_pass) for one in signatures]


def _judge_signature(one: DkimEvidence, *, has_pass: bool) -> Finding:
    name = f"{one.selector}._domainkey.{one.domain}" if one.selector else "-"
    values: dict[str, str | int] = {
        "domain": one.domain or "?",
        "selector": one.selector or "?",
        "name": name,
        "detail": one.reason,
    }
    if one.result == "pass" and one.is_testing:
        return Finding.hint(
            "DKIM",
            "The signature of {domain} (selector {selector}) passes, but its key says that it is a test "
            "(t=y).",
            "Publish {name} without t=y.",
            **values,
        )
    if one.result == "pass":
        return Finding.good(
            "DKIM",
            "The signature of {domain} (selector {selector}, {algorithm}, {bits} bits) passes.",
            **values,
            algorithm=one.algorithm,
            bits=one.key_bits,
        )
    if one.result == "temperror":
        return Finding.unknown(
            "DKIM", "The key of the signature of {domain} could not be fetched: {detail}", **values
        )
    wording = _wording(one.reason)
    text = sentence("The signature of {domain} (selector {selector}) does not pass: {reason} ({detail}).")
    return Finding(
        level="hint" if has_pass else "bad",
        topic="DKIM",
        text=text,
        remedy=wording.remedy,
        values=values | {"reason": wording.why},
    )


def judge_arc(evidence: ArcEvidence) -> list[Finding]:
    """Only where there is a chain: nobody needs one."""
    values: dict[str, str | int] = {
        "count": evidence.instances,
        "sealers": ", ".join(evidence.sealers) or "?",
        "detail": evidence.reason,
    }
    if evidence.result == "none":
        return []
    if evidence.result == "pass":
        return [Finding.good("ARC", "The chain of {count} seals is whole ({sealers}).", **values)]
    if evidence.is_temporary:
        return [Finding.unknown("ARC", "The chain of seals could not be checked: {detail}", **values)]
    return [
        Finding.hint(
            "ARC",
            "The chain of seals is broken: {detail}",
            "It counts as if there were none. Whoever sealed last changed the message afterwards, or "
            "sealed it wrongly.",
            **values,
        )
    ]
