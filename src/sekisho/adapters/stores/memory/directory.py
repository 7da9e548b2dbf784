"""Domains, accounts and aliases of the memory store."""

import msgspec

from sekisho.adapters.stores import rules
from sekisho.adapters.stores.memory.state import AccountState, MemoryState
from sekisho.core.terms.address import Address
from sekisho.ports.changes import DirectoryChanged
from sekisho.ports.credentials import PASSWORD
from sekisho.ports.directory import Account, Alias, DirectoryError, Domain, StoredPassword
from sekisho.ports.directory import AccountState as StateName


class MemoryDirectory:
    def __init__(self, state: MemoryState) -> None:
        self._state = state

    async def domain(self, name: str) -> Domain | None:
        return self._state.domains.get(name)

    async def domains(self) -> list[Domain]:
        return sorted(self._state.domains.values(), key=lambda domain: domain.name)

    async def account(self, account_id: int) -> Account | None:
        state = self._state.accounts.get(account_id)
        return _account(state) if state else None

    async def account_by_address(self, address: Address) -> Account | None:
        account_id = self._state.by_address.get(rules.canonical_address(address))
        return None if account_id is None else _account(self._state.accounts[account_id])

    async def accounts(self, domain: str | None = None) -> list[Account]:
        found = (_account(state) for state in self._state.accounts.values())
        return sorted(
            (a for a in found if domain is None or _domain(a.address) == domain), key=lambda a: a.address
        )

    async def alias(self, address: Address) -> Alias | None:
        return self._state.aliases.get(rules.canonical_address(address))

    async def aliases(self, domain: str | None = None) -> list[Alias]:
        found = self._state.aliases.values()
        return sorted(
            (a for a in found if domain is None or _domain(a.address) == domain), key=lambda a: a.address
        )

    async def aliases_to(self, address: str) -> list[Alias]:
        return sorted(
            (a for a in self._state.aliases.values() if address in a.targets), key=lambda a: a.address
        )

    async def sender_rights(self, account_id: int) -> tuple[str, ...]:
        state = self._state.accounts.get(account_id)
        return tuple(sorted(state.sender_rights)) if state else ()

    async def password(self, account_id: int) -> StoredPassword | None:
        state = self._state.accounts.get(account_id)
        return state.password if state else None

    async def add_domain(self, domain: Domain) -> None:
        self._state.check_available()
        if rules.checked_domain(domain.name) in self._state.domains:
            raise DirectoryError(f"The domain {domain.name} exists already.")
        self._put_domain(domain)

    async def change_domain(self, domain: Domain) -> None:
        self._state.check_available()
        self._need_domain(domain.name)
        self._put_domain(domain)

    def _put_domain(self, domain: Domain) -> None:
        self._state.domains[domain.name] = domain
        self._changed()

    async def remove_domain(self, name: str) -> None:
        self._state.check_available()
        self._need_domain(name)
        accounts, aliases = await self.accounts(name), await self.aliases(name)
        if accounts or aliases:
            raise DirectoryError(
                f"The domain {name} still has {len(accounts)} accounts and {len(aliases)} aliases: remove "
                f"them first."
            )
        del self._state.domains[name]
        for state in self._state.accounts.values():
            state.sender_rights = {sender for sender in state.sender_rights if _domain(sender) != name}
        self._state.dkim_keys = {
            place: key for place, key in self._state.dkim_keys.items() if key.domain != name
        }
        self._changed()

    async def add_account(
        self, address: Address, argon2: str, scram_sha256: str, display_name: str = "", quota_octets: int = 0
    ) -> Account:
        self._state.check_available()
        key = rules.canonical_address(address)
        self._need_domain(address.domain)
        if key in self._state.by_address:
            raise DirectoryError(f"The account {key} exists already.")
        if key in self._state.aliases:
            raise DirectoryError(f"{key} is an alias already: remove it first.")
        account_id = self._state.dice.new_id()
        account = Account(
            id=account_id,
            address=key,
            state="active",
            display_name=display_name,
            quota_octets=quota_octets,
            used_octets=0,
            created_at_us=self._state.clock.now_us(),
        )
        state = AccountState(
            account=account,
            password=StoredPassword(account_id, argon2, scram_sha256, account.credential_version),
        )
        self._state.accounts[account_id] = state
        self._state.by_address[key] = account_id
        for name, special_use in rules.FIRST_MAILBOXES:
            self._state.add_mailbox(state, name, special_use)
            state.subscriptions.add(name)
        self._changed()
        return account

    async def set_password(self, account_id: int, argon2: str, scram_sha256: str) -> None:
        state = self._need_account(account_id)
        version = state.account.credential_version + 1
        state.account = msgspec.structs.replace(state.account, credential_version=version)
        state.password = StoredPassword(account_id, argon2, scram_sha256, version)
        if (known := state.credentials.get(PASSWORD)) is not None:
            enabled = msgspec.structs.replace(known.credential, disabled_at_us=0)
            state.credentials[PASSWORD] = msgspec.structs.replace(known, credential=enabled)
        self._changed()

    async def upgrade_password(
        self, account_id: int, old_argon2: str, argon2: str, scram_sha256: str
    ) -> None:
        self._state.check_available()
        state = self._state.accounts.get(account_id)
        if state is not None and state.password.argon2 == old_argon2:
            state.password = StoredPassword(account_id, argon2, scram_sha256, state.password.version)

    async def set_expiry(self, account_id: int, expires_at_us: int) -> None:
        known = self._need_account(account_id)
        known.account = msgspec.structs.replace(known.account, expires_at_us=expires_at_us)
        self._changed()

    async def set_state(self, account_id: int, state: StateName) -> None:
        known = self._need_account(account_id)
        deleted_at_us = self._state.clock.now_us() if state == "deleted" else 0
        if state == "deleted" and known.account.state == "deleted":
            deleted_at_us = known.account.deleted_at_us
        known.account = msgspec.structs.replace(known.account, state=state, deleted_at_us=deleted_at_us)
        self._changed()

    async def set_quota(self, account_id: int, quota_octets: int) -> None:
        known = self._need_account(account_id)
        known.account = msgspec.structs.replace(known.account, quota_octets=quota_octets)
        self._changed()

    async def grant_sender(self, account_id: int, sender: str) -> None:
        state = self._need_account(account_id)
        self._need_domain(_domain(sender))
        state.sender_rights.add(sender)
        self._changed()

    async def revoke_sender(self, account_id: int, sender: str) -> None:
        state = self._need_account(account_id)
        if sender not in state.sender_rights:
            raise DirectoryError(f"The account has no right to send as {sender}.")
        state.sender_rights.remove(sender)
        self._changed()

    async def purge_account(self, account_id: int) -> None:
        state = self._need_account(account_id)
        del self._state.accounts[account_id]
        del self._state.by_address[state.account.address]
        for mailbox in state.mailboxes.values():
            del self._state.mailboxes[mailbox.id]
        self._state.guarded.pop(account_id, None)
        self._state.cases = {
            key: case for key, case in self._state.cases.items() if case.account_id != account_id
        }
        self._state.sent = {
            key: sent for key, sent in self._state.sent.items() if sent.account_id != account_id
        }
        self._changed()
        self._state.account_changed(account_id)

    async def put_alias(self, alias: Alias) -> None:
        self._state.check_available()
        self._need_domain(_domain(alias.address))
        if alias.address in self._state.by_address:
            raise DirectoryError(f"{alias.address} is the address of an account: it cannot be an alias too.")
        if not alias.targets:
            raise DirectoryError(f"The alias {alias.address} needs at least one target.")
        self._state.aliases[alias.address] = alias
        self._changed()

    async def remove_alias(self, address: Address) -> None:
        self._state.check_available()
        key = rules.canonical_address(address)
        if key not in self._state.aliases:
            raise DirectoryError(f"There is no alias {key}.")
        del self._state.aliases[key]
        self._changed()

    def _need_domain(self, name: str) -> None:
        if name not in self._state.domains:
            raise DirectoryError(f"There is no domain {name}.")

    def _need_account(self, account_id: int) -> AccountState:
        self._state.check_available()
        state = self._state.accounts.get(account_id)
        if state is None:
            raise DirectoryError(f"There is no account with the number {account_id}.")
        return state

    def _changed(self) -> None:
        self._state.changes.publish(DirectoryChanged())


def _account(state: AccountState) -> Account:
    return msgspec.structs.replace(state.account, used_octets=state.used_octets)


def _domain(address: str) -> str:
    return address.rpartition("@")[2]
