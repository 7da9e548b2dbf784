"""What the relay knows of the TLS of other mail hosts, in hints.db."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from sekisho.adapters.stores.hopcounts import DAY_US, gather_counts
from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer, WriteTransaction
from sekisho.core.tlspolicy.stscache import StsEntry
from sekisho.core.tlspolicy.tlsrpt import FailureKey, PolicyCounts
from sekisho.ports.clock import Clock
from sekisho.ports.hoptls import HopSession, KnownHost

MAX_COUNTED = 50_000  # different kinds of sessions between two flushes: beyond them nothing is counted

_ENTRY = "domain, policy_id, octets, expires_at_us, tried_at_us, used_at_us, failure"
_HOST = "host, first_us, last_us, days, version"
_SESSION = (
    "day, policy_domain, policy_type, policy_string, mx_host, "
    "result_type, sending_mta_ip, receiving_mx_hostname, receiving_ip, reason"
)


class SqliteStsPolicies:
    """Implements `ports.hoptls.StsPolicies`."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader, self._writer = reader, writer

    async def find(self, domain: str) -> StsEntry | None:
        rows = self._reader.ask(f"SELECT {_ENTRY} FROM sts_policy WHERE domain = ?", (domain,))
        return _entry(rows[0]) if rows else None

    async def put(self, entry: StsEntry) -> None:
        sql = (
            f"INSERT INTO sts_policy ({_ENTRY}, refresh_at_us) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) "
            "ON CONFLICT (domain) DO UPDATE SET policy_id = ?2, octets = ?3, expires_at_us = ?4, "
            "tried_at_us = ?5, used_at_us = ?6, failure = ?7, refresh_at_us = ?8"
        )
        instants = (entry.expires_at_us, entry.tried_at_us, entry.used_at_us)
        values = (entry.domain, entry.policy_id, entry.text, *instants, entry.failure, entry.refresh_at_us())
        await self._writer.write(lambda tx: tx.execute(sql, values))

    async def touch(self, domain: str, now_us: int) -> None:
        since_us = now_us // DAY_US * DAY_US
        sql = "SELECT 1 FROM sts_policy WHERE domain = ? AND used_at_us < ?"
        if self._reader.ask(sql, (domain, since_us)):
            update = "UPDATE sts_policy SET used_at_us = ? WHERE domain = ?"
            await self._writer.write(lambda tx: tx.execute(update, (now_us, domain)))

    async def due(self, now_us: int, used_since_us: int, limit: int) -> list[StsEntry]:
        sql = (
            f"SELECT {_ENTRY} FROM sts_policy WHERE refresh_at_us <= ?1 AND expires_at_us > ?1 "
            "AND used_at_us >= ?2 ORDER BY refresh_at_us LIMIT ?3"
        )
        return [_entry(row) for row in self._reader.ask(sql, (now_us, used_since_us, limit))]

    async def sweep(self, now_us: int, most: int) -> int:
        def step(tx: WriteTransaction) -> int:
            ended = "DELETE FROM sts_policy WHERE expires_at_us <= ?1 AND tried_at_us <= ?1 - ?2"
            tx.execute(ended, (now_us, DAY_US))
            gone = tx.touched()
            over = (
                "DELETE FROM sts_policy WHERE domain IN (SELECT domain FROM sts_policy ORDER BY used_at_us "
                "LIMIT max(0, (SELECT count(*) FROM sts_policy) - ?))"
            )
            tx.execute(over, (most,))
            return gone + tx.touched()

        return await self._writer.write(step, is_long=True)


def _entry(row: tuple[Any, ...]) -> StsEntry:
    domain, policy_id, octets, expires_at_us, tried_at_us, used_at_us, failure = row
    return StsEntry(
        domain=domain,
        policy_id=policy_id,
        text=octets,
        expires_at_us=expires_at_us,
        tried_at_us=tried_at_us,
        used_at_us=used_at_us,
        failure=failure,
    )


