"""Who a login name means, what opens that account, and whether it may be used from there. Every mechanism
asks here."""

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from sekisho.core.sasl.exchange import MAX_NAME_OCTETS
from sekisho.core.sasl.preparation import PreparationError, prepare_username
from sekisho.core.sasl.scram import ScramSecret, pretended_secret
from sekisho.core.terms.address import Address
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Channel, LoginFailure, ServiceName
from sekisho.ports.clock import Clock
from sekisho.ports.credentials import PASSWORD, Credential, Credentials, Scope, StoredCredential, kind_of
from sekisho.ports.directory import Account, Directory, StoredPassword
from sekisho.ports.stream import IpAddress
from sekisho.services.authentication.appsecrets import SECRET_KEY, letters_of, secret_digest
from sekisho.services.authentication.attempt import Outcome, Refused
from sekisho.services.authentication.former import FORMER, FORMER_LABEL
from sekisho.services.authentication.scramkeys import SCRAM_ITERATIONS, SCRAM_KEY, usable_keys

_SCOPES: dict[ServiceName, Scope] = {"submission": "smtp", "imap": "imap", "pop3": "pop3", "sieve": "imap"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """`name`: see `login_name`. `cause`: why it is refused, after the same work as for a wrong
    password; then the rest may be missing. `credentials`: apps and services, and the password's own row if it
    has one."""

    name: str
    cause: str
    account: Account | None = None
    password: StoredPassword | None = None
    credentials: tuple[StoredCredential, ...] = ()
    needs_factor: bool = False  # the account's own password alone opens nothing


@dataclass(frozen=True, slots=True)
class Claim:
    """Who a SCRAM client says it is: the keys that its proof may fit, and which credential each of them is
    of."""

    candidate: Candidate
    secrets: tuple[ScramSecret, ...]
    credential_ids: tuple[str, ...]


class Candidates:
    def __init__(self, directory: Directory, credentials: Credentials, clock: Clock) -> None:
        self._directory, self._credentials, self._clock = directory, credentials, clock

    async def find(self, username: str, authzid: str) -> Candidate:
        """Never says no at once: every refusal goes on to the same work as a wrong password."""
        address = login_address(username)
        if address is None:
            return Candidate(name=username, cause="not an address")
        account = await self._directory.account_by_address(address)
        if account is None:
            return Candidate(name=str(address), cause="no such account")
        password = await self._directory.password(account.id)
        credentials = tuple(await self._credentials.of_account(account.id))
        cause = ""
        if not account.may_log_in(self._clock.now_us()):  # THREATS 15
            ended = account.state in ("active", "sending_held")
            cause = "account at its end" if ended else f"account {account.state}"
        elif authzid and login_address(authzid) != address:  # THREATS 14
            cause = "acting for somebody else"
        factor = await self._credentials.second_factor(account.id)
        return Candidate(
            name=str(address),
            cause=cause,
            account=account,
            password=password,
            credentials=credentials,
            needs_factor=factor is not None and factor.counts,
        )

    def admit(self, candidate: Candidate, credential_id: str, channel: Channel) -> Outcome:
        """This credential was shown: is that enough, here and now?"""
        account = candidate.account
        if candidate.cause or account is None:
            return Refused(LoginFailure.REFUSED, candidate.cause)
        credential = next(
            (c.credential for c in candidate.credentials if c.credential.id == credential_id), None
        )
        if credential is None:
            kind = kind_of(credential_id)
            if kind not in ("account", "token", "certificate"):
                return Refused(LoginFailure.REFUSED, "credential removed")
            credential = Credential(
                account_id=account.id, id=credential_id, kind=kind
            )  # never disabled, never used yet
        cause = self._why_not(credential, channel)
        if cause:
            return Refused(LoginFailure.REFUSED, cause)
        if credential.id == PASSWORD and candidate.needs_factor:
            return Refused(LoginFailure.REFUSED, "second factor", account)
        return Identity(
            account_id=account.id,
            address=Address.from_text(account.address),
            credential_id=credential.id,
            version=account.credential_version,
            is_service=credential.kind == "service",
            sender=Address.from_text(credential.sender) if credential.sender else None,
            valid_until_us=credential.expires_at_us,
            label=credential.label,
        )

    def _why_not(self, credential: Credential, channel: Channel) -> str:
        if credential.id == FORMER:
            return FORMER_LABEL
        what = PASSWORD if credential.id == PASSWORD else "credential"
        if credential.disabled_at_us:
            return f"{what} disabled"
        if not credential.is_usable(self._clock.now_us()):
            return f"{what} at its end"
        if _SCOPES[channel.service] not in credential.scopes:
            return f"{what} not for this service"
        if credential.networks and not is_within(channel.client, credential.networks):
            return f"{what} not from this network"
        return ""

    async def owner_of(self, candidate: Candidate, password: str) -> str:
        """The id of the app's or program's credential that this is the secret of, or "". Costs
        microseconds."""
        letters = letters_of(password)
        if not letters or not any(stored.digest for stored in candidate.credentials):
            return ""
        digest = secret_digest(await self._credentials.server_key(SECRET_KEY), letters)
        owners = [
            stored.credential.id
            for stored in candidate.credentials
            if hmac.compare_digest(stored.digest, digest)
        ]
        return owners[0] if owners else ""

    async def claim(self, username: str, authzid: str) -> Claim:
        """For a name without keys they are made up, the same each time (RFC 5802 §5.1 wants a salt before
        anything is proved)."""
        candidate = await self.find(username, authzid)
        found = usable_keys(candidate.password, candidate.credentials)
        if not found:
            key = await self._credentials.server_key(SCRAM_KEY)
            found = [(pretended_secret(candidate.name, key, SCRAM_ITERATIONS), PASSWORD)]
        return Claim(
            candidate,
            tuple(secret for secret, _ in found),
            tuple(credential_id for _, credential_id in found),
        )


def is_within(client: IpAddress, networks: Sequence[str]) -> bool:
    """An IPv4-mapped client counts as IPv4."""
    mapped = getattr(client, "ipv4_mapped", None)
    address = ip_address(mapped) if mapped else client
    return any(address in ip_network(network, strict=False) for network in networks)


def login_name(username: str) -> str:
    """What attempts at this name are counted by: the canonical address, or what was typed if it is none."""
    address = login_address(username)
    return str(address) if address else username


def login_address(username: str) -> Address | None:
    if len(username) > MAX_NAME_OCTETS:
        return None
    try:
        return prepare_username(username)
    except PreparationError:
        return None
