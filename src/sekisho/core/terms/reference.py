"""What a refusal refers to: a short id that whoever reads it can ask about."""

import base64
from typing import NamedTuple

SHORT_ID_OCTETS = 5  # 40 bits: among ten million connections two of a kind are unlikely, and harmless
PLACE = "{id}"


class Reference(NamedTuple):
    """`url`: a page that explains this id, "" without one."""

    id: str
    url: str = ""

    @classmethod
    def of(cls, id_: str, why_url: str) -> "Reference":
        """`why_url` holds PLACE, or is empty."""
        return cls(id_, why_url.replace(PLACE, id_))


def short_id(random_octets: bytes) -> str:
    """Eight letters and digits from `SHORT_ID_OCTETS` random octets: "k3q7w2ma"."""
    return base64.b32encode(random_octets[:SHORT_ID_OCTETS]).decode().lower()
