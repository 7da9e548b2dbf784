"""Verifying the signatures of a message (RFC 6376 §6, RFC 8301, RFC 8463).

`DkimVerifier` takes the header section, then the body in pieces, then a resolver; only `finish` waits, and
only for the resolver. A signature that cannot be evaluated because DNS did not answer is temperror, never
anything else.
"""

import hashlib
from typing import NamedTuple

from sekisho.core.mailauth.dkim.canonical import BodyHashes
from sekisho.core.mailauth.dkim.evidence import STRICT, DkimEvidence, DkimPolicy, DkimResult
from sekisho.core.mailauth.dkim.header_hash import CanonicalHeader
from sekisho.core.mailauth.dkim.keys import KeyRecord, is_signed_by, parse_key_record
from sekisho.core.mailauth.dkim.signature import Signature, SignatureError, parse_signature
from sekisho.core.mailauth.dkim.tags import TagError, parse_tags, without_white_space
from sekisho.core.mailauth.synchronous import run_synchronously
from sekisho.core.message.header import Field, HeaderSection
from sekisho.core.terms.dns import Resolver

MAX_SIGNATURES = 10
MAX_KEYS = 4  # at one name are tried
MAX_KEY_RECORDS = 16  # are looked at for them
_START_OCTETS = 64  # of b=: enough for header.b, folded as it may be
# RFC 5322 §3.6 and RFC 2045 allow these once. A second one is shown by some readers and signed by others (RFC
# 6376 §8.15).
SINGLETON_FIELDS = (
    b"from",
    b"sender",
    b"reply-to",
    b"to",
    b"cc",
    b"message-id",
    b"in-reply-to",
    b"references",
    b"subject",
    b"date",
    b"mime-version",
    b"content-type",
    b"content-transfer-encoding",
)


class _Candidate(NamedTuple):
    """A signature field. `signature` None: it could not be read; `refusal`: the result that is certain
    already, and why."""

    field: Field
    start: str  # of its b=
    signature: Signature | None
    refusal: tuple[DkimResult, str] | None = None


class KeyProblem(Exception):
    """No usable key: (result, reason)."""

    def __init__(self, result: DkimResult, reason: str) -> None:
        super().__init__(reason)
        self.result = result
        self.reason = reason


class DkimVerifier:
    """One message. `now_seconds`: seconds since 1970, for x=. `author_domain`: whose signatures go first when
    there are too many."""

    def __init__(
        self, header: HeaderSection, now_seconds: int, *, author_domain: str = "", policy: DkimPolicy = STRICT
    ) -> None:
        self._canonical = CanonicalHeader(header)
        self._policy = policy
        self._candidates = [
            _examine(header, field, now_seconds, policy)
            for field in _choose(header.all(b"dkim-signature"), header, author_domain)
        ]
        specs = [
            c.signature.body_spec for c in self._candidates if c.signature is not None and c.refusal is None
        ]
        self._hashes = BodyHashes(specs)
        self.wants_body = bool(
            specs
        )  # False if no signature can pass whatever the body is: `feed` may then be left out

    @property
    def key_names(self) -> tuple[str, ...]:
        """The TXT names that `finish` will ask for, so that they can be asked for while the body still
        comes."""
        return tuple(
            dict.fromkeys(c.signature.key_name for c in self._candidates if c.signature and c.refusal is None)
        )

    def feed(self, octets: bytes) -> None:
        """The next octets of the body, with CRLF line ends."""
        self._hashes.feed(octets)

    async def finish(self, resolver: Resolver) -> tuple[DkimEvidence, ...]:
        """One evidence per signature looked at; empty if there is none (RFC 8601: none)."""
        self._hashes.finish()
        return tuple([await self._judge(candidate, resolver) for candidate in self._candidates])

    async def _judge(self, candidate: _Candidate, resolver: Resolver) -> DkimEvidence:
        signature = candidate.signature
        if candidate.refusal or signature is None:
            return _evidence(candidate, *(candidate.refusal or ("permerror", "unreadable")))
        if self._hashes.digest(signature.body_spec) != signature.body_hash:
            return _evidence(candidate, "fail", "body hash did not verify")
        body_octets = self._hashes.canonical_octets(signature.body_canonicalization)
        if signature.limit_octets is not None and signature.limit_octets > body_octets:
            return _evidence(candidate, "permerror", "l= is longer than the body")  # RFC 6376 §3.5
        try:
            keys = await fetch_keys(signature, resolver, self._policy)
        except KeyProblem as problem:
            return _evidence(candidate, problem.result, problem.reason)
        octets = self._canonical.signed_octets(
            candidate.field, signature.signed_names, signature.header_canonicalization
        )
        key = signing_key(keys, signature, octets)
        if key is None:
            return _evidence(candidate, "fail", "signature did not verify", keys[0])
        if signature.limit_octets is not None and signature.limit_octets < body_octets:
            # RFC 6376 §8.2: what l= leaves out is nobody's word.
            return _evidence(candidate, "policy", "l= leaves part of the body unsigned", key)
        return _evidence(candidate, "pass", "", key)


