"""Received fields read for what they say about the way a message came (RFC 5321 §4.4), in whatever dialect
they are written.

Nothing here is trusted: it feeds statistics, never a decision of its own.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass

MAX_VALUE = 600
MAX_HOPS = 20

_FROM = re.compile(r"from\s{1,20}([^\s()]{1,255})(?:\s{1,20}\(([^)]{0,300}\)?))?", re.IGNORECASE)
_BY = re.compile(r"\bby\s{1,20}([^\s();]{1,255})", re.IGNORECASE)
_WITH = re.compile(r"\bwith\s{1,20}([A-Za-z]{1,20})", re.IGNORECASE)
_IPV4 = re.compile(r"(?<![\w.\-])(\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?![\w.\-])")
_IPV6 = re.compile(r"\[(?:IPv6:)?([0-9a-f]{0,4}:[0-9a-f:]{2,45})\]", re.IGNORECASE)
_NAME = re.compile(r"(?<![\w@.\-])((?:[\w\-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![\w\-@])")
_ZONE = re.compile(r"[+\-]\d{4}(?!\d)|\([A-Z]{2,5}\)")
_PRIVATE = re.compile(r"10\.|127\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hop:
    """What one Received field says; "" for what it does not. `hello`: what the client called itself; `name`:
    what its address is called in the DNS, as far as the writer noted it; `remark`: unknown or "may be
    forged"."""

    hello: str = ""
    name: str = ""
    address: str = ""
    by: str = ""
    protocol: str = ""
    zone: str = ""
    remark: str = ""

    @property
    def is_private(self) -> bool:
        return bool(_PRIVATE.match(self.address))


def read_hop(value: str) -> Hop:
    """`value`: a Received field, unfolded."""
    value = value[:MAX_VALUE]
    by, protocol = _BY.search(value), _WITH.search(value)
    _, _, date = value.rpartition(";")
    zone = "".join(_ZONE.findall(date[:80]))
    hello = name = address = remark = ""
    if found := _FROM.match(value):
        hello = found[1].strip("[]").lower()
        told = (found[2] or "").lower()
        numbers = _IPV4.findall(found[0]) or _IPV6.findall(found[0])
        address = numbers[-1] if numbers else ""
        names = [each for each in _NAME.findall(told) if each != hello or "helo" not in told]
        name = names[0] if names else ""
        remark = "unknown" if "unknown" in told else "forged" if "may be forged" in told else ""
    return Hop(
        hello=hello,
        name=name,
        address=address,
        by=by[1].lower() if by else "",
        protocol=protocol[1].lower() if protocol else "",
        zone=zone,
        remark=remark,
    )


def organisation(domain: str) -> str:
    """The part of a name that one owner probably has, guessed without a list: for statistics only."""
    labels = domain.lower().strip(".").rsplit(".", 3)
    if len(labels) >= 3 and len(labels[-1]) == 2 and len(labels[-2]) <= 3:
        return ".".join(labels[-3:])
    return ".".join(labels[-2:])


def is_named_by(hops: Iterable[Hop], domain: str) -> str:
    """How a domain appears on the way: "name" (the DNS says so), "hello" (only claimed), "by" (a host that
    took it), or ""."""
    for hop in hops:
        if hop.name.endswith(domain):
            return "name"
        if hop.hello.endswith(domain):
            return "hello" if hop.name else "name"
        if hop.by.endswith(domain):
            return "by"
    return ""
