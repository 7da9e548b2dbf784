"""The port Directory over mail.db."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from sekisho.adapters.stores import rules
from sekisho.adapters.stores.sqlite import mailbox_reads, mailbox_writes
from sekisho.adapters.stores.sqlite.credentials import enable_password
from sekisho.adapters.stores.sqlite.mailbox_tree import MailboxTree, remove_mailbox
from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer, WriteTransaction
from sekisho.core.terms.address import Address
from sekisho.core.terms.records import by_position
from sekisho.core.terms.uidset import UidSet
from sekisho.ports.changes import AccountChanged, DirectoryChanged
from sekisho.ports.clock import Clock, Dice
from sekisho.ports.directory import Account, AccountState, Alias, DirectoryError, Domain, StoredPassword
from sekisho.ports.mailstore import MailboxInfo

PURGE_PORTION = 2_000  # messages removed by one transaction
_ACCOUNT = (
    "SELECT id, address, state, display_name, quota_octets, used_octets, created_at_us, deleted_at_us, "
    "credential_version, "
    "expires_at_us "
    "FROM account JOIN account_usage ON account_id = id "
)
_DOMAIN = "SELECT name, created_at_us, subaddress_separators, catch_all FROM domain "
_ALIAS = (
    "SELECT alias.address, may_send, target FROM alias JOIN alias_target ON alias_target.address = "
    "alias.address {} "
    "ORDER BY alias.address, position"
)


# Tables besides the mailboxes that have rows of an account.
_OF_ACCOUNT = (
    "mailbox_past",
    "subscription",
    "thread_ref",
    "account_usage",
    "sender_right",
    "credential",
    "second_factor",
    "guard_account",
    "guard_case",
    "guard_known",
    "guard_sent",
    "guard_left",
    "sieve_script",
)


class SqliteDirectory:
    def __init__(self, reader: Reader, writer: Writer, tree: MailboxTree, clock: Clock, dice: Dice) -> None:
        self._reader, self._writer, self._tree = reader, writer, tree
        self._clock, self._dice = clock, dice

    async def domain(self, name: str) -> Domain | None:
        found = self._rows(_DOMAIN + "WHERE name = ?", name)
        return Domain(*found[0]) if found else None

    async def domains(self) -> list[Domain]:
        return [Domain(*row) for row in self._rows(_DOMAIN + "ORDER BY name")]

    async def account(self, account_id: int) -> Account | None:
        found = self._rows(_ACCOUNT + "WHERE id = ?", account_id)
        return by_position(Account, *found[0]) if found else None

    async def account_by_address(self, address: Address) -> Account | None:
        found = self._rows(_ACCOUNT + "WHERE address = ?", rules.canonical_address(address))
        return by_position(Account, *found[0]) if found else None

    async def accounts(self, domain: str | None = None) -> list[Account]:
        return [
            by_position(Account, *row)
            for row in self._rows(_ACCOUNT + "WHERE ?1 IS NULL OR domain = ?1 ORDER BY address", domain)
        ]

    async def alias(self, address: Address) -> Alias | None:
        found = self._aliases("WHERE alias.address = ?", rules.canonical_address(address))
        return found[0] if found else None

    async def aliases(self, domain: str | None = None) -> list[Alias]:
        return self._aliases("WHERE ?1 IS NULL OR domain = ?1", domain)

    async def aliases_to(self, address: str) -> list[Alias]:
        return self._aliases(
            "WHERE alias.address IN (SELECT address FROM alias_target WHERE target = ?)", address
        )

    async def sender_rights(self, account_id: int) -> tuple[str, ...]:
        return tuple(
            sender
            for (sender,) in self._rows(
                "SELECT sender FROM sender_right WHERE account_id = ? ORDER BY sender", account_id
            )
        )

    async def password(self, account_id: int) -> StoredPassword | None:
        found = self._rows(
            "SELECT id, argon2, scram_sha256, credential_version FROM account WHERE id = ?", account_id
        )
        return StoredPassword(*found[0]) if found else None

    def _rows(self, sql: str, *values: str | int | None) -> list[tuple[Any, ...]]:
        return self._reader.ask(sql, values)

    def _aliases(self, where: str, value: str | None) -> list[Alias]:
        found: dict[str, tuple[bool, list[str]]] = {}
        for address, may_send, target in self._rows(_ALIAS.format(where), value):
            found.setdefault(str(address), (bool(may_send), []))[1].append(str(target))
        return [Alias(address, tuple(targets), may_send) for address, (may_send, targets) in found.items()]

    async def add_domain(self, domain: Domain) -> None:
        rules.checked_domain(domain.name)

        def step(tx: WriteTransaction) -> None:
            if _exists(tx, "domain", "name", domain.name):
                raise DirectoryError(f"The domain {domain.name} exists already.")
            values = (domain.name, domain.created_at_us, domain.subaddress_separators, domain.catch_all)
            tx.execute(
                "INSERT INTO domain (name, created_at_us, subaddress_separators, "
                "catch_all) VALUES (?, ?, ?, ?)",
                values,
            )
            tx.changed(DirectoryChanged())

        await self._writer.write(step)

    async def change_domain(self, domain: Domain) -> None:
        def step(tx: WriteTransaction) -> None:
            _need_domain(tx, domain.name)
            sql = (
                "UPDATE domain SET created_at_us = ?, subaddress_separators = ?, catch_all = ? WHERE name = ?"
            )
            tx.execute(
                sql, (domain.created_at_us, domain.subaddress_separators, domain.catch_all, domain.name)
            )
            tx.changed(DirectoryChanged())

        await self._writer.write(step)

    async def remove_domain(self, name: str) -> None:
        def step(tx: WriteTransaction) -> None:
            _need_domain(tx, name)
            sql = (
                "SELECT (SELECT count(*) FROM account WHERE domain = ?1), (SELECT count(*) FROM alias "
                "WHERE domain = ?1)"
            )
            ((accounts, aliases),) = tx.execute(sql, (name,))
            if accounts or aliases:
                raise DirectoryError(
                    f"The domain {name} still has {accounts} accounts and {aliases} aliases: remove them "
                    f"first."
                )
            tx.execute("DELETE FROM dkim_key WHERE domain = ?", (name,))
            tx.execute("DELETE FROM domain WHERE name = ?", (name,))
            tx.execute("DELETE FROM sender_right WHERE substr(sender, instr(sender, '@') + 1) = ?", (name,))
            tx.changed(DirectoryChanged())

        await self._writer.write(step)

    async def add_account(
        self, address: Address, argon2: str, scram_sha256: str, display_name: str = "", quota_octets: int = 0
    ) -> Account:
        key, account_id, now_us = rules.canonical_address(address), self._dice.new_id(), self._clock.now_us()

        def step(tx: WriteTransaction) -> None:
            _need_domain(tx, address.domain)
            if _exists(tx, "account", "address", key):
                raise DirectoryError(f"The account {key} exists already.")
            if _exists(tx, "alias", "address", key):
                raise DirectoryError(f"{key} is an alias already: remove it first.")
            values = (account_id, key, address.domain, display_name, now_us, argon2, scram_sha256)
            tx.execute(
                "INSERT INTO account (id, address, domain, state, display_name, "
                "created_at_us, deleted_at_us, credential_version, argon2, scram_sha256, "
                "last_uidvalidity, expires_at_us) VALUES (?, ?, ?, 'active', ?, ?, 0, 1, ?, "
                "?, 0, 0)",
                values,
            )
            tx.execute(
                "INSERT INTO account_usage (account_id, used_octets, quota_octets) VALUES (?, 0, ?)",
                (account_id, quota_octets),
            )
            for name, special_use in rules.FIRST_MAILBOXES:
                self._tree.add(tx, account_id, name, special_use)
                self._tree.subscribe(tx, account_id, name, True)
            tx.changed(DirectoryChanged())

        await self._writer.write(step)
        return Account(
            id=account_id,
            address=key,
            state="active",
            display_name=display_name,
            quota_octets=quota_octets,
            used_octets=0,
            created_at_us=now_us,
        )

    async def set_password(self, account_id: int, argon2: str, scram_sha256: str) -> None:
        sql = (
            "UPDATE account SET argon2 = ?, scram_sha256 = ?, credential_version = credential_version + "
            "1 WHERE id = ?"
        )

        def step(tx: WriteTransaction) -> None:
            _update(tx, account_id, sql, (argon2, scram_sha256, account_id))
            enable_password(tx, account_id)

        await self._writer.write(step)

    async def upgrade_password(
        self, account_id: int, old_argon2: str, argon2: str, scram_sha256: str
    ) -> None:
        sql = "UPDATE account SET argon2 = ?, scram_sha256 = ? WHERE id = ? AND argon2 = ?"

        def step(tx: WriteTransaction) -> None:
            tx.execute(sql, (argon2, scram_sha256, account_id, old_argon2))

        await self._writer.write(step)

    async def set_expiry(self, account_id: int, expires_at_us: int) -> None:
        await self._change(
            account_id, "UPDATE account SET expires_at_us = ? WHERE id = ?", (expires_at_us, account_id)
        )

    async def set_state(self, account_id: int, state: AccountState) -> None:
        sql = (
            "UPDATE account SET deleted_at_us = CASE WHEN ?1 <> 'deleted' THEN 0 WHEN state = 'deleted' "
            "THEN deleted_at_us ELSE ?2 END, "
            "state = ?1 WHERE id = ?3"
        )
        await self._change(account_id, sql, (state, self._clock.now_us(), account_id))

    async def set_quota(self, account_id: int, quota_octets: int) -> None:
        await self._change(
            account_id,
            "UPDATE account_usage SET quota_octets = ? WHERE account_id = ?",
            (quota_octets, account_id),
        )

    async def grant_sender(self, account_id: int, sender: str) -> None:
        def step(tx: WriteTransaction) -> None:
            if not tx.execute("SELECT 1 FROM account WHERE id = ?", (account_id,)).fetchall():
                raise DirectoryError(f"There is no account with the number {account_id}.")
            _need_domain(tx, sender.rpartition("@")[2])
            tx.execute(
                "INSERT INTO sender_right (account_id, sender) VALUES (?, ?) ON CONFLICT DO NOTHING",
                (account_id, sender),
            )
            tx.changed(DirectoryChanged())

        await self._writer.write(step)

    async def revoke_sender(self, account_id: int, sender: str) -> None:
        def step(tx: WriteTransaction) -> None:
            tx.execute("DELETE FROM sender_right WHERE account_id = ? AND sender = ?", (account_id, sender))
            if not tx.touched():
                raise DirectoryError(f"The account has no right to send as {sender}.")
            tx.changed(DirectoryChanged())

        await self._writer.write(step)

    async def _change(self, account_id: int, sql: str, values: Sequence[str | int]) -> None:
        await self._writer.write(lambda tx: _update(tx, account_id, sql, values))

    async def purge_account(self, account_id: int) -> None:
        """In portions, so that nobody waits long for the lock; what a crash interrupts is finished by purging
        again."""
        if await self.account(account_id) is None:
            raise DirectoryError(f"There is no account with the number {account_id}.")
        await self.set_state(account_id, "deleted")
        for mailbox in self._reader.read(lambda db: mailbox_reads.mailboxes(db, account_id)):
            while await self._writer.write(partial(_purge_some, mailbox=mailbox), is_long=True):
                pass

        def step(tx: WriteTransaction) -> None:
            for mailbox in mailbox_reads.mailboxes(tx, account_id):
                remove_mailbox(tx, mailbox)
            for table in _OF_ACCOUNT:
                tx.execute(f"DELETE FROM {table} WHERE account_id = ?", (account_id,))
            tx.execute("DELETE FROM account WHERE id = ?", (account_id,))
            tx.changed(DirectoryChanged())
            tx.changed(AccountChanged(account_id))

        await self._writer.write(step, is_long=True)

    async def put_alias(self, alias: Alias) -> None:
        domain = alias.address.rpartition("@")[2]

        def step(tx: WriteTransaction) -> None:
            _need_domain(tx, domain)
            if _exists(tx, "account", "address", alias.address):
                raise DirectoryError(
                    f"{alias.address} is the address of an account: it cannot be an alias too."
                )
            if not alias.targets:
                raise DirectoryError(f"The alias {alias.address} needs at least one target.")
            sql = (
                "INSERT INTO alias (address, domain, may_send) VALUES (?1, ?2, ?3) ON "
                "CONFLICT (address) DO UPDATE SET may_send = ?3"
            )
            tx.execute(sql, (alias.address, domain, int(alias.may_send)))
            tx.execute("DELETE FROM alias_target WHERE address = ?", (alias.address,))
            rows = [(alias.address, position, target) for position, target in enumerate(alias.targets)]
            tx.executemany("INSERT INTO alias_target (address, position, target) VALUES (?, ?, ?)", rows)
            tx.changed(DirectoryChanged())

        await self._writer.write(step)

    async def remove_alias(self, address: Address) -> None:
        key = rules.canonical_address(address)

        def step(tx: WriteTransaction) -> None:
            tx.execute("DELETE FROM alias WHERE address = ?", (key,))
            if not tx.touched():
                raise DirectoryError(f"There is no alias {key}.")
            tx.execute("DELETE FROM alias_target WHERE address = ?", (key,))
            tx.changed(DirectoryChanged())

        await self._writer.write(step)


def _update(tx: WriteTransaction, account_id: int, sql: str, values: Sequence[str | int]) -> None:
    tx.execute(sql, values)
    if not tx.touched():
        raise DirectoryError(f"There is no account with the number {account_id}.")
    tx.changed(DirectoryChanged())


def _exists(tx: WriteTransaction, table: str, column: str, value: str) -> bool:
    return bool(tx.execute(f"SELECT 1 FROM {table} WHERE {column} = ?", (value,)).fetchall())


def _need_domain(tx: WriteTransaction, name: str) -> None:
    if not _exists(tx, "domain", "name", name):
        raise DirectoryError(f"There is no domain {name}.")


def _purge_some(tx: WriteTransaction, mailbox: MailboxInfo) -> bool:
    """Expunge a portion; False when nothing is left."""
    sql = "SELECT uid FROM message WHERE mailbox_id = ? ORDER BY uid LIMIT ?"
    uids = UidSet.of(uid for (uid,) in tx.execute(sql, (mailbox.id, PURGE_PORTION)).fetchall())
    if uids:
        mailbox_writes.remove(tx, mailbox.id, mailbox_writes.pick(tx, mailbox.id, uids), refund=True)
    return bool(uids)
