"""The port Credentials over mail.db."""

from typing import Any

from sekisho.adapters.stores.rules import implied_credential
from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer, WriteTransaction
from sekisho.core.terms.records import by_position
from sekisho.ports.changes import DirectoryChanged
from sekisho.ports.clock import Dice
from sekisho.ports.credentials import PASSWORD, Credential, SecondFactor, StoredCredential
from sekisho.ports.directory import DirectoryError

KEY_OCTETS = 32
RECOVERY_OCTETS = 32
_FIELDS = (
    "account_id, id, kind, label, scopes, networks, sender, created_at_us, created_by, expires_at_us, "
    "disabled_at_us, "
    "last_used_at_us, last_used_from, digest, scram_sha256"
)
_INSERT = f"INSERT INTO credential ({_FIELDS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


class SqliteCredentials:
    def __init__(self, reader: Reader, writer: Writer, dice: Dice) -> None:
        self._reader, self._writer, self._dice = reader, writer, dice
        self._keys: dict[str, bytes] = {}

    async def of_account(self, account_id: int) -> list[StoredCredential]:
        sql = f"SELECT {_FIELDS} FROM credential WHERE account_id = ? ORDER BY created_at_us, id"
        return [_stored(row) for row in self._rows(sql, account_id)]

    async def credential(self, account_id: int, credential_id: str) -> Credential | None:
        found = self._rows(
            f"SELECT {_FIELDS} FROM credential WHERE account_id = ? AND id = ?", account_id, credential_id
        )
        return _stored(found[0]).credential if found else None

    async def add(self, stored: StoredCredential) -> None:
        credential = stored.credential

        def step(tx: WriteTransaction) -> None:
            _need_account(tx, credential.account_id)
            sql = "SELECT 1 FROM credential WHERE account_id = ?1 AND (id = ?2 OR label = ?3 AND label <> '')"
            if tx.execute(sql, (credential.account_id, credential.id, credential.label)).fetchall():
                raise DirectoryError(f"The account has a credential {credential.label} already.")
            tx.execute(_INSERT, _row(stored))
            tx.changed(DirectoryChanged())

        await self._writer.write(step)

    async def remove(self, account_id: int, credential_id: str) -> None:
        def step(tx: WriteTransaction) -> None:
            tx.execute(
                "DELETE FROM credential WHERE account_id = ? AND id = ? AND kind <> 'account'",
                (account_id, credential_id),
            )
            if not tx.touched():
                raise DirectoryError(f"There is no credential {credential_id} that could be removed.")
            tx.changed(DirectoryChanged())

        await self._writer.write(step)

    async def set_disabled(self, account_id: int, credential_ids: tuple[str, ...], at_us: int) -> None:
        def step(tx: WriteTransaction) -> None:
            for credential_id in credential_ids:
                _write_down(tx, account_id, credential_id)
                sql = "UPDATE credential SET disabled_at_us = ? WHERE account_id = ? AND id = ?"
                tx.execute(sql, (at_us, account_id, credential_id))
            tx.changed(DirectoryChanged())

        await self._writer.write(step)

    async def note_use(self, account_id: int, credential_id: str, at_us: int, network: str) -> None:
        def step(tx: WriteTransaction) -> None:
            _write_down(tx, account_id, credential_id)
            sql = (
                "UPDATE credential SET last_used_at_us = max(last_used_at_us, ?), last_used_from = ? "
                "WHERE account_id = ? AND id = ?"
            )
            tx.execute(sql, (at_us, network, account_id, credential_id))

        await self._writer.write(step)

    async def server_key(self, purpose: str) -> bytes:
        key = self._keys.get(purpose)
        if key is None:
            found = self._rows("SELECT octets FROM server_key WHERE purpose = ?", purpose)
            key = self._keys[purpose] = found[0][0] if found else await self._make_key(purpose)
        return key

    async def _make_key(self, purpose: str) -> bytes:
        fresh = self._dice.octets(KEY_OCTETS)

        def step(tx: WriteTransaction) -> bytes:
            tx.execute(
                "INSERT INTO server_key (purpose, octets) VALUES (?, ?) ON CONFLICT (purpose) DO NOTHING",
                (purpose, fresh),
            )
            ((octets,),) = tx.execute(
                "SELECT octets FROM server_key WHERE purpose = ?", (purpose,)
            ).fetchall()
            return bytes(octets)

        return await self._writer.write(step)

    async def second_factor(self, account_id: int) -> SecondFactor | None:
        found = self._rows(
            "SELECT secret, confirmed_at_us, last_step, recovery FROM second_factor WHERE account_id = ?",
            account_id,
        )
        if not found:
            return None
        secret, confirmed_at_us, last_step, recovery = found[0]
        return SecondFactor(secret, confirmed_at_us, last_step, _digests(recovery))

    async def set_second_factor(self, account_id: int, factor: SecondFactor | None) -> None:
        def step(tx: WriteTransaction) -> None:
            _need_account(tx, account_id)
            tx.execute("DELETE FROM second_factor WHERE account_id = ?", (account_id,))
            if factor is not None:
                values = (
                    account_id,
                    factor.secret,
                    factor.confirmed_at_us,
                    factor.last_step,
                    b"".join(factor.recovery),
                )
                tx.execute(
                    "INSERT INTO second_factor (account_id, secret, confirmed_at_us, last_step, recovery) "
                    "VALUES (?, ?, ?, ?, ?)",
                    values,
                )
            tx.changed(DirectoryChanged())

        await self._writer.write(step)

    async def use_step(self, account_id: int, step: int) -> bool:
        def take(tx: WriteTransaction) -> bool:
            tx.execute(
                "UPDATE second_factor SET last_step = ?1 WHERE account_id = ?2 AND last_step < ?1",
                (step, account_id),
            )
            return bool(tx.touched())

        return await self._writer.write(take)

    async def use_recovery(self, account_id: int, digest: bytes) -> bool:
        def take(tx: WriteTransaction) -> bool:
            rows = tx.execute(
                "SELECT recovery FROM second_factor WHERE account_id = ?", (account_id,)
            ).fetchall()
            known = _digests(rows[0][0]) if rows else ()
            if digest not in known:
                return False
            left = b"".join(other for other in known if other != digest)
            tx.execute("UPDATE second_factor SET recovery = ? WHERE account_id = ?", (left, account_id))
            return True

        return await self._writer.write(take)

    def _rows(self, sql: str, *values: str | int) -> list[tuple[Any, ...]]:
        return self._reader.ask(sql, values)


