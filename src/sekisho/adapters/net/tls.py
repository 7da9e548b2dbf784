"""SSL contexts: the server's, by certificate settings and SNI; the client's, opportunistic or verified."""

import functools
import os
import re
import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from sekisho.adapters.net.proving import NotFit, read_chain, shake_hands
from sekisho.adapters.net.tlslayer import ServerContext, SniObject
from sekisho.config.schema import Certificate

CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"  # TLS 1.2; RFC 9325 §4.2
# To strangers any encryption beats none (RFC 7435 §3), so keys are accepted there that only just pass.
STRANGER_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20:DHE+AESGCM:ECDHE+AES:AESGCM:AES:!aNULL:!PSK:!SRP:@SECLEVEL=1"
RECEPTION_KINDS = frozenset({"smtp"})
# Without tickets OpenSSL keeps 1.1 KB for each TLS 1.2 session, up to 20,480 of them, and Python cannot
# switch that off: a new context after so many handshakes forgets them.
RECEPTION_USES = 1000
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"
)


class CertificateProblem(Exception):
    """A certificate or key that cannot be used; the message names the file and says why."""


@dataclass(frozen=True, slots=True)
class CertificateMaterial:
    """A certificate as octets, so that the supervisor can read it as root and hand it to workers that
    cannot."""

    cert_pem: bytes
    key_pem: bytes
    names: tuple[str, ...]  # lower case; "*.example.org" stands for one label
    source: str  # for messages: the file


def read_certificates(
    settings: Sequence[Certificate],
    before: Sequence[CertificateMaterial] = (),
    kept: Callable[[str], None] | None = None,
) -> tuple[CertificateMaterial, ...]:
    """Read and prove each; raises CertificateProblem with all problems, one a line.

    `before`: what was read from these files earlier. It stays in use where what lies there now is not fit,
    and `kept` is told why.
    """
    old = {material.source: material for material in before}
    problems, found = [], []
    for number, setting in enumerate(settings):
        try:
            found.append(_read_certificate(setting))
        except (OSError, ValueError, ssl.SSLError, CertificateProblem) as error:
            problem, earlier = f"certificates[{number}]: {error}", old.get(str(setting.cert_file))
            if earlier is None or kept is None:
                problems.append(problem)
            else:
                found.append(earlier)
                kept(problem)
    if problems:
        raise CertificateProblem("\n".join(problems))
    return tuple(found)


def _read_certificate(setting: Certificate) -> CertificateMaterial:
    cert_pem, key_pem = setting.cert_file.read_bytes(), setting.key_file.read_bytes()
    try:
        leaf = read_chain(cert_pem)[0]
        names = setting.names or certificate_names(leaf)
        material = CertificateMaterial(
            cert_pem, key_pem, tuple(name.lower() for name in names), str(setting.cert_file)
        )
        context = _server_context(tickets=True)
        _load(context, material)
        shake_hands(context, leaf)
    except NotFit as problem:
        raise CertificateProblem(f"{setting.cert_file}: {problem}") from problem
    except ssl.SSLError as error:
        what = "is not the key of" if "MISMATCH" in (error.reason or "") else "cannot be used with"
        raise CertificateProblem(f"{setting.key_file} {what} {setting.cert_file} ({error.reason})") from error
    return material


def check_authorities(pem: bytes) -> None:
    """Can clients be asked for certificates of these? Raises CertificateProblem."""
    try:
        read_chain(pem)
        _trust(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), pem)
    except (NotFit, ssl.SSLError, ValueError) as error:
        raise CertificateProblem(str(error)) from error


def _trust(context: ssl.SSLContext, pem: bytes) -> None:
    context.load_verify_locations(cadata=pem.decode("ascii", "ignore"))


