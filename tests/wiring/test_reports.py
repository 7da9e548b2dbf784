"""A report that comes to a running worker: read at the door, kept in its database, shown to the operator."""

import asyncio
import base64
import gzip
from pathlib import Path

import pytest
from tests.core.reports.test_hostile import xml
from tests.wiring.inprocess import worker
from tests.wiring.test_reload import Client, make_account, setup

from sekisho.admin.operations import make_request, read_answer
from sekisho.admin.reports import AskReports
from sekisho.wiring.alone import answer_alone


@pytest.mark.slow
async def test_a_report_comes_in_and_is_shown(tmp_path: Path) -> None:
    await make_account(tmp_path)
    house = setup(tmp_path)
    packed = base64.encodebytes(gzip.compress(xml().replace(b"example.org", b"example.test")))
    head = (
        "From: r@far.test\r\nMIME-Version: 1.0\r\nContent-Type: application/gzip\r\n"
        "Content-Transfer-Encoding: base64\r\n\r\n"
    )
    async with worker(tmp_path, house) as running:
        client = await Client.connect(running)
        assert (await client.say("MAIL FROM:<r@far.test>")).startswith("250 ")
        assert (await client.say("RCPT TO:<postmaster@example.test>")).startswith("250 ")
        assert (await client.say("DATA")).startswith("354 ")
        body = head + packed.decode().replace("\n", "\r\n")
        assert (await client.say(body + ".")).startswith("250 ")
        await running.until(lambda: len(running.entries("report.received")) == 1)

    def ask(unproven: bool) -> list[tuple[str, int]]:
        request = make_request("reports.dmarc", AskReports(unproven=unproven))
        answer = read_answer("reports.dmarc", answer_alone(house.config, request))
        return [(row.source_ip, row.messages) for row in answer]

    assert await asyncio.to_thread(ask, True) == [("192.0.2.1", 1)]
    assert await asyncio.to_thread(ask, False) == []  # nobody's DNS could be asked
