"""Domain names between text and octets (RFC 1035 §3.1, §4.1.4), and the reverse trees.

Text is as in `core.terms.dns`: lower-case, no trailing dot, odd octets as `\\DDD`; "" is the root.
"""

import re
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

MAX_LABEL_OCTETS = 63  # RFC 1035 §2.3.4
MAX_NAME_OCTETS = 255  # RFC 1035 §2.3.4, lengths and root label counted

_PLAIN = re.compile(r"[!-\-/-\[\]-~]+(?:\.[!-\-/-\[\]-~]+)*\Z")
_OCTET = re.compile(r"\\([0-9]{3})|\\[!-/:-~]|[!-\[\]-~]")
_NOT_PLAIN = re.compile(rb"[^!-\-/-\[\]-~]")


class BadName(ValueError):
    """The text is no name that a DNS message can carry."""


@lru_cache(maxsize=4096)
def name_to_wire(name: str) -> bytes:
    """The uncompressed octets of a name, lower-cased, a trailing dot allowed; raises `BadName`."""
    text = name.lower().removesuffix(".")
    if not text:
        return b"\0"
    if _PLAIN.match(text):
        labels = text.encode("ascii").split(b".")
    else:
        labels = _escaped_labels(text)
    out = b"".join(bytes((len(label),)) + label for label in labels if _check(label)) + b"\0"
    if len(out) > MAX_NAME_OCTETS:
        raise BadName("the name is longer than 255 octets")
    return out


def _check(label: bytes) -> bool:
    if not 0 < len(label) <= MAX_LABEL_OCTETS:
        raise BadName("a label must have 1 to 63 octets")
    return True


def _escaped_labels(text: str) -> list[bytes]:
    labels, position = [bytearray()], 0
    while position < len(text):
        match = _OCTET.match(text, position)
        if not match or int(match[1] or 0) > 255:
            raise BadName("the name holds an octet that must be escaped")
        if match[0] == ".":
            labels.append(bytearray())
        else:
            labels[-1].append(int(match[1]) if match[1] else ord(match[0][-1]))
        position = match.end()
    return list(map(bytes, labels))


def label_to_text(label: bytes) -> str:
    """One label as lower-case text, escaped where needed."""
    if not _NOT_PLAIN.search(label):
        return label.decode("ascii").lower()
    return "".join(
        f"\\{octet:03d}" if _NOT_PLAIN.match(bytes((octet,))) else chr(octet) for octet in label.lower()
    )


def normalize_name(name: str) -> str:
    """The one spelling of a name: lower-case, without trailing dot; raises `BadName`."""
    wire = name_to_wire(name)
    if "\\" not in name:
        return name.lower().removesuffix(".")
    labels, position = [], 0
    while wire[position]:
        labels.append(label_to_text(wire[position + 1 : position + 1 + wire[position]]))
        position += 1 + wire[position]
    return ".".join(labels)


def parent_name(name: str) -> str:
    """The name without its leftmost label, "" when none is left."""
    return name.partition(".")[2]


def reverse_name(address: IPv4Address | IPv6Address) -> str:
    """`1.2.0.192.in-addr.arpa` (RFC 1035 §3.5) or the nibbles under `ip6.arpa` (RFC 3596 §2.5)."""
    if isinstance(address, IPv4Address):
        return ".".join(reversed(str(address).split("."))) + ".in-addr.arpa"
    return ".".join(reversed(address.packed.hex())) + ".ip6.arpa"


def reversed_for_list(address: IPv4Address | IPv6Address) -> str:
    """The labels that a DNS list is asked with in front of its zone (RFC 5782 §2.1, §2.4)."""
    return reverse_name(address).rpartition(".")[0].rpartition(".")[0]
