"""Domains, accounts, aliases: who exists here."""

from typing import Literal, Protocol

from msgspec import Struct

from sekisho.core.terms.address import Address

AccountState = Literal["active", "login_disabled", "sending_held", "deleted"]


class DirectoryError(Exception):
    """An operator's request that cannot be done; the message is a sentence for them."""


class Domain(Struct, frozen=True):
    name: str  # lower-case A-labels
    created_at_us: int
    subaddress_separators: str = "+"  # "" switches subaddressing off (RFC 5233)
    catch_all: str | None = None  # an address, or None


class Account(Struct, frozen=True, kw_only=True):
    id: int
    address: str  # primary address, canonical
    state: AccountState
    display_name: str = ""
    quota_octets: int = 0  # 0: none
    used_octets: int = 0
    created_at_us: int = 0
    deleted_at_us: int = 0  # grace counts from here
    credential_version: int = 1
    expires_at_us: int = 0  # nobody logs in from then on; 0: never

    def may_log_in(self, now_us: int) -> bool:
        """With any credential (THREATS 15). Where sending is held, reading goes on."""
        return self.state in ("active", "sending_held") and not 0 < self.expires_at_us <= now_us


class Alias(Struct, frozen=True):
    address: str  # canonical
    targets: tuple[str, ...]  # addresses, local or remote
    may_send: bool = True  # may its local targets use it as a sender


class StoredPassword(Struct, frozen=True):
    """`argon2` is an encoded Argon2id hash; `scram_sha256` the RFC 5803 form, or "" """

    account_id: int
    argon2: str
    scram_sha256: str
    version: int


class Directory(Protocol):
    """Reads are answered from memory or an indexed row (< 200 µs); writes are durable when they return.

    Local parts are looked up by `Address.local_canonical`, domains by A-labels. "deleted" accounts are
    returned too: callers check `state`.
    """

    async def domain(self, name: str) -> Domain | None: ...

    async def domains(self) -> list[Domain]: ...

    async def account(self, account_id: int) -> Account | None: ...

    async def account_by_address(self, address: Address) -> Account | None: ...

    async def accounts(self, domain: str | None = None) -> list[Account]: ...

    async def alias(self, address: Address) -> Alias | None: ...

    async def aliases(self, domain: str | None = None) -> list[Alias]: ...

    async def aliases_to(self, address: str) -> list[Alias]:
        """Aliases that have this canonical address among their targets."""
        ...

    async def sender_rights(self, account_id: int) -> tuple[str, ...]:
        """What the account may send as besides its own addresses: canonical addresses, and "@domain" for all
        of a domain; sorted."""
        ...

    async def password(self, account_id: int) -> StoredPassword | None: ...

    async def add_domain(self, domain: Domain) -> None:
        """Raises DirectoryError if it exists. Likewise below."""
        ...

    async def change_domain(self, domain: Domain) -> None: ...

    async def remove_domain(self, name: str) -> None:
        """Refused while accounts or aliases are left in it. Its DKIM keys go with it, in the same step."""
        ...

    async def add_account(
        self, address: Address, argon2: str, scram_sha256: str, display_name: str = "", quota_octets: int = 0
    ) -> Account:
        """Also creates its INBOX and the SPECIAL-USE mailboxes (Drafts, Sent, Junk, Trash, Archive)."""
        ...

    async def set_password(self, account_id: int, argon2: str, scram_sha256: str) -> None:
        """Raises the credential version, which ends what the old password opened. The new one works even if
        the old one was disabled."""
        ...

    async def set_state(self, account_id: int, state: AccountState) -> None: ...

    async def upgrade_password(
        self, account_id: int, old_argon2: str, argon2: str, scram_sha256: str
    ) -> None:
        """The same password kept in a better way, unless it was changed meanwhile. Ends nothing and wakes
        nobody."""
        ...

    async def set_expiry(self, account_id: int, expires_at_us: int) -> None:
        """0: never."""
        ...

    async def set_quota(self, account_id: int, quota_octets: int) -> None: ...

    async def grant_sender(self, account_id: int, sender: str) -> None:
        """As `sender_rights` has them. Twice is once; raises DirectoryError where there is no account or no
        such domain."""
        ...

    async def revoke_sender(self, account_id: int, sender: str) -> None:
        """Raises DirectoryError if it has no such right."""
        ...

    async def purge_account(self, account_id: int) -> None:
        """Remove the account and its mail for good."""
        ...

    async def put_alias(self, alias: Alias) -> None:
        """Create or replace; raises DirectoryError if the domain is unknown or the address is an
        account's."""
        ...

    async def remove_alias(self, address: Address) -> None: ...
