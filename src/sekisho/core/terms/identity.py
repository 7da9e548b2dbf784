"""Who authenticated."""

from dataclasses import dataclass

from sekisho.core.terms.address import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The account that a credential opened.

    `credential_id` is the stable id of what was shown (`ports.credentials`): "password", "app:…",
    "service:…"; "uid:1000" for a system user. `version`: of the account's password when it was checked.
    `sender`: the only address that this credential may send as, None for all of the account's.
    `valid_until_us` 0: as long as the credential is. `label`: what people call the credential.
    """

    account_id: int
    address: Address
    credential_id: str = "password"
    version: int = 1
    is_service: bool = False
    sender: Address | None = None
    valid_until_us: int = 0
    label: str = ""
