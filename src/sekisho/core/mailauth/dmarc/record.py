"""The syntax of DMARC policy records (RFC 9989 §4.7, §4.8)."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeVar, cast

Policy = Literal["none", "quarantine", "reject"]
Alignment = Literal["r", "s"]
Psd = Literal["y", "n", "u"]

MAX_RECORD_OCTETS = 4096
MAX_URIS = 20

# RFC 9989 §4.8 dmarc-version: the name in any case, the value exactly so; then a separator or the end.
_VERSION = re.compile(rb"[vV][ \t]*=[ \t]*DMARC1[ \t]*(?:;|\Z)")
_TAG = re.compile(r"([A-Za-z][A-Za-z0-9_]*)[ \t]*=[ \t]*([ -:<-~\t]*?)[ \t]*\Z")
# RFC 3986 §3 with the characters of RFC 3986 §2; `!` and `,` must be encoded (RFC 9989 §4.8), the old size
# suffix is dropped.
_URI = re.compile(
    r"([A-Za-z][A-Za-z0-9+.\-]*:[A-Za-z0-9\-._~%:/?#\[\]@$&'()*+;=]+)(?:![0-9]+[kmgt]?)?\Z", re.IGNORECASE
)
_FAILURE_OPTIONS = re.compile(r"[01ds](?::[01ds])*\Z")
_KNOWN = frozenset(("v", "p", "sp", "np", "psd", "t", "adkim", "aspf", "rua", "ruf", "fo"))
_POLICIES = ("none", "quarantine", "reject")

Word = TypeVar("Word", bound=str)


@dataclass(frozen=True, slots=True, kw_only=True)
class DmarcRecord:
    """One record as published. `p`, `sp` and `np` are None where absent or not valid (`is_faulty` tells of
    the latter)."""

    text: str
    p: Policy | None = None
    sp: Policy | None = None
    np: Policy | None = None
    psd: Psd = "u"
    testing: bool = False
    adkim: Alignment = "r"
    aspf: Alignment = "r"
    rua: tuple[str, ...] = ()
    ruf: tuple[str, ...] = ()
    fo: str = "0"
    is_faulty: bool = False  # no valid p, or an sp or np that is not valid (RFC 9989 §4.10.1)

    @property
    def is_usable(self) -> bool:
        """May DMARC be applied with it? A faulty record counts as p=none, but only if it asks for reports
        (§4.10.1)."""
        return not self.is_faulty or bool(self.rua)


def is_dmarc_record(octets: bytes) -> bool:
    """Does a joined TXT record begin with this version's tag (RFC 9989 §4.10 step 2)?"""
    return _VERSION.match(octets) is not None


def parse_record(octets: bytes) -> DmarcRecord | None:
    """One that `is_dmarc_record`; None if a tag is there twice, which makes all of it invalid (RFC 6376
    §3.2)."""
    return _parse(octets[:MAX_RECORD_OCTETS])


@lru_cache(maxsize=4096)
def _parse(octets: bytes) -> DmarcRecord | None:
    text = octets.decode("ascii", "replace")
    tags: dict[str, str] = {}
    for part in text.split(";"):
        match = _TAG.match(part.strip(" \t"))
        if not match:
            continue  # RFC 9989 §4.8: syntax errors are ignored
        name = match[1].lower()
        if name in tags:
            return None
        if name in _KNOWN:
            tags[name] = match[2]
    policies = {name: _word(tags.get(name), _POLICIES) for name in ("p", "sp", "np")}
    faulty = policies["p"] is None or any(name in tags and policies[name] is None for name in ("sp", "np"))
    options = tags.get("fo", "0").lower().replace(" ", "").replace("\t", "")
    return DmarcRecord(
        text=text,
        p=cast(Policy | None, policies["p"]),
        sp=cast(Policy | None, policies["sp"]),
        np=cast(Policy | None, policies["np"]),
        psd=cast(Psd, _word(tags.get("psd"), ("y", "n", "u")) or "u"),
        testing=_word(tags.get("t"), ("y", "n")) == "y",
        adkim=cast(Alignment, _word(tags.get("adkim"), ("r", "s")) or "r"),
        aspf=cast(Alignment, _word(tags.get("aspf"), ("r", "s")) or "r"),
        rua=_uris(tags.get("rua", "")),
        ruf=_uris(tags.get("ruf", "")),
        fo=options if _FAILURE_OPTIONS.match(options) else "0",
        is_faulty=faulty,
    )


def _word(value: str | None, words: tuple[str, ...]) -> str | None:
    """ABNF literals are compared without regard to case (RFC 5234 §2.3)."""
    return value.lower() if value is not None and value.lower() in words else None


def _uris(value: str) -> tuple[str, ...]:
    found = (_URI.match(part.strip(" \t")) for part in value.split(",")[:MAX_URIS])
    return tuple(match[1] for match in found if match)
