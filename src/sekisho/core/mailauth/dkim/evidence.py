"""What was found out about a signature: words of RFC 8601 §2.7.1 and the reason behind them."""

from dataclasses import dataclass
from typing import Literal, NamedTuple

DkimResult = Literal["pass", "fail", "policy", "neutral", "temperror", "permerror"]


class DkimEvidence(NamedTuple):
    """One signature's outcome. `domain` and `selector` are empty when the field could not be read that far.

    `signature_start` is what RFC 6008 §4 calls header.b: it tells signatures of one domain apart.
    """

    result: DkimResult
    reason: str
    domain: str = ""
    selector: str = ""
    identity: str = ""
    algorithm: str = ""
    signature_start: str = ""
    key_bits: int = 0
    is_testing: bool = False
    signed_at: int | None = None
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class DkimPolicy:
    """What is acceptable. The defaults are RFC 8301's; anything weaker is for examining old mail only.
    `allows_top_level`: signatures by d= without a dot, which could speak for everybody below it (RFC 6376
    §8.13)."""

    min_rsa_bits: int = 1024
    allows_sha1: bool = False
    versions: tuple[bytes, ...] = (b"1",)  # of v=
    allows_top_level: bool = False


STRICT = DkimPolicy()