def _choose(fields: list[Field], header: HeaderSection, author_domain: str) -> list[Field]:
    """At most MAX_SIGNATURES, those of the author's domain and its relatives first, then the newest
    (topmost)."""
    if len(fields) <= MAX_SIGNATURES:
        return fields

    def is_foreign(field: Field) -> bool:
        try:
            domain = (
                parse_tags(header.octets[field.value : field.end])
                .get(b"d", b"")
                .decode("utf-8", "replace")
                .lower()
            )
        except TagError:
            return True
        own = author_domain.lower()
        return not (
            own and domain and (own == domain or own.endswith("." + domain) or domain.endswith("." + own))
        )

    return sorted(fields[: 10 * MAX_SIGNATURES], key=is_foreign)[:MAX_SIGNATURES]


def _examine(header: HeaderSection, field: Field, now_seconds: int, policy: DkimPolicy) -> _Candidate:
    """All that can be said without body and key."""
    start = ""
    try:
        tags = parse_tags(header.octets[field.value : field.end])
        start = without_white_space(tags.get(b"b", b"")[:_START_OCTETS])[:8].decode("ascii", "replace")
        signature = parse_signature(tags, versions=policy.versions)
    except TagError as error:
        return _Candidate(field, start, None, ("permerror", f"signature syntax: {error}"))
    except SignatureError as error:
        return _Candidate(field, start, None, ("permerror", str(error)))
    return _Candidate(field, start, signature, _refusal(header, signature, now_seconds, policy))


def _refusal(
    header: HeaderSection, signature: Signature, now_seconds: int, policy: DkimPolicy
) -> tuple[DkimResult, str] | None:
    """Why a well-formed signature cannot pass, whatever it covers."""
    if signature.hash_name == "sha1" and not policy.allows_sha1:
        return "policy", "rsa-sha1 is not acceptable"  # RFC 8301 §3.1
    if signature.expires_at is not None and signature.expires_at < now_seconds:
        return "fail", "signature expired"  # RFC 6376 §3.5 x=
    if "." not in signature.domain and not policy.allows_top_level:
        return "policy", "d= is a top-level domain"
    if header.too_many:
        return "policy", "too many header fields"
    if header.count(b"from") != 1:
        return "permerror", "the message has no From" if not header.count(b"from") else "more than one From"
    if header.has_repeated:
        for name in SINGLETON_FIELDS:
            if header.count(name) > 1:
                return "policy", f"more than one {name.decode()} field"
    return None


