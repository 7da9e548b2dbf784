"""A reload: the services are built again and exchanged once, and no connection is lost."""

import asyncio
import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.wiring.inprocess import Running, settings, worker

import sekisho.wiring.services as services_module
import sekisho.wiring.worker as worker_module
from sekisho.adapters.stores.memory.changes import LocalChanges
from sekisho.adapters.stores.sqlite.store import SqliteStore, StoreSettings
from sekisho.core.terms.address import Address
from sekisho.ports.directory import Domain
from sekisho.testing.clock import ManualClock, SeededDice
from sekisho.wiring.setup import Setup

TARO = Address.from_text("taro@example.test")


def setup(folder: Path, **tables: Any) -> Setup:
    return Setup(settings(folder, **tables).model_dump_json(), [])


async def make_account(folder: Path) -> None:
    clock = ManualClock()
    store = SqliteStore(
        folder / "data", clock, SeededDice(), LocalChanges(), StoreSettings(free_disk_octets=0)
    )
    await store.directory.add_domain(Domain("example.test", clock.now_us()))
    await store.directory.add_account(TARO, "$argon2id$nobody", "")
    await store.close()


class Client:
    """A stranger on port 25."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.ehlo = ""

    @classmethod
    async def connect(cls, running: Running) -> "Client":
        client = cls(*await asyncio.open_connection("127.0.0.1", running.ports["smtp"]))
        assert (await client.reply()).startswith("220 ")
        client.ehlo = await client.say("EHLO stranger.test")
        return client

    async def reply(self) -> str:
        lines = [await self.reader.readline()]
        while lines[-1][3:4] == b"-":
            lines.append(await self.reader.readline())
        return b"".join(lines).decode()

    async def say(self, line: str) -> str:
        self.writer.write(line.encode() + b"\r\n")
        return await self.reply()

    @property
    def size(self) -> int:
        found = re.search(r"SIZE (\d+)", self.ehlo)
        assert found is not None
        return int(found[1])


async def test_a_reload_under_load_changes_settings_and_loses_no_connection(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    await make_account(tmp_path)
    rounds = 15
    async with worker(
        tmp_path, setup(tmp_path, limits={"free_disk_octets": 0, "message_octets": 1_000_000})
    ) as running:
        clients: list[Client] = []
        for number in range(rounds):
            clients += [await Client.connect(running) for _ in range(2)]
            assert {client.size for client in clients[-2:]} == {1_000_000 + number}
            for client in clients[-2:]:
                assert (await client.say("MAIL FROM:<>")).startswith("250 ")
                assert (await client.say("RCPT TO:<taro@example.test>")).startswith("250 ")
                assert (await client.say("DATA")).startswith("354 ")
                client.writer.write(b"Subject: half of it\r\nFrom: <someone@stranger.test>\r\n\r\n")
            await running.reload(
                setup(tmp_path, limits={"free_disk_octets": 0, "message_octets": 1_000_001 + number})
            )
        for client in clients:
            assert (await client.say("the other half\r\n.")).startswith("250 "), (
                "an open connection keeps its services"
            )
            assert (await client.say("NOOP")).startswith("250 ")
            client.writer.close()
        assert len(running.entries("reception.accepted")) == 2 * rounds
        assert running.entries("duty.failed") == [] and running.entries("fault") == []


async def test_a_configuration_of_which_nothing_can_be_built_leaves_the_one_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with worker(
        tmp_path, setup(tmp_path, limits={"free_disk_octets": 0, "message_octets": 1_000_000})
    ) as running:
        build = services_module.build

        def broken(*arguments: Any) -> Any:
            build(*arguments)
            raise KeyError("x")

        monkeypatch.setattr(worker_module, "build", broken)
        other = setup(
            tmp_path, limits={"free_disk_octets": 0, "message_octets": 2_000_000, "connections_per_ip": 1}
        )
        running.context.reloads.put_nowait(msgspec.msgpack.encode(other))
        await running.until(lambda: bool(running.entries("duty.failed")))
        assert running.entries("worker.reloaded") == []
        clients = [await Client.connect(running) for _ in range(2)]  # nothing of it is in force
        assert {client.size for client in clients} == {1_000_000}
        monkeypatch.undo()
        await running.reload(other)
        for client in clients:
            client.writer.close()
        await running.until(lambda: running.shared.counts.open_connections("smtp") == 0)
        client = await Client.connect(running)
        assert client.size == 2_000_000
        client.writer.close()


class SilentResolver(asyncio.DatagramProtocol):
    """Remembers that it was asked."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.asked.set()


async def test_other_resolvers_are_asked_after_a_reload(tmp_path: Path) -> None:
    loop = asyncio.get_running_loop()
    asked = []
    for _ in range(2):
        transport, protocol = await loop.create_datagram_endpoint(SilentResolver, local_addr=("127.0.0.1", 0))
        asked.append((transport, protocol, "127.0.0.1:{}".format(transport.get_extra_info("sockname")[1])))
    (one, first, first_address), (other, second, second_address) = asked
    patient = {"timeout_seconds": 0.2, "tries": 1}
    async with worker(tmp_path, setup(tmp_path, resolver={"servers": [first_address], **patient})) as running:
        await asyncio.wait_for(first.asked.wait(), 30)  # what resolver is there? is asked at the start
        assert not second.asked.is_set()
        await running.reload(setup(tmp_path, resolver={"servers": [second_address], **patient}))
        await asyncio.wait_for(second.asked.wait(), 30)
    one.close()
    other.close()
