"""The port Credentials of the memory store."""

import msgspec

from sekisho.adapters.stores.memory.state import AccountState, MemoryState
from sekisho.adapters.stores.rules import implied_credential
from sekisho.ports.changes import DirectoryChanged
from sekisho.ports.credentials import Credential, SecondFactor, StoredCredential
from sekisho.ports.directory import DirectoryError

KEY_OCTETS = 32


class MemoryCredentials:
    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def of_account(self, account_id: int) -> list[StoredCredential]:
        state = self._state.accounts.get(account_id)
        found = state.credentials.values() if state else ()
        return sorted(found, key=lambda stored: (stored.credential.created_at_us, stored.credential.id))

    async def credential(self, account_id: int, credential_id: str) -> Credential | None:
        state = self._state.accounts.get(account_id)
        stored = state.credentials.get(credential_id) if state else None
        return stored.credential if stored else None

    async def add(self, stored: StoredCredential) -> None:
        self._state.check_available()
        credential = stored.credential
        state = self._need_account(credential.account_id)
        labels = {other.credential.label for other in state.credentials.values() if other.credential.label}
        if credential.id in state.credentials or credential.label in labels:
            raise DirectoryError(f"The account has a credential {credential.label} already.")
        state.credentials[credential.id] = stored
        self._changed()

    async def remove(self, account_id: int, credential_id: str) -> None:
        self._state.check_available()
        state = self._state.accounts.get(account_id)
        stored = state.credentials.get(credential_id) if state else None
        if state is None or stored is None or stored.credential.kind == "account":
            raise DirectoryError(f"There is no credential {credential_id} that could be removed.")
        del state.credentials[credential_id]
        self._changed()

    async def set_disabled(self, account_id: int, credential_ids: tuple[str, ...], at_us: int) -> None:
        self._state.check_available()
        state = self._need_account(account_id)
        changed: dict[str, StoredCredential] = {}
        for credential_id in credential_ids:
            known = state.credentials.get(credential_id) or implied_credential(account_id, credential_id)
            changed[credential_id] = _replaced(known, disabled_at_us=at_us)
        state.credentials |= changed
        self._changed()

    async def note_use(self, account_id: int, credential_id: str, at_us: int, network: str) -> None:
        self._state.check_available()
        state = self._need_account(account_id)
        known = state.credentials.get(credential_id) or implied_credential(account_id, credential_id)
        at_us = max(at_us, known.credential.last_used_at_us)
        state.credentials[credential_id] = _replaced(known, last_used_at_us=at_us, last_used_from=network)

    async def server_key(self, purpose: str) -> bytes:
        if purpose not in self._state.server_keys:
            self._state.server_keys[purpose] = self._state.dice.octets(KEY_OCTETS)
        return self._state.server_keys[purpose]

    async def second_factor(self, account_id: int) -> SecondFactor | None:
        state = self._state.accounts.get(account_id)
        return state.second_factor if state else None

    async def set_second_factor(self, account_id: int, factor: SecondFactor | None) -> None:
        self._state.check_available()
        self._need_account(account_id).second_factor = factor
        self._changed()

    async def use_step(self, account_id: int, step: int) -> bool:
        self._state.check_available()
        state = self._state.accounts.get(account_id)
        factor = state.second_factor if state else None
        if state is None or factor is None or factor.last_step >= step:
            return False
        state.second_factor = msgspec.structs.replace(factor, last_step=step)
        return True

    async def use_recovery(self, account_id: int, digest: bytes) -> bool:
        self._state.check_available()
        state = self._state.accounts.get(account_id)
        factor = state.second_factor if state else None
        if state is None or factor is None or digest not in factor.recovery:
            return False
        state.second_factor = msgspec.structs.replace(
            factor, recovery=tuple(known for known in factor.recovery if known != digest)
        )
        return True

    def _need_account(self, account_id: int) -> AccountState:
        state = self._state.accounts.get(account_id)
        if state is None:
            raise DirectoryError(f"There is no account with the number {account_id}.")
        return state

    def _changed(self) -> None:
        self._state.changes.publish(DirectoryChanged())


def _replaced(stored: StoredCredential, **fields: object) -> StoredCredential:
    return msgspec.structs.replace(stored, credential=msgspec.structs.replace(stored.credential, **fields))
