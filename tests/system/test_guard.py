"""A hijack of a whole server with two workers: nothing of a burst leaves, people are told, and what is
released goes once."""

import imaplib
import itertools
import smtplib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.crash.sink import Sink, running_sink
from tests.system import server as servers
from tests.system.mailboxes import trust
from tests.system.server import Server, running, wait_until

from sekisho.adapters.labclock import VARIABLE, ClockMover

pytestmark = pytest.mark.slow

DAY_US = 86_400_000_000
HOME, AWAY = "127.0.0.1", "127.0.77.9"


class Scene:
    def __init__(self, server: Server, sink: Sink, mover: ClockMover) -> None:
        self.server, self.sink, self._mover = server, sink, mover
        self._numbers = itertools.count(1)
        self._ahead_us = 0

    def advance(self, us: int) -> None:
        self._ahead_us += us
        self._mover.move(self._ahead_us)

    def send(
        self, *recipients: str, source: str = HOME, agent: str = "Thunderbird/115", text: str = "hello"
    ) -> int:
        """The number of the message, or 0 when the server let nobody in."""
        account, number = self.server.accounts["alice"], next(self._numbers)
        content = (
            f"From: {account.address}\r\nUser-Agent: {agent}\r\nX-Number: {number}\r\nSubject: "
            f"letter\r\n\r\n{text}\r\n"
        )
        context = trust(self.server)
        try:
            with smtplib.SMTP_SSL(
                "localhost", self.server.ports["submissions"], source_address=(source, 0), context=context
            ) as client:
                client.login(account.address, account.password)
                client.sendmail(account.address, recipients, content)
        except (smtplib.SMTPException, OSError):
            return 0
        return number

    def reached(self) -> set[int]:
        return {number for number, _ in self.sink.taken}


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    mover = ClockMover(tmp_path / "clock")
    monkeypatch.setitem(servers.ENVIRONMENT, VARIABLE, str(tmp_path / "clock"))
    with running_sink() as sink:

        def change(toml: str) -> str:
            return f'{toml}\n[relay.routes]\n"*" = "[127.0.0.1]:{sink.port}"\n'

        with running(tmp_path / "try", change=change) as server:
            yield Scene(server, sink, mover)


def days_of_history(scene: Scene, days: int) -> None:
    for _ in range(days):
        sent = {scene.send(f"friend{number}@there.test") for number in range(2)}
        wait_until(lambda sent=sent: sent <= scene.reached(), lambda: scene.server.log[-2000:])  # type: ignore[misc]  # binds the loop's variable
        scene.advance(DAY_US)


def test_a_burst_is_held_and_released_once(scene: Scene) -> None:
    days_of_history(scene, 11)
    with ThreadPoolExecutor(4) as pool:
        tries = list(
            pool.map(
                lambda n: scene.send(f"victim{n}@v{n % 20}.test", source=AWAY, agent="", text="buy this now"),
                range(120),
            )
        )
    accepted = {number for number in tries if number}
    assert len(accepted) >= 20
    wait_until(
        lambda: [row["frozen"] for row in scene.server.command("guard", "list")] == [True],
        lambda: scene.server.log[-3000:],
    )
    assert scene.send("friend0@there.test") == 0  # the password opens nothing any more
    scene.advance(2 * 3_600_000_000)
    details = scene.server.command("guard", "show", "alice@example.test", "--limit", "5")
    assert details["held_messages"] == len(accepted) and len(details["held"]) == 5
    assert [left for left in details["left"] if "victim" in left["address"]] == []
    assert not accepted & scene.reached()
    done = scene.server.command("guard", "release", "alice@example.test")
    assert (done["messages"], done["recipients"]) == (len(accepted), len(accepted))
    wait_until(lambda: accepted <= scene.reached(), lambda: scene.server.log[-3000:])
    assert set(scene.sink.taken.values()) == {1}
    wait_until(lambda: scene.server.command("queue", "list") == [])
    assert scene.send("friend0@there.test")
    with imaplib.IMAP4_SSL(
        "localhost", scene.server.ports["imaps"], ssl_context=trust(scene.server)
    ) as alice:
        alice.login("alice@example.test", scene.server.accounts["alice"].password)
        alice.select()
        assert alice.search(None, "SUBJECT", "held")[1] != [b""]


def test_what_is_purged_never_leaves(scene: Scene) -> None:
    days_of_history(scene, 11)
    accepted = [
        scene.send(f"victim{n}@v{n % 20}.test", source=AWAY, agent="", text="buy this now") for n in range(60)
    ]
    wait_until(
        lambda: [row["frozen"] for row in scene.server.command("guard", "list")] == [True],
        lambda: scene.server.log[-3000:],
    )
    done = scene.server.command("guard", "purge", "alice@example.test", "--yes")
    assert done["messages"] == sum(map(bool, accepted)) and scene.server.command("queue", "list") == []
    scene.server.command(
        "account", "passwd", "alice@example.test", "--password-stdin", stdin="another battery staple\n"
    )
    scene.server.accounts["alice"] = servers.Account("alice@example.test", "another battery staple")
    honest = scene.send("friend1@there.test")
    wait_until(lambda: honest in scene.reached(), lambda: scene.server.log[-3000:])
    assert not set(accepted) & scene.reached()
