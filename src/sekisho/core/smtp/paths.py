"""Arguments of MAIL, RCPT, EHLO and BDAT (RFC 5321 §4.1.1, §4.1.2; RFC 3461 §4; RFC 1870 §3; RFC 6531 §3.4).

Every parser takes text without its CRLF and raises `SyntaxRefused`, which carries the reply.
"""

import re
from collections.abc import Callable, Container
from dataclasses import dataclass
from typing import Any, cast

from sekisho.core.terms.address import Address, AddressError, ReversePath, parse_domain
from sekisho.core.terms.envelope import Envelope, Notify, Recipient
from sekisho.core.terms.reply import Reply

# RFC 5321 §4.5.3.1.3, the angle brackets not counted.
MAX_PATH_OCTETS = 254
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')
# RFC 5321 §4.1.2 A-d-l. A route is recognised and ignored (§4.1.1.3, appendix C): it never names a
# destination.
_HOP = r"@(?:[A-Za-z0-9](?:[A-Za-z0-9.\-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.IPv]+\])"
_ROUTE = re.compile(rf"{_HOP}(?:,{_HOP})*:")
_KEYWORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9\-]*\Z")
# RFC 5321 §4.1.2 esmtp-value, extended by RFC 6531 §3.3 item 5.
_VALUE = re.compile("[!-<>-~\u0080-\U0010ffff]+\\Z")
_XTEXT = re.compile(r"(?:[!-*,-<>-~]|\+[0-9A-F]{2})*\Z")  # RFC 3461 §4
_HEXCHAR = re.compile(r"\+([0-9A-F]{2})")
_PRINTABLE = re.compile(r"[ -~]*\Z")
_SIZE = re.compile(r"[0-9]{1,20}\Z", re.ASCII)
_ADDR_TYPE = re.compile(r"[A-Za-z0-9\-]{1,64}\Z")
# RFC 6533 §3: a utf-8 address as it stands in an ORCPT, unitext form.
_UNITEXT = re.compile("(?:[!-*,-<>-~\u0080-\U0010ffff]|\\+[0-9A-F]{2}|\\\\x\\{[0-9A-F]{2,6}\\})*\\Z")