def certificate_names(certificate: x509.Certificate) -> tuple[str, ...]:
    """DNS names of the subjectAltName (RFC 9525 §6.3: the common name does not count)."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return ()
    return tuple(extension.value.get_values_for_type(x509.DNSName))


def _load(context: ssl.SSLContext, material: CertificateMaterial) -> None:
    """`load_cert_chain` takes only paths: the octets go through files that exist in memory alone."""
    cert, key = _memory_file(material.cert_pem), _memory_file(material.key_pem)
    try:
        context.load_cert_chain(f"/proc/self/fd/{cert}", f"/proc/self/fd/{key}", password="")
    finally:
        os.close(cert)
        os.close(key)


def _memory_file(octets: bytes) -> int:
    descriptor = os.memfd_create("sekisho", os.MFD_CLOEXEC)
    with open(descriptor, "wb", closefd=False) as file:
        file.write(octets)
    return descriptor


def end_point_of(cert_pem: bytes) -> bytes:
    """The channel binding tls-server-end-point, b"" where a signature like Ed25519's leaves it undefined (RFC
    5929 §4.1)."""
    leaf = x509.load_pem_x509_certificate(cert_pem)
    algorithm = leaf.signature_hash_algorithm
    if algorithm is None:
        return b""
    return leaf.fingerprint(hashes.SHA256() if isinstance(algorithm, hashes.MD5 | hashes.SHA1) else algorithm)


def is_host_name(name: str) -> bool:
    """A-labels, digits and hyphens only (THREATS 24): nothing else is ever looked up or written down."""
    return _HOST_NAME.match(name) is not None


class PreparedContexts:
    """Everything that new certificates need, made before any of it is in use."""

    def __init__(self, materials: Sequence[CertificateMaterial], authorities: Iterable[bytes] = ()) -> None:
        """`authorities`: PEM of those whose clients are asked who they are. Raises CertificateProblem if one
        of it cannot be used."""
        self.materials = tuple(materials)
        try:
            self.by_tickets = (
                {tickets: _Chains(materials, tickets) for tickets in (False, True)} if materials else {}
            )
            self.asking = {pem: _Chains(materials, True, pem) for pem in authorities} if materials else {}
        except (ssl.SSLError, ValueError) as error:
            raise CertificateProblem(
                f"a certificate cannot be used ({getattr(error, 'reason', None) or error})"
            ) from error


class ServerContexts:
    """The contexts of every listener kind. `use` puts other certificates in place for the next handshakes;
    open connections stay."""

    def __init__(self, materials: Sequence[CertificateMaterial] = ()) -> None:
        self._reception_uses = 0
        self._now = PreparedContexts(materials)

    def use(self, prepared: PreparedContexts) -> None:
        """All of them at once. It outlives certificates, since listeners and open connections ask it."""
        self._now = prepared

    def replace(self, materials: Sequence[CertificateMaterial]) -> None:
        """Raises CertificateProblem and changes nothing if one cannot be used."""
        self.use(PreparedContexts(materials))

    @property
    def has_certificates(self) -> bool:
        return bool(self._now.materials)

    def context(self, kind: str, client_ca: bytes = b"") -> ssl.SSLContext:
        """For a listener of this kind; raises KeyError without certificates. `client_ca`: PEM of whose
        clients are asked who they are."""
        now = self._now
        if client_ca:
            if client_ca not in now.asking:
                now.asking[client_ca] = _Chains(now.materials, True, client_ca)
            return now.asking[client_ca].default
        if kind not in RECEPTION_KINDS:
            return now.by_tickets[True].default
        self._reception_uses += 1
        if self._reception_uses % RECEPTION_USES == 0:
            now.by_tickets[False] = _Chains(now.materials, False)
        return now.by_tickets[False].default


class _Chains:
    """One context per certificate, chosen by SNI; the first answers unknown names (RFC 7672 §8.1: SNI is
    never enforced)."""

    def __init__(
        self, materials: Sequence[CertificateMaterial], tickets: bool, client_ca: bytes = b""
    ) -> None:
        self._by_name: dict[str, ssl.SSLContext] = {}
        contexts = []
        for material in materials:
            context = _server_context(tickets)
            _load(context, material)
            context.end_point = end_point_of(material.cert_pem)
            if client_ca:
                _trust(context, client_ca)
                context.verify_mode = ssl.CERT_OPTIONAL  # whoever shows none has a password
            contexts.append(context)
            for name in material.names:
                self._by_name.setdefault(name, context)
        self.default: ssl.SSLContext = contexts[0]
        # With wrap_bio it is called with our SSLObject.
        self.default.sni_callback = self._choose  # type: ignore[assignment]  # the stub wants SSLSocket

    def _choose(self, tls: SniObject, name: str | None, _context: ssl.SSLContext) -> None:
        if name is None or not is_host_name(name := name.lower()):
            return
        tls.sni = name
        chosen = self._by_name.get(name) or self._by_name.get(f"*.{name.partition('.')[2]}")
        if chosen is not None:
            tls.context = chosen


def _server_context(tickets: bool) -> ServerContext:
    context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
    context.sslobject_class = SniObject
    context.minimum_version = ssl.TLSVersion.TLSv1_2  # RFC 8996
    context.set_ciphers(CIPHERS)
    context.options |= (
        ssl.OP_NO_RENEGOTIATION
        | ssl.OP_NO_COMPRESSION
        | ssl.OP_CIPHER_SERVER_PREFERENCE
        | ssl.OP_SINGLE_ECDH_USE
    )
    context.verify_mode = (
        ssl.CERT_NONE
    )  # RFC 8314 §4.2: no client certificate is asked for, unless some open accounts
    context.num_tickets = 1
    if not tickets:
        # A large sender could not deliver to servers that gave tickets on port 25 (THREATS, TLS tickets).
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    return context


class ClientContexts:
    """For outgoing connections. `ca_file` replaces the system's authorities (an own authority in a closed
    network)."""

    def __init__(self, ca_file: Path | None = None) -> None:
        self._ca_file = ca_file

    def context(self, verify: Literal["none", "pkix"]) -> ssl.SSLContext:
        return self._stranger if verify == "none" else self._verified

    @functools.cached_property
    def _stranger(self) -> ssl.SSLContext:
        context = _client_context()
        context.set_ciphers(STRANGER_CIPHERS)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    @functools.cached_property
    def _verified(self) -> ssl.SSLContext:
        context = _client_context()
        context.set_ciphers(CIPHERS)
        context.hostname_checks_common_name = False  # RFC 8461 §4.1: subjectAltName only
        context.load_verify_locations(self._ca_file) if self._ca_file else context.load_default_certs()
        return context


def _client_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    return context
