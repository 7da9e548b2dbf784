"""Who authenticated."""

from dataclasses import dataclass

from sekisho.core.terms.address import Address


@dataclass(frozen=True, slots=True)
class Identity:
    """The account that a credential opened. `credential` names what was shown: "password", an app password's name, "uid:1000"."""

    account_id: int
    address: Address
    credential: str = "password"
