"""Validating a chain of ARC seals (RFC 8617 §5.2). What a chain is worth is the business of policy: it is a
hint at most."""

from dataclasses import dataclass, replace
from typing import Literal

from sekisho.core.mailauth.arc.chain import ArcSet, ChainError, collect_sets, sealed_octets
from sekisho.core.mailauth.dkim.canonical import BodyHashes, BodyHashSpec
from sekisho.core.mailauth.dkim.evidence import STRICT
from sekisho.core.mailauth.dkim.header_hash import CanonicalHeader
from sekisho.core.mailauth.dkim.signature import (
    Signature,
    SignatureError,
    decode_base64_tag,
    parse_algorithm,
    parse_domain_and_selector,
    parse_signature,
)
from sekisho.core.mailauth.dkim.tags import TagError, parse_tags
from sekisho.core.mailauth.dkim.verify import KeyProblem, fetch_keys, line_end_hint, signing_key
from sekisho.core.mailauth.synchronous import run_synchronously
from sekisho.core.message.header import Field, HeaderSection
from sekisho.core.terms.dns import Resolver

ChainStatus = Literal["none", "pass", "fail"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ArcEvidence:
    """The chain validation status (RFC 8617 §4.4). `sealers`: d= of each seal, instance 1 first, as far as
    they could be read.

    `is_temporary`: fail only because DNS did not answer, which RFC 8617 §5.2 does not tell apart.
    `was_failed`: the last seal itself says cv=fail, so that nobody adds another. `seen`: the value of each
    ARC-Authentication-Results, in the order of the seals, if the chain passes.
    """

    result: ChainStatus
    reason: str = ""
    instances: int = 0
    sealers: tuple[str, ...] = ()
    is_temporary: bool = False
    was_failed: bool = False
    seen: tuple[bytes, ...] = ()


class _Failed(Exception):
    """The chain fails; the text says why."""


class ArcVerifier:
    """One message: header section, then body in pieces, then a resolver, as `DkimVerifier`."""

    def __init__(self, header: HeaderSection, now_seconds: int) -> None:
        self._header = header
        self._canonical = CanonicalHeader(header)
        self._sets: list[ArcSet] = []
        self._seals: list[Signature] = []
        self._message_signature: Signature | None = None
        self._early: ArcEvidence | None = None
        self._hashes = BodyHashes([])
        try:
            self._read(now_seconds)
        except (_Failed, ChainError, TagError, SignatureError) as error:
            self._early = self._evidence("fail", str(error) or "syntax")

    def _read(self, now_seconds: int) -> None:
        """Everything that needs neither body nor keys (RFC 8617 §5.2 steps 1–3)."""
        if self._header.too_many:
            raise _Failed("too many header fields")
        self._sets = collect_sets(self._header)
        if not self._sets:
            self._early = ArcEvidence(result="none")
            return
        for number, arc_set in enumerate(self._sets, 1):
            self._seals.append(self._read_seal(number, arc_set.seal))
        if self._header.count(b"from") != 1:
            raise _Failed("the message does not have exactly one From")
        signature = parse_signature(self._tags(self._sets[-1].message_signature), is_arc=True)
        if b"arc-seal" in signature.signed_names:  # RFC 8617 §4.1.2
            raise _Failed("ARC-Message-Signature covers ARC-Seal")
        if signature.hash_name == "sha1":
            raise _Failed("rsa-sha1 is not acceptable")
        if signature.expires_at is not None and signature.expires_at < now_seconds:
            raise _Failed("ARC-Message-Signature expired")
        self._message_signature = signature
        self._hashes = BodyHashes([signature.body_spec])

    def _tags(self, field: Field) -> dict[bytes, bytes]:
        return parse_tags(self._header.octets[field.value : field.end])

    def _read_seal(self, number: int, field: Field) -> Signature:
        """A seal as a signature over no fields (RFC 8617 §4.1.3)."""
        tags = self._tags(field)
        for name in (b"a", b"b", b"cv", b"d", b"s"):
            if not tags.get(name):
                raise _Failed(f"ARC-Seal without {name.decode()}=")
        if b"h" in tags or b"bh" in tags:
            raise _Failed("ARC-Seal with h= or bh=")
        if not tags.get(b"t", b"0").isdigit():
            raise _Failed("ARC-Seal with a bad t=")
        status = tags[b"cv"].lower()
        if status == b"fail" and number == len(self._sets):
            self._early = self._evidence("fail", "the last seal reports a failed chain", was_failed=True)
        elif status != (b"none" if number == 1 else b"pass"):
            raise _Failed(f"seal {number} has cv={status.decode('ascii', 'replace')[:20]}")
        key_type, hash_name = parse_algorithm(tags[b"a"])
        if hash_name == "sha1":
            raise _Failed("rsa-sha1 is not acceptable")
        domain, selector = parse_domain_and_selector(tags[b"d"], tags[b"s"])
        octets = decode_base64_tag(tags[b"b"], "b")
        spec = BodyHashSpec("relaxed", hash_name)  # not used: a seal covers no body
        return Signature(
            key_type=key_type,
            hash_name=hash_name,
            signature=octets,
            body_hash=b"",
            header_canonicalization="relaxed",
            body_canonicalization="relaxed",
            domain=domain,
            selector=selector,
            identity="",
            identity_domain=domain,
            signed_names=(),
            limit_octets=None,
            signed_at=None,
            expires_at=None,
            body_spec=spec,
        )

    @property
    def wants_body(self) -> bool:
        """False if the outcome is certain already: `feed` may then be left out."""
        return self._early is None

    @property
    def key_names(self) -> tuple[str, ...]:
        """The TXT names that `finish` will ask for."""
        if self._early is not None or self._message_signature is None:
            return ()
        return tuple(dict.fromkeys(s.key_name for s in (self._message_signature, *reversed(self._seals))))

    def feed(self, octets: bytes) -> None:
        """The next octets of the body, with CRLF line ends."""
        self._hashes.feed(octets)

    async def finish(self, resolver: Resolver) -> ArcEvidence:
        """RFC 8617 §5.2 steps 4–7: the newest message signature, then every seal from the newest down."""
        if self._early is not None:
            return self._early
        self._hashes.finish()
        try:
            await self._check_message_signature(resolver)
            for number in range(len(self._sets), 0, -1):
                await self._check_seal(number, resolver)
        except _Failed as failure:
            return self._evidence("fail", str(failure))
        except KeyProblem as problem:
            return self._evidence("fail", problem.reason, is_temporary=problem.result == "temperror")
        return self._evidence("pass", "")

    async def _check_message_signature(self, resolver: Resolver) -> None:
        signature = self._message_signature
        if signature is None:
            raise _Failed("no message signature")
        if self._hashes.digest(signature.body_spec) != signature.body_hash:
            raise _Failed("body hash of the newest message signature did not verify")
        body_octets = self._hashes.canonical_octets(signature.body_canonicalization)
        if signature.limit_octets is not None and signature.limit_octets != body_octets:
            raise _Failed("l= is not the length of the body")
        keys = await fetch_keys(signature, resolver, STRICT)
        field = self._sets[-1].message_signature
        octets = self._canonical.signed_octets(
            field, signature.signed_names, signature.header_canonicalization
        )
        if signing_key(keys, signature, octets) is None:
            raise _Failed("the newest message signature did not verify")

    async def _check_seal(self, number: int, resolver: Resolver) -> None:
        seal = self._seals[number - 1]
        keys = await fetch_keys(seal, resolver, STRICT)
        if signing_key(keys, seal, sealed_octets(self._header, self._canonical, self._sets[:number])) is None:
            raise _Failed(f"seal {number} did not verify")

    def _evidence(
        self, result: ChainStatus, reason: str, *, is_temporary: bool = False, was_failed: bool = False
    ) -> ArcEvidence:
        sealers = tuple(seal.domain for seal in self._seals)
        seen: tuple[bytes, ...] = ()
        if result == "pass":
            seen = tuple(self._header.octets[one.results.value : one.results.end] for one in self._sets)
        return ArcEvidence(
            result=result,
            reason=reason,
            instances=len(self._sets),
            sealers=sealers,
            is_temporary=is_temporary,
            was_failed=was_failed,
            seen=seen,
        )


async def verify_chain(message: bytes, resolver: Resolver, now_seconds: int) -> ArcEvidence:
    """A whole message (CRLF line ends) at once."""
    header = HeaderSection(message)
    verifier = ArcVerifier(header, now_seconds)
    if verifier.wants_body:
        verifier.feed(message[header.body :])
    found = await verifier.finish(resolver)
    return replace(found, reason=found.reason + line_end_hint(message)) if found.result == "fail" else found


def verify_chain_now(message: bytes, resolver: Resolver, now_seconds: int) -> ArcEvidence:
    """`verify_chain` for a resolver that answers without waiting (`synchronous.LookupResolver`)."""
    return run_synchronously(verify_chain(message, resolver, now_seconds))
