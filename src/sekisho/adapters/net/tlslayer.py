"""One TLS connection over two memory BIOs: octets in, octets out, no socket.

OpenSSL keeps no record buffers between records (Python sets SSL_MODE_RELEASE_BUFFERS). A memory BIO never
shrinks, so nothing larger than a piece is ever laid into one: an idle connection must not remember its
largest message.
"""

import ssl
from typing import Any, Literal, Protocol

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from sekisho.ports.stream import CertificateFault, ClientCertificate, TlsInfo

RECORD_OCTETS = 16384  # the largest plaintext of one record (RFC 8446 §5.1)
# What goes into one record. An idle IMAP connection that once gave out a message costs 24 KB instead of 46; a
# MB takes 0.4 ms CPU more.
PIECE_OCTETS = 4096
# X509_V_ERR_… of OpenSSL: not yet valid, expired; another name, another address.
_FAULTS: dict[int, CertificateFault] = {9: "expired", 10: "expired", 62: "mismatch", 64: "mismatch"}


class ServerTls(Protocol):
    """How a listener's streams get their certificates, and whom they tell how a handshake ended."""

    def context(self) -> ssl.SSLContext: ...

    def handshake_ended(self, failure: str | None) -> None: ...


class ClientTls(Protocol):
    def context(self, verify: Literal["none", "pkix"]) -> ssl.SSLContext: ...


class ServerContext(ssl.SSLContext):
    """A context that knows the channel binding of its certificate (`ports.stream.TlsInfo.end_point`)."""

    end_point: bytes = b""


class SniObject(ssl.SSLObject):
    """An SSLObject that remembers which host name the client asked for."""

    sni: str | None = None


class TlsLayer:
    __slots__ = ("_incoming", "_object", "_outgoing", "begun", "ended", "server_side")

    def __init__(self, context: ssl.SSLContext, *, server_side: bool, server_name: str | None = None) -> None:
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._incoming, self._outgoing, server_side=server_side, server_hostname=server_name
        )
        self.server_side = server_side
        self.begun = False  # the peer has sent something
        self.ended = False  # the peer said close_notify

    @staticmethod
    def fault(error: ssl.SSLError) -> CertificateFault:
        """What was wrong with the peer's certificate, "" if the failure was another."""
        if not isinstance(error, ssl.SSLCertVerificationError):
            return ""
        return _FAULTS.get(error.verify_code, "untrusted")

    @staticmethod
    def reason(error: ssl.SSLError) -> str:
        """For the log: OpenSSL's reason, without the file and line of its source."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"certificate verify failed: {error.verify_message}"
        return str(error.reason or error)[:200]

    def feed(self, octets: bytes | memoryview) -> None:
        """Received octets, at most RECORD_OCTETS at a time."""
        self.begun = True
        self._incoming.write(octets)

    def handshake(self) -> bool:
        """Go on as far as possible: True when finished; raises ssl.SSLError. Then look at `take`."""
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        return True

    def decrypt(self, into: list[bytes]) -> int:
        """Append what can be read now, return how many octets; raises ssl.SSLError. Sets `ended` at
        close_notify."""
        total = 0
        read, incoming, pending = self._object.read, self._incoming, self._object.pending
        while incoming.pending or pending():
            try:
                octets = read(
                    min(RECORD_OCTETS, incoming.pending + pending())
                )  # never more than came: a buffer of that size is made
            except ssl.SSLWantReadError:
                break
            if not octets:
                self.ended = True
                break
            into.append(octets)
            total += len(octets)
        return total

    def seal(self, octets: memoryview) -> bytes:
        """The records of any number of octets, piece by piece; raises ssl.SSLError."""
        records: list[bytes] = []
        for start in range(0, len(octets), PIECE_OCTETS):
            self._object.write(octets[start : start + PIECE_OCTETS])
            records.append(self.take())
        return records[0] if len(records) == 1 else b"".join(records)

    def seal_last(self, octets: bytes) -> bytes:
        """At most PIECE_OCTETS, and close_notify behind them. Never raises: if the peer is gone, so is what
        it would have read."""
        try:
            if octets:
                self._object.write(octets)
            self._object.unwrap()
        except ssl.SSLError:
            pass  # it wants the peer's close_notify, or data is under way; ours lies in the BIO either way
        return self.take()

    def take(self) -> bytes:
        """What must go to the peer, b"" if nothing."""
        return self._outgoing.read() if self._outgoing.pending else b""

    def info(self) -> TlsInfo:
        """What was agreed on, once `handshake` said True."""
        cipher = self._object.cipher()
        sni = self._object.sni if isinstance(self._object, SniObject) else None
        chain = () if self._object.server_side else _peer_chain(self._object)
        context = self._object.context  # the one that SNI chose
        return TlsInfo(
            version=self._object.version() or "",
            cipher=iana_cipher_name(cipher[0]) if cipher else "",
            sni=sni,
            peer_chain=chain,
            end_point=context.end_point if isinstance(context, ServerContext) else b"",
            client=_client_certificate(self._object) if self._object.server_side else None,
        )


def _client_certificate(tls: ssl.SSLObject) -> ClientCertificate | None:
    """What the client showed, once OpenSSL has verified it; None if nothing was asked for or shown."""
    der = tls.getpeercert(binary_form=True)
    if der is None or tls.context.verify_mode is ssl.CERT_NONE:
        return None
    certificate = x509.load_der_x509_certificate(der)
    not_after_us = int(certificate.not_valid_after_utc.timestamp()) * 1_000_000
    return ClientCertificate(
        addresses_in(certificate), certificate.fingerprint(hashes.SHA256()).hex(), not_after_us
    )


def addresses_in(certificate: x509.Certificate) -> tuple[str, ...]:
    """RFC 8550 §3: those of the subjectAltName; from the subject only in old certificates that have none
    there."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return tuple(
            str(attribute.value)
            for attribute in certificate.subject.get_attributes_for_oid(x509.NameOID.EMAIL_ADDRESS)
        )
    return tuple(names.get_values_for_type(x509.RFC822Name))


def _peer_chain(tls: ssl.SSLObject) -> tuple[bytes, ...]:
    leaf = tls.getpeercert(binary_form=True)
    if leaf is None:
        return ()
    public: Any = getattr(tls, "get_unverified_chain", None)  # Python 3.13
    if public is not None:
        return tuple(public())
    private: Any = getattr(getattr(tls, "_sslobj", None), "get_unverified_chain", None)  # Python 3.10–3.12
    if private is None:
        return (leaf,)
    return tuple(ssl.PEM_cert_to_DER_cert(certificate.public_bytes()) for certificate in private() or ())


_KEY_EXCHANGES = ("ECDHE-ECDSA", "ECDHE-RSA", "DHE-RSA", "DHE-DSS")


def iana_cipher_name(openssl_name: str) -> str:
    """ "ECDHE-RSA-AES128-GCM-SHA256" → "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256" (RFC 8314 §4.3 wants the
    registered name)."""
    if openssl_name.startswith("TLS_"):
        return openssl_name
    exchange = next((name for name in _KEY_EXCHANGES if openssl_name.startswith(name + "-")), "RSA")
    rest = openssl_name.removeprefix(exchange + "-").split("-")
    cipher = rest[0].replace("AES", "AES_").replace("CAMELLIA", "CAMELLIA_")
    if cipher == "CHACHA20":
        rest = ["CHACHA20", "POLY1305", "SHA256"]
    elif len(rest) == 2:
        rest = [cipher, "CBC", rest[1]]
    else:
        rest[0] = cipher
    return f"TLS_{exchange}_WITH_{'_'.join(rest)}".replace("-", "_")
