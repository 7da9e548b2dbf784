"""What the server offers, and the commands that may be sent to it."""

import re
from collections.abc import Mapping

from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reply import Reply
from sekisho.core.terms.xtext import encode_utf8_xtext, encode_xtext

Extensions = Mapping[str, str]  # EHLO keyword in upper case -> its parameters

_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*")
_NUMBER = re.compile(r"[0-9]{1,18}")
_MAILMAX = re.compile(r"(?:^| )MAILMAX=([0-9]{1,6})(?= |$)", re.IGNORECASE)
_RCPTMAX = re.compile(r"(?:^| )RCPTMAX=([0-9]{1,6})(?= |$)", re.IGNORECASE)
# RFC 5321 §4.5.3.1.8: every server takes as many in one transaction; §4.5.3.1.10 retries in such portions
# too.
RECIPIENTS_PER_TRANSACTION = 100


def parse_extensions(reply: Reply) -> dict[str, str]:
    """The keywords of an EHLO reply (RFC 5321 §4.1.1.1); lines that are none are passed over."""
    offered: dict[str, str] = {}
    for line in reply.lines[1:]:
        keyword = _KEYWORD.match(line)
        if keyword:
            offered[keyword[0].upper()] = line[keyword.end() :].strip(" =")
    return offered


def recipients_per_transaction(extensions: Extensions) -> int:
    """At most 100, or fewer if LIMITS says so (RFC 9422 §4)."""
    limit = _RCPTMAX.search(extensions.get("LIMITS", ""))
    return max(1, min(RECIPIENTS_PER_TRANSACTION, int(limit[1]))) if limit else RECIPIENTS_PER_TRANSACTION


def transactions_per_session(extensions: Extensions) -> int | None:
    """What LIMITS MAILMAX allows, if it is there (RFC 9422 §4.1)."""
    limit = _MAILMAX.search(extensions.get("LIMITS", ""))
    return max(1, int(limit[1])) if limit else None


def find_obstacle(envelope: Envelope, extensions: Extensions) -> Reply | None:
    """Why this server cannot be given this envelope at all, as our own reply; None if it can.

    `envelope.body` and `envelope.smtputf8` must say what the content really needs. 8-bit content is neither
    re-encoded (that breaks signatures, DESIGN law 6) nor sent to a server that does not announce 8BITMIME.
    """
    if envelope.smtputf8 and "SMTPUTF8" not in extensions:
        # RFC 6531 §3.2: the client must not send it.
        return Reply.of(
            550,
            "5.6.7",
            "The next server does not support internationalised mail (SMTPUTF8), which this message needs",
        )
    if envelope.body == "8BITMIME" and "8BITMIME" not in extensions:
        # RFC 6152 §3
        return Reply.of(
            554, "5.6.3", "The next server does not support 8-bit content (8BITMIME), which this message has"
        )
    if envelope.requiretls and "REQUIRETLS" not in extensions:
        # RFC 8689 §4.2.1; who the host is was looked at before.
        return Reply.of(550, "5.7.30", "The next server does not take REQUIRETLS, which this message has")
    size_limit = _NUMBER.fullmatch(extensions.get("SIZE", ""))
    if (
        size_limit
        and envelope.declared_octets is not None
        and 0 < int(size_limit[0]) < envelope.declared_octets
    ):
        # RFC 1870 §5: no need to send what is known to be refused.
        return Reply.of(
            552,
            "5.3.4",
            f"The message has {envelope.declared_octets} octets, the next server takes {size_limit[0]}",
        )
    return None


def mail_command(envelope: Envelope, extensions: Extensions) -> bytes:
    """MAIL with those parameters that the server offers."""
    line = f"MAIL FROM:<{envelope.reverse_path}>"
    if "SIZE" in extensions and envelope.declared_octets is not None:
        line += f" SIZE={envelope.declared_octets}"
    if envelope.body == "8BITMIME" and "8BITMIME" in extensions:
        line += " BODY=8BITMIME"
    if envelope.smtputf8:
        line += " SMTPUTF8"
    if envelope.requiretls:  # RFC 8689 §4.2.1; `find_obstacle` saw that it is offered
        line += " REQUIRETLS"
    if "DSN" in extensions:  # RFC 3461 §5.1: unchanged to who understands it, not at all to others
        if envelope.ret is not None:
            line += f" RET={envelope.ret}"
        if envelope.envid is not None:
            line += f" ENVID={encode_xtext(envelope.envid)}"
    return line.encode() + b"\r\n"


def rcpt_command(recipient: Recipient, extensions: Extensions) -> bytes:
    line = f"RCPT TO:<{recipient.address}>"
    if "DSN" in extensions:
        if recipient.notify:
            line += " NOTIFY=" + ",".join(sorted(recipient.notify))
        if recipient.orcpt is not None:
            line += " ORCPT=" + encode_orcpt(recipient.orcpt)
    return line.encode() + b"\r\n"


def encode_orcpt(orcpt: str) -> str:
    """`type;address` for a command line: xtext, or for non-ASCII addresses the 7-bit form of RFC 6533 §3."""
    kind, semicolon, address = orcpt.partition(";")
    if not semicolon or orcpt.isascii():
        return encode_xtext(kind) + semicolon + encode_xtext(address)
    return "utf-8;" + encode_utf8_xtext(address)
