"""DANE for SMTP: does the chain that a mail host shows match what its zone says (RFC 7672, RFC 7671)?

Whether TLSA records may be believed at all (the resolver validated them) was decided before; here they are
compared with certificates.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sekisho.core.terms.dns import Tlsa

# RFC 8460 §4.3, as far as a chain can fail.
ChainFailure = Literal[
    "certificate-host-mismatch",
    "certificate-expired",
    "certificate-not-trusted",
    "validation-failure",
    "tlsa-invalid",
]

_TA, _EE = 2, 3
_DIGEST_OCTETS = {1: 32, 2: 64}
_MAX_RECORDS = 64
_MAX_CHAIN = 10
_SERVER_AUTH = x509.oid.ExtendedKeyUsageOID.SERVER_AUTH
_ANY_USAGE = x509.oid.ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE


@dataclass(frozen=True, slots=True)
class DaneMatch:
    """`record` is the one that vouches; None with a `failure`, and a sentence for the journal."""

    record: Tlsa | None
    failure: ChainFailure | None = None
    because: str = ""


def usable_records(records: Sequence[Tlsa]) -> tuple[Tlsa, ...]:
    """Those that may authenticate a mail host (RFC 7672 §3.1): DANE-TA(2) and DANE-EE(3) with a selector and
    a digest that are known.

    PKIX-TA(0) and PKIX-EE(1) are unusable (RFC 7672 §3.1.3). Of several digests of one usage and selector the
    strongest counts, beside full ones (RFC 7671 §9).
    """
    known = [record for record in records[:_MAX_RECORDS] if _is_known(record)]
    strongest: dict[tuple[int, int], int] = {}
    for record in known:
        key = (record.usage, record.selector)
        strongest[key] = max(strongest.get(key, 0), record.matching)
    return tuple(
        record for record in known if record.matching in (0, strongest[record.usage, record.selector])
    )


def _is_known(record: Tlsa) -> bool:
    if record.usage not in (_TA, _EE) or record.selector not in (0, 1):
        return False
    if record.matching == 0:
        return bool(record.data)
    return len(record.data) == _DIGEST_OCTETS.get(record.matching, -1)


def match_chain(
    records: Sequence[Tlsa], chain: Sequence[bytes], names: Sequence[str], now_us: int
) -> DaneMatch:
    """Compare usable records with the chain (DER, leaf first) that the host showed.

    `names`: the reference identifiers, which DANE-TA(2) asks for: TLSA base domain, next hop and what it
    expands to (RFC 7672 §3.2.2).
    """
    try:
        certificates = [x509.load_der_x509_certificate(der) for der in chain[:_MAX_CHAIN]]
    except ValueError:
        return DaneMatch(None, "validation-failure", "the chain holds something that is no certificate")
    if not certificates:
        return DaneMatch(None, "validation-failure", "the host showed no certificate")
    for record in records:
        # RFC 7672 §3.1.1: names and dates do not count for DANE-EE(3).
        if record.usage == _EE and _matches(record, certificates[0]):
            return DaneMatch(record)
    worst = DaneMatch(None, "certificate-not-trusted", "no TLSA record matches the chain")
    shown = _Shown(certificates)
    for record in dict.fromkeys(records):
        if record.usage != _TA:
            continue
        for anchor in _anchors(record, certificates):
            failure = _check_path(shown.path_below(anchor), anchor, names, now_us)
            if failure is None:
                return DaneMatch(record)
            worst = DaneMatch(None, *failure)
    return worst


class _Shown:
    """What the host showed, the leaf first, and who issued whom in it: each pair is asked once, since
    signatures cost and chains may be made to cost much."""

    def __init__(self, certificates: list[x509.Certificate]) -> None:
        self._certificates = certificates
        self._known: dict[tuple[int, int], bool] = {}

    def path_below(self, anchor: x509.Certificate) -> list[x509.Certificate]:
        """From the leaf up to what the anchor issued, or the leaf alone if it is the anchor; [] without a
        way.

        Those above the leaf may stand in any order, and some beside the way (RFC 8446 §4.4.2)."""
        path = [self._certificates[0]]
        while path[-1] is not anchor and not self._issued(path[-1], anchor):
            above = [one for one in self._certificates if not any(one is other for other in path)]
            issuer = next((one for one in above if self._issued(path[-1], one)), None)
            if issuer is None:
                return []
            path.append(issuer)
        return path

    def _issued(self, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
        key = (id(certificate), id(issuer))
        if key not in self._known:
            try:
                certificate.verify_directly_issued_by(issuer)
                self._known[key] = True
            except (ValueError, TypeError, InvalidSignature):
                self._known[key] = False
        return self._known[key]


def _matches(record: Tlsa, certificate: x509.Certificate) -> bool:
    try:
        octets = certificate.public_bytes(Encoding.DER) if record.selector == 0 else _key_of(certificate)
    except ValueError:  # a key of a kind that nobody knows
        return False
    if record.matching == 0:
        return record.data == octets
    return record.data == (hashlib.sha256 if record.matching == 1 else hashlib.sha512)(octets).digest()


def _key_of(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _anchors(record: Tlsa, certificates: list[x509.Certificate]) -> list[x509.Certificate]:
    """The record's authority, as it stands in the chain. The leaf may be its own authority.

    One that the record holds in full need not be in the chain (RFC 7671 §5.2.2); else the host must show it
    (RFC 7672 §3.1.2).
    """
    found = [certificate for certificate in certificates if _matches(record, certificate)]
    if not found and record.selector == 0 and record.matching == 0:
        try:
            found = [x509.load_der_x509_certificate(record.data)]
        except ValueError:
            return []
    return found


def _check_path(
    path: list[x509.Certificate], anchor: x509.Certificate, names: Sequence[str], now_us: int
) -> tuple[ChainFailure, str] | None:
    """From the leaf up to the anchor (RFC 5280 §6.1 without revocation): signatures, dates, authority, then
    the name."""
    if not path:
        return (
            "certificate-not-trusted",
            "the chain does not lead to the authority that the TLSA record names",
        )
    now = datetime.fromtimestamp(now_us / 1_000_000, UTC)
    for certificate in path:
        if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
            return (
                "certificate-expired",
                f"a certificate is valid until {certificate.not_valid_after_utc:%Y-%m-%d} only, or not yet",
            )
    issuers = [*path[1:], anchor] if path[-1] is not anchor else path[1:]
    if not all(_may_issue(issuer, below) for below, issuer in enumerate(issuers)):
        return "certificate-not-trusted", "a certificate in the chain may not issue others"
    if not _may_serve(path[0]):
        return "certificate-not-trusted", "the certificate is not for servers"
    if not any(certificate_names_host(path[0], name) for name in names):
        return "certificate-host-mismatch", f"the certificate is for none of {', '.join(names)}"
    return None


def _may_issue(certificate: x509.Certificate, below: int) -> bool:
    """`below`: how many authorities stand between it and the leaf (RFC 5280 §4.2.1.3, §4.2.1.9)."""
    try:
        extensions = certificate.extensions
        basic = extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    if not basic.ca or (basic.path_length is not None and basic.path_length < below):
        return False
    try:
        return extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _may_serve(certificate: x509.Certificate) -> bool:
    try:
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False
    return _SERVER_AUTH in usages or _ANY_USAGE in usages


def certificate_names_host(certificate: x509.Certificate, host: str) -> bool:
    """Is `host` among the DNS names of the certificate? A wildcard stands for one whole label, the leftmost
    (RFC 9525 §6.3)."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return False
    host = host.lower().rstrip(".")
    parent = host.partition(".")[2]
    for name in extension.value.get_values_for_type(x509.DNSName):
        name = name.lower().rstrip(".")
        if name == host or (name.startswith("*.") and name.count(".") > 1 and name[2:] == parent):
            return True
    return False