def _digests(octets: bytes) -> tuple[bytes, ...]:
    return tuple(octets[at : at + RECOVERY_OCTETS] for at in range(0, len(octets), RECOVERY_OCTETS))


def enable_password(tx: WriteTransaction, account_id: int) -> None:
    """A new password is not the one that was disabled."""
    tx.execute(
        "UPDATE credential SET disabled_at_us = 0 WHERE account_id = ? AND id = ?", (account_id, PASSWORD)
    )


def _write_down(tx: WriteTransaction, account_id: int, credential_id: str) -> None:
    """Make the row of a credential that has none yet; raises DirectoryError."""
    if not tx.execute(
        "SELECT 1 FROM credential WHERE account_id = ? AND id = ?", (account_id, credential_id)
    ).fetchall():
        _need_account(tx, account_id)
        tx.execute(_INSERT, _row(implied_credential(account_id, credential_id)))


def _need_account(tx: WriteTransaction, account_id: int) -> None:
    if not tx.execute("SELECT 1 FROM account WHERE id = ?", (account_id,)).fetchall():
        raise DirectoryError(f"There is no account with the number {account_id}.")


def _stored(row: tuple[Any, ...]) -> StoredCredential:
    account_id, id_, kind, label, scopes, networks, *rest, digest, scram = row
    return StoredCredential(
        by_position(
            Credential, account_id, id_, kind, label, tuple(scopes.split()), tuple(networks.split()), *rest
        ),
        digest,
        scram,
    )


def _row(stored: StoredCredential) -> tuple[str | int | bytes, ...]:
    c = stored.credential
    return (
        c.account_id,
        c.id,
        c.kind,
        c.label,
        " ".join(c.scopes),
        " ".join(c.networks),
        c.sender,
        c.created_at_us,
        c.created_by,
        c.expires_at_us,
        c.disabled_at_us,
        c.last_used_at_us,
        c.last_used_from,
        stored.digest,
        stored.scram_sha256,
    )
