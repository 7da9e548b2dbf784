"""Sealing: one more ARC set on top of a message that is handed on (RFC 8617 §5.1). Small, and off unless
asked for."""

from sekisho.core.mailauth.arc.chain import (
    MAX_INSTANCES,
    ArcSet,
    collect_sets,
    highest_instance,
    reports_failure,
    sealed_octets,
)
from sekisho.core.mailauth.arc.verify import ArcEvidence
from sekisho.core.mailauth.dkim.canonical import relax_field
from sekisho.core.mailauth.dkim.header_hash import CanonicalHeader
from sekisho.core.mailauth.dkim.sign import DkimSigner, SigningRefused, names_to_sign
from sekisho.core.message.header import HeaderSection
from sekisho.core.terms.base64 import encode_base64


def results_to_seal(header: HeaderSection, authserv_id: str) -> bytes:
    """The Authentication-Results fields of our own id as one: `id; result; result` (RFC 8617 §4.1.1), without
    comments lost."""
    own: list[bytes] = []
    for value in header.values(b"authentication-results"):
        first, _, rest = value.partition(b";")
        words = first.split()
        if words and words[0].decode("utf-8", "replace").lower() == authserv_id.lower():
            own.append(rest.strip(b" \t;"))
    return b"; ".join([authserv_id.encode(), *filter(None, own)])


def seal_message(
    sealer: DkimSigner,
    header: HeaderSection,
    body_hash: bytes,
    results: bytes,
    chain: ArcEvidence,
    now_seconds: int,
    names: tuple[str, ...] | None = None,
    *,
    seals_failed: bool = False,
) -> bytes:
    """ARC-Seal, ARC-Message-Signature and ARC-Authentication-Results, to be put on top; raises
    `SigningRefused`.

    `body_hash`: of `SigningBody`; `results`: of `results_to_seal`; `chain`: what `ArcVerifier` found in the
    message as it is. `seals_failed`: a chain that failed for good is sealed as failed (cv=fail), once; else
    it is refused.
    """
    has_failed = chain.result == "fail"
    instance = (highest_instance(header) if has_failed else chain.instances) + 1
    # RFC 8617 §5.1.2: behind a seal with cv=fail comes no other; and what failed only for want of the DNS may
    # pass at the next hop.
    can_be_failed = seals_failed and not chain.is_temporary and not reports_failure(header)
    if (has_failed and not can_be_failed) or instance > MAX_INSTANCES:
        raise SigningRefused("the chain cannot be continued")
    signed_names = names or tuple(names_to_sign(header))
    field = b"ARC-Authentication-Results: i=%d; %b\r\n" % (instance, results)
    signature = _message_signature(
        sealer=sealer,
        header=header,
        body_hash=body_hash,
        instance=instance,
        names=signed_names,
        now_seconds=now_seconds,
    )
    status = b"fail" if has_failed else b"none" if instance == 1 else b"pass"
    seal = b"ARC-Seal: a=%b; b=; cv=%b; d=%b; i=%d; s=%b; t=%d\r\n" % (
        sealer.algorithm.encode(),
        status,
        sealer.domain.encode(),
        instance,
        sealer.selector.encode(),
        now_seconds,
    )
    own = HeaderSection(field + signature + seal)
    own_set = ArcSet(*own.fields)
    # RFC 8617 §5.1.2: a seal with cv=fail covers its own set alone, as if there were no other: the others may
    # not even be in order.
    before = b"" if has_failed else _whole_sets(header)
    covered = before + sealed_octets(own, CanonicalHeader(own), [own_set])
    sealed = seal.replace(b" b=;", b" b=" + encode_base64(sealer.sign_octets(covered)) + b";", 1)
    return sealed + signature + field


def _whole_sets(header: HeaderSection) -> bytes:
    """The sets that are there already, as a later seal covers them."""
    canonical = CanonicalHeader(header)
    return b"".join(
        canonical.field(field, "relaxed") for arc_set in collect_sets(header) for field in arc_set
    )


def _message_signature(
    sealer: DkimSigner,
    header: HeaderSection,
    body_hash: bytes,
    instance: int,
    names: tuple[str, ...],
    now_seconds: int,
) -> bytes:
    """RFC 8617 §4.1.2: as a DKIM-Signature, with i= for the instance; ARC fields are left to the seal."""
    lower = tuple(name.lower().encode() for name in names)
    if any(name.startswith(b"arc-") for name in lower) or b"from" not in lower:
        raise SigningRefused("ARC-Message-Signature covers From and no ARC field")
    value = b" a=%b; b=; bh=%b; c=relaxed/relaxed; d=%b; h=%b; i=%d; s=%b; t=%d" % (
        sealer.algorithm.encode(),
        encode_base64(body_hash),
        sealer.domain.encode(),
        b":".join(lower),
        instance,
        sealer.selector.encode(),
        now_seconds,
    )
    signed = b"".join(CanonicalHeader(header).fields(None, lower, "relaxed")) + relax_field(
        b"arc-message-signature", value
    )
    signature = encode_base64(sealer.sign_octets(signed))
    return b"ARC-Message-Signature:" + value.replace(b" b=;", b" b=" + signature + b";", 1) + b"\r\n"