async def fetch_keys(signature: Signature, resolver: Resolver, policy: DkimPolicy) -> list[KeyRecord]:
    """The keys that may have made this signature, one at least; raises `KeyProblem`.

    RFC 6376 §3.6.2.2 wants one record at a name; where there are more, as while keys are changed, each is
    tried (§6.1.2), in no order.
    """
    answer = await resolver.resolve(signature.key_name, "TXT")
    records = [record for record in answer.records if isinstance(record, bytes)][:MAX_KEY_RECORDS]
    if not records:
        if answer.is_unknown:
            raise KeyProblem("temperror", f"key query: {answer.status.value}")
        raise KeyProblem("permerror", "no key for signature")
    usable: list[KeyRecord] = []
    problems: list[tuple[DkimResult, str]] = []
    for record in map(parse_key_record, records):
        if isinstance(record, str):
            problems.append(("permerror", record))
        elif (problem := _problem(record, signature, policy)) is not None:
            problems.append(problem)
        else:
            usable.append(record)
    if not usable:
        # What is said of a key that was read says more than what is said of one that was not.
        raise KeyProblem(*next((one for one in problems if one[0] == "policy"), problems[0]))
    return usable[:MAX_KEYS]


def _problem(key: KeyRecord, signature: Signature, policy: DkimPolicy) -> tuple[DkimResult, str] | None:
    """Why the key cannot have made the signature (RFC 6376 §6.1.2)."""
    if key.key_type != signature.key_type:
        return "permerror", "key type does not match a="
    if key.hash_names is not None and signature.hash_name not in key.hash_names:
        return "permerror", "key does not allow the hash algorithm"
    if key.is_strict and signature.identity_domain != signature.domain:
        return "permerror", "key demands i= at d= itself"  # RFC 6376 §3.6.1 t=s
    if key.key_type == "rsa" and key.bits < policy.min_rsa_bits:
        return "policy", f"RSA key of {key.bits} bits is too short"  # RFC 8301 §3.2
    return None


def signing_key(keys: list[KeyRecord], signature: Signature, octets: bytes) -> KeyRecord | None:
    """The key with which the signature verifies over the canonical octets."""
    digest = hashlib.sha256(octets).digest() if signature.key_type == "ed25519" else b""
    return next(
        (key for key in keys if is_signed_by(key, signature.hash_name, signature.signature, octets, digest)),
        None,
    )


def line_end_hint(message: bytes) -> str:
    """What is added to the reason of a failure over a whole message whose lines do not end as RFC 5322 §2.3
    wants."""
    if message.count(b"\n") == message.count(b"\r\n"):
        return ""
    return (
        "; the message has lines that end in a bare LF: convert them to CRLF first, as they were when "
        "it was signed"
    )


def _evidence(
    candidate: _Candidate, result: DkimResult, reason: str, key: KeyRecord | None = None
) -> DkimEvidence:
    signature = candidate.signature
    if signature is None:
        return DkimEvidence(result, reason, signature_start=candidate.start)
    return DkimEvidence(
        result=result,
        reason=reason,
        domain=signature.domain,
        selector=signature.selector,
        identity=signature.identity,
        algorithm=f"{signature.key_type}-{signature.hash_name}",
        signature_start=candidate.start,
        key_bits=key.bits if key else 0,
        is_testing=key.is_testing if key else False,
        signed_at=signature.signed_at,
        expires_at=signature.expires_at,
    )


async def verify_message(
    message: bytes,
    resolver: Resolver,
    now_seconds: int,
    *,
    author_domain: str = "",
    policy: DkimPolicy = STRICT,
) -> tuple[DkimEvidence, ...]:
    """A whole message (CRLF line ends; where it has others, the reason of a failure says so) at once."""
    header = HeaderSection(message)
    verifier = DkimVerifier(header, now_seconds, author_domain=author_domain, policy=policy)
    if verifier.wants_body:
        verifier.feed(message[header.body :])
    found = await verifier.finish(resolver)
    hint = line_end_hint(message) if any(one.result == "fail" for one in found) else ""
    return tuple(one._replace(reason=one.reason + hint) if one.result == "fail" else one for one in found)


def verify_message_now(
    message: bytes,
    resolver: Resolver,
    now_seconds: int,
    *,
    author_domain: str = "",
    policy: DkimPolicy = STRICT,
) -> tuple[DkimEvidence, ...]:
    """`verify_message` for a resolver that answers without waiting (`synchronous.LookupResolver`)."""
    return run_synchronously(
        verify_message(message, resolver, now_seconds, author_domain=author_domain, policy=policy)
    )