class SqliteKnownHosts:
    """Implements `ports.hoptls.KnownHosts`."""

    def __init__(self, reader: Reader, writer: Writer) -> None:
        self._reader, self._writer = reader, writer

    async def find(self, host: str) -> KnownHost | None:
        rows = self._reader.ask(f"SELECT {_HOST} FROM known_host WHERE host = ?", (host,))
        return _host(rows[0]) if rows else None

    async def note(self, host: str, version: str, now_us: int) -> None:
        today_us = now_us // DAY_US * DAY_US
        if self._reader.ask("SELECT 1 FROM known_host WHERE host = ? AND last_us >= ?", (host, today_us)):
            return
        sql = (
            f"INSERT INTO known_host ({_HOST}) VALUES (?1, ?2, ?2, 1, ?3) ON CONFLICT (host) DO UPDATE SET "
            "last_us = ?2, days = days + 1, version = ?3 WHERE last_us < ?4"
        )
        await self._writer.write(lambda tx: tx.execute(sql, (host, now_us, version, today_us)))

    async def forget(self, host: str) -> bool:
        def step(tx: WriteTransaction) -> bool:
            tx.execute("DELETE FROM known_host WHERE host = ?", (host,))
            return bool(tx.touched())

        return await self._writer.write(step)

    async def sweep(self, before_us: int, most: int) -> int:
        def step(tx: WriteTransaction) -> int:
            tx.execute("DELETE FROM known_host WHERE last_us < ?", (before_us,))
            gone = tx.touched()
            over = (
                "DELETE FROM known_host WHERE host IN (SELECT host FROM known_host ORDER BY last_us "
                "LIMIT max(0, (SELECT count(*) FROM known_host) - ?))"
            )
            tx.execute(over, (most,))
            return gone + tx.touched()

        return await self._writer.write(step, is_long=True)


def _host(row: tuple[Any, ...]) -> KnownHost:
    host, first_us, last_us, days, version = row
    return KnownHost(host=host, first_us=first_us, last_us=last_us, days=days, version=version)


class SqliteHopSessions:
    """Implements `ports.hoptls.HopSessions`."""

    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader, self._writer, self._clock = reader, writer, clock
        self._counted: Counter[tuple[int, HopSession]] = Counter()

    def count(self, session: HopSession) -> None:
        key = (self._clock.now_us() // DAY_US, session)
        if key in self._counted or len(self._counted) < MAX_COUNTED:
            self._counted[key] += 1

    async def flush(self) -> None:
        if not self._counted:
            return
        counted, self._counted = self._counted, Counter()
        rows = [(*_key_of(day, session), sessions) for (day, session), sessions in counted.items()]
        sql = (
            f"INSERT INTO hop_session ({_SESSION}, sessions) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT DO UPDATE SET sessions = sessions + excluded.sessions"
        )
        try:
            await self._writer.write(lambda tx: tx.executemany(sql, rows))
        except BaseException:
            self._counted += counted
            raise

    async def days(self) -> list[int]:
        return [day for (day,) in self._reader.ask("SELECT DISTINCT day FROM hop_session ORDER BY day", ())]

    async def of_day(self, day: int) -> Sequence[PolicyCounts]:
        sql = f"SELECT {_SESSION}, sessions FROM hop_session WHERE day = ? ORDER BY {_SESSION}"
        rows = await self._reader.scan(lambda db: db.execute(sql, (day,)).fetchall())
        return gather_counts((_session_of(row), row[-1]) for row in rows)

    async def forget(self, day: int, policy_domain: str) -> None:
        sql = "DELETE FROM hop_session WHERE day = ? AND policy_domain = ?"
        await self._writer.write(lambda tx: tx.execute(sql, (day, policy_domain)))

    async def sweep(self, before_day: int) -> int:
        def step(tx: WriteTransaction) -> int:
            tx.execute("DELETE FROM hop_session WHERE day < ?", (before_day,))
            return tx.touched()

        return await self._writer.write(step, is_long=True)


def _key_of(day: int, session: HopSession) -> tuple[str | int, ...]:
    """In the order of _SESSION."""
    lists = (json.dumps(session.policy_string), json.dumps(session.mx_host))
    failure = session.failure or FailureKey(result_type="")
    ends = (failure.sending_mta_ip, failure.receiving_mx_hostname, failure.receiving_ip)
    return (
        day,
        session.policy_domain,
        session.policy_type,
        *lists,
        failure.result_type,
        *ends,
        failure.reason,
    )


def _session_of(row: tuple[Any, ...]) -> HopSession:
    _, domain, kind, strings, hosts, result_type, sending, host, receiving, reason, _ = row
    failure = FailureKey(
        result_type=result_type,
        sending_mta_ip=sending,
        receiving_mx_hostname=host,
        receiving_ip=receiving,
        reason=reason,
    )
    return HopSession(
        policy_type=kind,
        policy_domain=domain,
        policy_string=tuple(json.loads(strings)),
        mx_host=tuple(json.loads(hosts)),
        failure=failure if result_type else None,
    )
