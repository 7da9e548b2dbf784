"""What opens an account: its own password, app passwords of devices, service credentials of programs, tokens,
certificates.

The account's own password lies with the account (`Directory.password`); what is here about it is whether it
is disabled and when it was used. Secrets of apps and services are random, so one fast keyed hash keeps them:
nobody can try 2^140 of them, however fast.
"""

from typing import Literal, Protocol

from msgspec import Struct

CredentialKind = Literal["account", "app", "service", "token", "certificate"]
Scope = Literal["imap", "pop3", "smtp"]
SCOPES: tuple[Scope, ...] = ("imap", "pop3", "smtp")
PASSWORD = "password"  # the id of each account's own password
# What was never written down, but may be shown or disabled: its id says what it is.
_KINDS: dict[str, CredentialKind] = {
    PASSWORD: "account",
    "app": "app",
    "service": "service",
    "token": "token",
    "certificate": "certificate",
}


class Credential(Struct, frozen=True, kw_only=True):
    """`id` is unique within the account and never given twice. Times are 0 where it never happened or will
    never.

    `networks`: CIDR blocks that it may come from, none: any. `sender`: the only address that it may send as,
    "" for all of the account's. `created_by`: the credential or "uid:0" that made it.
    """

    account_id: int
    id: str
    kind: CredentialKind
    label: str = ""
    scopes: tuple[Scope, ...] = SCOPES
    networks: tuple[str, ...] = ()
    sender: str = ""
    created_at_us: int = 0
    created_by: str = ""
    expires_at_us: int = 0
    disabled_at_us: int = 0
    last_used_at_us: int = 0
    last_used_from: str = ""  # a network

    def is_usable(self, now_us: int) -> bool:
        return not self.disabled_at_us and not 0 < self.expires_at_us <= now_us


class StoredCredential(Struct, frozen=True):
    """`digest`: the keyed hash of an app's or a service's secret, b"" if it has none. `scram_sha256`: its
    SCRAM keys (RFC 5803), any number of them, with spaces between: one for each way of typing it."""

    credential: Credential
    digest: bytes
    scram_sha256: str


class SecondFactor(Struct, frozen=True):
    """TOTP (RFC 6238). Until it is confirmed by a code it does not count. `last_step`: the last time step
    whose code was used.

    `recovery`: keyed hashes, 32 octets each, of the recovery codes that were not used yet.
    """

    secret: bytes
    confirmed_at_us: int = 0
    last_step: int = 0
    recovery: tuple[bytes, ...] = ()

    @property
    def counts(self) -> bool:
        return self.confirmed_at_us > 0


def kind_of(credential_id: str) -> CredentialKind | None:
    """What an id of ours names; None for what nobody logs in with ("uid:1000")."""
    return _KINDS.get(credential_id.partition(":")[0])


class Credentials(Protocol):
    """Reads are answered from an indexed row (< 200 µs), writes are durable when they return. All go with
    their account."""

    async def of_account(self, account_id: int) -> list[StoredCredential]:
        """Apps and services, and whatever else was ever used or disabled; oldest first."""
        ...

    async def credential(self, account_id: int, credential_id: str) -> Credential | None: ...

    async def add(self, stored: StoredCredential) -> None:
        """Raises DirectoryError if the account is unknown or has a credential of that label."""
        ...

    async def remove(self, account_id: int, credential_id: str) -> None:
        """Raises DirectoryError. The account's own password cannot be removed."""
        ...

    async def set_disabled(self, account_id: int, credential_ids: tuple[str, ...], at_us: int) -> None:
        """0 enables again. Sessions that these credentials opened end; no others do.

        Raises DirectoryError, and changes nothing, if the account or one that is an app or a service is
        unknown.
        """
        ...

    async def note_use(self, account_id: int, credential_id: str, at_us: int, network: str) -> None:
        """When it was used last, and from where. Wakes nobody."""
        ...

    async def server_key(self, purpose: str) -> bytes:
        """32 random octets, the same for ever; made when first asked for."""
        ...

    async def second_factor(self, account_id: int) -> SecondFactor | None: ...

    async def set_second_factor(self, account_id: int, factor: SecondFactor | None) -> None: ...

    async def use_step(self, account_id: int, step: int) -> bool:
        """Take the code of this time step: False when it, or a later one, was used before (THREATS 18)."""
        ...

    async def use_recovery(self, account_id: int, digest: bytes) -> bool:
        """Take the recovery code of this hash away: False when it is not there (any more)."""
        ...
