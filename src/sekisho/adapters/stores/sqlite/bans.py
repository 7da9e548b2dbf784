"""Banned networks, in hints.db: looked up by the few lengths of prefixes that are in use."""

import json
from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network, ip_network

from sekisho.adapters.stores.sqlite.reader import Reader
from sekisho.adapters.stores.sqlite.writer import Writer, WriteTransaction
from sekisho.core.terms.records import by_position
from sekisho.ports.bans import ANYBODY, Ban
from sekisho.ports.clock import Clock

LENGTHS_SECONDS = 1.0  # so long a length that another worker brought in may be missed
_COLUMNS = "network, account, reason, since_us, until_us, failures, times, made_by, note"


class SqliteBans:
    """Implements `ports.bans.Bans`. One per worker."""

    def __init__(self, reader: Reader, writer: Writer, clock: Clock) -> None:
        self._reader, self._writer, self._clock = reader, writer, clock
        self._lengths: dict[int, list[int]] = {}  # family → lengths of prefixes
        self._read_at = float("-inf")

    async def banning(self, client: IPv4Network | IPv6Network, account: str) -> list[Ban]:
        lengths = self._lengths_of(client.version)
        if not lengths:
            return []
        networks = json.dumps(
            [str(client.supernet(new_prefix=length)) for length in lengths if length <= client.prefixlen]
        )
        sql = (
            f"SELECT {_COLUMNS} FROM ban WHERE network IN (SELECT value FROM json_each(?1)) AND account IN "
            f"(?2, ?3) "
            "AND (until_us = 0 OR until_us > ?4)"
        )
        return [
            by_position(Ban, *row)
            for row in self._reader.ask(sql, (networks, ANYBODY, account, self._clock.now_us()))
        ]

    def _lengths_of(self, family: int) -> list[int]:
        now = self._clock.monotonic()
        if now - self._read_at >= LENGTHS_SECONDS:
            self._lengths = {4: [], 6: []}
            for version, length in self._reader.ask("SELECT DISTINCT family, length FROM ban", ()):
                self._lengths[version].append(length)
            self._read_at = now
        return self._lengths[family]

    async def put(self, ban: Ban) -> None:
        network, now_us = ip_network(ban.network), self._clock.now_us()
        row = (
            ban.network,
            ban.account,
            ban.reason,
            ban.since_us,
            ban.until_us,
            ban.failures,
            ban.times,
            ban.by,
            ban.note,
            network.version,
            network.prefixlen,
        )

        def step(tx: WriteTransaction) -> None:
            tx.execute("DELETE FROM ban WHERE until_us > 0 AND until_us <= ?", (now_us,))
            tx.execute("DELETE FROM ban WHERE network = ? AND account = ?", (ban.network, ban.account))
            tx.execute(
                "INSERT INTO ban (network, account, reason, since_us, until_us, "
                "failures, times, made_by, note, family, length) VALUES (?, ?, ?, ?, ?, ?, "
                "?, ?, ?, ?, ?)",
                row,
            )

        await self._writer.write(step)
        self._read_at = float("-inf")

    async def listing(self) -> list[Ban]:
        sql = (
            f"SELECT {_COLUMNS} FROM ban WHERE until_us = 0 OR until_us > ? ORDER BY since_us DESC, "
            f"network, account"
        )
        now_us = self._clock.now_us()
        rows = await self._reader.scan(lambda db: db.execute(sql, (now_us,)).fetchall())
        return [by_position(Ban, *row) for row in rows]

    async def lift(self, bans: Sequence[Ban]) -> None:
        keys = [(ban.network, ban.account) for ban in bans]
        await self._writer.write(
            lambda tx: tx.executemany("DELETE FROM ban WHERE network = ? AND account = ?", keys)
        )
