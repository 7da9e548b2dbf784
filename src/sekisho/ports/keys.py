"""The private keys that mail is signed with, and where each stands in its rotation."""

from typing import Literal, Protocol

from msgspec import Struct

KeyState = Literal["next", "active", "retired"]
KeyAlgorithm = Literal["rsa", "ed25519"]


class DkimKey(Struct, frozen=True, kw_only=True):
    """next: to be published, signs nothing yet; active: signs; retired: signs no more, its record still
    serves mail under way."""

    domain: str  # A-labels
    selector: str
    algorithm: KeyAlgorithm
    state: KeyState
    private_pem: bytes  # PKCS #8, not encrypted
    created_at_us: int
    changed_at_us: int

    def __repr__(self) -> str:
        # no key in a log
        return f"DkimKey({self.selector}._domainkey.{self.domain}, {self.algorithm}, {self.state})"


class Keys(Protocol):
    async def dkim_keys(self, domain: str | None = None) -> list[DkimKey]:
        """By domain and selector. Reads are an indexed row (< 200 µs)."""
        ...

    async def put_dkim_keys(self, keys: tuple[DkimKey, ...]) -> None:
        """Add or replace all of them in one durable step."""
        ...

    async def remove_dkim_keys(self, keys: tuple[DkimKey, ...]) -> None:
        """Forget them for good, in one step."""
        ...
