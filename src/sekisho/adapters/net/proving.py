"""Is a certificate fit to be shown? Found out before any client sees it: the whole chain can be read, and a
handshake in memory ends well.

Dates and the order of the chain are warnings of `config.files`: a server with an expired certificate is
better than none.
"""

import re
import ssl

from cryptography import x509

_BEGIN = re.compile(rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----")
_TURNS = 6  # of each side: a handshake takes three


class NotFit(Exception):
    """The message says what is wrong with it, without a full stop."""


def read_chain(cert_pem: bytes) -> list[x509.Certificate]:
    """All of it, leaf first (RFC 8446 §4.4.2): half a file is no chain. Raises NotFit."""
    try:
        chain = x509.load_pem_x509_certificates(cert_pem)
    except ValueError as error:
        raise NotFit(f"it holds no PEM certificate ({error})") from error
    if len(_BEGIN.findall(cert_pem)) != len(chain):
        raise NotFit("its chain is not whole")
    return chain


def shake_hands(server: ssl.SSLContext, leaf: x509.Certificate) -> None:
    """By TLS 1.2 and by 1.3, with a client that believes everything. Raises NotFit when no client would see
    this certificate."""
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.minimum_version = client.maximum_version = version
        shown = _shown(server, client)
        if shown is None or x509.load_der_x509_certificate(shown) != leaf:
            raise NotFit("a handshake with it shows another certificate")


def _shown(server: ssl.SSLContext, client: ssl.SSLContext) -> bytes | None:
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = (client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True))
    waiting = set(sides)
    for _ in range(_TURNS):
        for side in sides:
            try:
                side.do_handshake()
                waiting.discard(side)
            except ssl.SSLWantReadError:
                pass
            except (ssl.SSLError, ValueError) as error:
                raise NotFit(
                    f"a handshake with it fails ({getattr(error, 'reason', None) or error})"
                ) from error
    if waiting:
        raise NotFit("a handshake with it does not end")
    return sides[0].getpeercert(binary_form=True)