class SyntaxRefused(Exception):
    """The client's command cannot be taken; `reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(str(reply))
        self.reply = reply


class TooLarge(SyntaxRefused):
    """Nothing is wrong with the command, but the message would be larger than we take."""


def refuse(code: int, enhanced: str, text: str) -> SyntaxRefused:
    return SyntaxRefused(Reply.of(code, enhanced, text))


@dataclass(frozen=True, slots=True, kw_only=True)
class PathRules:
    """What the session allows: `utf8` is the SMTPUTF8 of this transaction, `dsn` and `sasl` which parameters
    were offered, `tls` whether it is encrypted."""

    message_octets: int
    dsn: bool = True
    utf8_offered: bool = True
    sasl_offered: bool = False
    extended: bool = True  # EHLO was said
    tls: bool = False
    loose_domains: Container[str] = ()


def decode_line(line: bytes) -> str:
    """A command line as text; raises when it is not UTF-8."""
    try:
        return line.decode("ascii" if line.isascii() else "utf-8")
    except UnicodeDecodeError:
        raise refuse(500, "5.5.2", "The command is not valid UTF-8") from None


def parse_hello_name(text: str) -> str:
    """RFC 5321 §4.1.1.1: a domain or an address literal, lower-case. Underscores in host names are let
    through (§4.1.4)."""
    name = text.strip(" ")
    if not name:
        raise refuse(501, "5.5.4", "The command needs a host name or an address literal")
    try:
        domain = parse_domain(name.replace("_", "-"))
        return name.lower() if name.isascii() else domain
    except AddressError:
        raise refuse(501, "5.5.4", "The argument is neither a host name nor an address literal") from None


def split_path(text: str, keyword: str, status: str) -> tuple[str, str]:
    """`FROM:<path> parameters` → (path without brackets, parameters). One space after the colon is let
    through."""
    if text[: len(keyword)].upper() != keyword:
        raise refuse(501, "5.5.4", f"Expected {keyword}<address>")
    rest = text[len(keyword) :].lstrip(" ")
    if not rest.startswith("<"):
        raise refuse(501, status, "The address must stand in angle brackets")
    quoted = _QUOTED.match(rest, 1)
    end = rest.find(">", quoted.end() if quoted else 1)
    if end < 0:
        raise refuse(501, status, "The address lacks the closing >")
    parameters = rest[end + 1 :]
    if parameters and not parameters.startswith(" "):
        raise refuse(501, "5.5.4", "Only parameters may follow the address, each after a space")
    return rest[1:end], parameters


def parse_address(path: str, status: str, loose_domains: Container[str]) -> Address:
    """What stands between the angle brackets, not empty."""
    if path.startswith("@"):
        route = _ROUTE.match(path)
        if not route:
            raise refuse(501, status, "The source route is malformed")
        path = path[route.end() :]
    if len(path) > MAX_PATH_OCTETS or len(path.encode()) > MAX_PATH_OCTETS:
        raise refuse(501, status, "The address is too long")
    try:
        return Address.from_text(path, loose_domains)
    except AddressError as error:
        raise refuse(501, status, f"Bad address: {error}") from None


def parse_mail(text: str, rules: PathRules) -> Envelope:
    """The argument of MAIL (RFC 5321 §4.1.1.2)."""
    path, parameter_text = split_path(text, "FROM:", "5.1.7")
    values = _parse_parameters(parameter_text, _MAIL_PARAMETERS, rules)
    if path:
        reverse_path = ReversePath(parse_address(path, "5.1.7", rules.loose_domains))
    else:
        reverse_path = ReversePath()
    if not values.get("smtputf8") and not path.isascii():
        raise refuse(553, "5.6.7", "An internationalised address needs SMTPUTF8")  # RFC 6531 §3.5
    return Envelope(reverse_path=reverse_path, **values)


def parse_rcpt(text: str, rules: PathRules, smtputf8: bool) -> Recipient:
    """The argument of RCPT (RFC 5321 §4.1.1.3)."""
    path, parameter_text = split_path(text, "TO:", "5.1.3")
    if not path:
        raise refuse(501, "5.1.3", "The recipient is empty")
    values = _parse_parameters(parameter_text, _RCPT_PARAMETERS, rules)
    if not smtputf8 and not (path.isascii() and parameter_text.isascii()):
        raise refuse(553, "5.6.7", "An internationalised address needs SMTPUTF8")  # RFC 6531 §3.5
    if path.lower() == "postmaster":  # RFC 5321 §4.1.1.3
        return Recipient(Address(path, ""), **values)
    return Recipient(parse_address(path, "5.1.3", rules.loose_domains), **values)


def parse_bdat(text: str) -> tuple[int, bool]:
    """`n [LAST]` (RFC 3030 §2)."""
    size, _, last = text.strip(" ").partition(" ")
    if not _SIZE.match(size) or last.strip(" ").upper() not in ("", "LAST"):
        raise refuse(501, "5.5.4", "Expected BDAT size [LAST]")
    return int(size), bool(last)


_Parser = Callable[[str | None, PathRules], dict[str, Any]]


def _parse_parameters(text: str, known: dict[str, _Parser], rules: PathRules) -> dict[str, Any]:
    if not text or not text.strip(" "):
        return {}
    if not rules.extended:
        raise refuse(555, "5.5.4", "Parameters need EHLO")
    seen: set[str] = set()
    values: dict[str, Any] = {}
    for item in text.strip(" ").split(" "):
        keyword, equals, value = item.partition("=")
        if not _KEYWORD.match(keyword) or (equals and not _VALUE.match(value)):
            raise refuse(501, "5.5.4", "A parameter is malformed")
        keyword = keyword.upper()
        parser = known.get(keyword)
        if parser is None:
            raise refuse(555, "5.5.4", f"Parameter {keyword[:40]} is not supported")  # RFC 5321 §4.1.1.11
        if keyword in seen:
            raise refuse(501, "5.5.4", f"Parameter {keyword} is given twice")
        seen.add(keyword)
        values.update(parser(value if equals else None, rules))
    return values


def _size(value: str | None, rules: PathRules) -> dict[str, Any]:
    if value is None or not _SIZE.match(value):
        raise refuse(501, "5.5.4", "SIZE needs a number")
    if int(value) > rules.message_octets:  # RFC 1870 §6.1
        raise TooLarge(Reply.of(552, "5.3.4", f"The message is larger than {rules.message_octets} octets"))
    return {"declared_octets": int(value)}


def _body(value: str | None, rules: PathRules) -> dict[str, Any]:
    body = (value or "").upper()
    if body not in ("7BIT", "8BITMIME"):  # RFC 6152 §2
        raise refuse(501, "5.5.4", "BODY must be 7BIT or 8BITMIME")
    return {"body": body}


def _smtputf8(value: str | None, rules: PathRules) -> dict[str, Any]:
    if not rules.utf8_offered:
        raise refuse(555, "5.5.4", "Parameter SMTPUTF8 is not supported")
    if value is not None:  # RFC 6531 §3.4
        raise refuse(501, "5.5.4", "SMTPUTF8 takes no value")
    return {"smtputf8": True}


def _ret(value: str | None, rules: PathRules) -> dict[str, Any]:
    _need_dsn(rules, "RET")
    ret = (value or "").upper()
    if ret not in ("FULL", "HDRS"):  # RFC 3461 §4.3
        raise refuse(501, "5.5.4", "RET must be FULL or HDRS")
    return {"ret": ret}


def _envid(value: str | None, rules: PathRules) -> dict[str, Any]:
    _need_dsn(rules, "ENVID")
    if not value or len(value) > 100:  # RFC 3461 §4.4
        raise refuse(501, "5.5.4", "ENVID must have 1 to 100 characters")
    return {"envid": decode_xtext(value, "ENVID")}


def _requiretls(value: str | None, rules: PathRules) -> dict[str, Any]:
    if not rules.tls:  # RFC 8689 §2
        raise refuse(530, "5.7.10", "REQUIRETLS needs TLS here too: STARTTLS first")
    if value is not None:
        raise refuse(501, "5.5.4", "REQUIRETLS takes no value")
    return {"requiretls": True}


def _sasl_identity(value: str | None, rules: PathRules) -> dict[str, Any]:
    """RFC 4954 §5: parsed, and taken as `<>`, because nobody here is trusted to vouch for others."""
    if not rules.sasl_offered:
        raise refuse(555, "5.5.4", "Parameter AUTH is not supported")
    if not value or len(value) > 500:
        raise refuse(501, "5.5.4", "AUTH must have 1 to 500 characters")
    decode_xtext(value, "AUTH")
    return {}


def _notify(value: str | None, rules: PathRules) -> dict[str, Any]:
    _need_dsn(rules, "NOTIFY")
    words = (value or "").upper().split(",")
    known = {"NEVER", "SUCCESS", "FAILURE", "DELAY"}
    if not known.issuperset(words) or len(set(words)) != len(words) or ("NEVER" in words and len(words) > 1):
        raise refuse(
            501, "5.5.4", "NOTIFY must be NEVER, or a list of SUCCESS, FAILURE and DELAY"
        )  # RFC 3461 §4.1
    return {"notify": frozenset(cast(list[Notify], words))}


def _orcpt(value: str | None, rules: PathRules) -> dict[str, Any]:
    _need_dsn(rules, "ORCPT")
    kind, semicolon, address = (value or "").partition(";")
    if not semicolon or not address or len(value or "") > 500 or not _ADDR_TYPE.match(kind):  # RFC 3461 §4.2
        raise refuse(501, "5.5.4", "ORCPT must be type;address of at most 500 characters")
    if kind.lower() == "utf-8":  # RFC 6533 §3
        if not _UNITEXT.match(address):
            raise refuse(501, "5.5.4", "The ORCPT address is malformed")
        return {"orcpt": f"{kind};{address}"}
    return {"orcpt": f"{kind};{decode_xtext(address, 'ORCPT')}"}


def decode_xtext(text: str, what: str) -> str:
    """RFC 3461 §4; what it decodes to must be printable: a line break would reach notices and queue (THREATS
    9, 49)."""
    if not _XTEXT.match(text):
        raise refuse(501, "5.5.4", f"{what} is not xtext")
    decoded = _HEXCHAR.sub(lambda match: chr(int(match[1], 16)), text) if "+" in text else text
    if not _PRINTABLE.match(decoded):
        raise refuse(501, "5.5.4", f"{what} holds characters that are not printable")
    return decoded


def _need_dsn(rules: PathRules, keyword: str) -> None:
    if not rules.dsn:
        raise refuse(555, "5.5.4", f"Parameter {keyword} is not supported")


_MAIL_PARAMETERS: dict[str, _Parser] = {
    "SIZE": _size,
    "BODY": _body,
    "SMTPUTF8": _smtputf8,
    "RET": _ret,
    "ENVID": _envid,
    "REQUIRETLS": _requiretls,
    "AUTH": _sasl_identity,
}
_RCPT_PARAMETERS: dict[str, _Parser] = {"NOTIFY": _notify, "ORCPT": _orcpt}
