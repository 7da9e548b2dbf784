"""Whatever a logged-in client sends, the session answers it or ends politely; and big things stay small in
memory."""

import asyncio
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.services.access.imap.conftest import Server, until

from sekisho.adapters.stores.memory.content import MemoryContentWriter
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope
from sekisho.ports.spool import Acceptance, MailboxDelivery
from sekisho.ports.stream import StreamError

WORDS = (
    rb"""SELECT |EXAMINE |INBOX|"INBOX"|Archive|FETCH |STORE |COPY |MOVE |UID |SEARCH |1:*|1|*|2:1,3|99| |(|)
|FLAGS|+FLAGS
|-FLAGS.SILENT |\Seen|$kw|BODY[]|BODY.PEEK[1.1.MIME]|BODY[2.HEADER]<3.5>|BODY[TEXT]<0.0>
|BODY[HEADER.FIELDS (a B)]|ENVELOPE
|BODYSTRUCTURE|ALL|FULL|RFC822|RFC822.SIZE|INTERNALDATE|CLOSE|UNSELECT|EXPUNGE|NOOP|CHECK|IDLE|DONE
|CREATE |DELETE |RENAME
|SUBSCRIBE |LSUB |LIST |STATUS |(MESSAGES RECENT)|x/y|""|%|a%b*|APPEND INBOX |{4+}!abcd|{5}!abcde|{0+}!
|"1-Jan-2026"|OR |NOT
|SINCE 1-Jan-2026|SENTON 1-Jan-2026|SUBJECT x|BODY x|HEADER A ""|KEYWORD |CHARSET UTF-8 |LOGOUT|LOGIN a b
|AUTHENTICATE PLAIN
|STARTTLS|CAPABILITY|ENABLE X|ID NIL|NAMESPACE|!|!t |!t UID |!u |~|&AGE-""".replace(b"\n", b"")
    .replace(b"!", b"\r\n")
    .split(b"|")
)


async def feed(octets: bytes) -> None:
    server = Server()
    await server.add_accounts()
    for flags in (0, 4):
        await server.append(
            b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n",
            flags=flags,
        )
    client = await server.connect().log_in()
    await client.ok("SELECT INBOX")
    client.send(octets + b"\r\n")
    await client.stream.close()
    try:
        await asyncio.wait_for(client.task, 20)
    except StreamError:
        pass
    answers = bytes(client.server_stream.sent)
    assert b"Internal error" not in answers
    assert answers.endswith(b"\r\n") or b"BODY" in answers


@given(st.lists(st.sampled_from(WORDS), max_size=25).map(b"".join))
@settings(max_examples=150, deadline=None)
def test_nothing_a_client_says_is_a_fault(octets: bytes) -> None:
    asyncio.run(feed(b"t " + octets))


@given(st.binary(max_size=200))
@settings(max_examples=50, deadline=None)
def test_a_message_of_any_octets_can_be_fetched(octets: bytes) -> None:
    async def work() -> None:
        server = Server()
        await server.add_accounts()
        await server.append(
            b"Content-Type: multipart/mixed; boundary=b\r\n" + octets.replace(b"\0", b"\r\n--b\r\n") + b"x"
        )
        client = await server.connect().log_in()
        await client.ok("SELECT INBOX")
        lines = await client.ok(
            "FETCH 1 (BODY ENVELOPE BODYSTRUCTURE BODY[] BODY[1] BODY[1.MIME] BODY[HEADER] BODY[TEXT])"
        )
        assert lines[-1].startswith(b"* 1 FETCH (")
        await client.ok("SEARCH OR TEXT zz OR SUBJECT yy SENTBEFORE 1-Jan-2020")
        await server.stop()

    asyncio.run(work())


async def test_the_prefix_is_part_of_the_message(server: Any) -> None:
    content = server.store.spool.open_content()
    content.write(
        b"Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfirst\r\n--b--\r\n"
    )
    prefix = b"Return-Path: <a@b.example>\r\n"
    account = server.accounts["alice@example.test"].id
    envelope = Envelope(reverse_path=ReversePath(Address("a", "b.example")))
    await server.store.spool.accept(
        Acceptance(
            message_id="m1",
            envelope=envelope,
            content=content,
            prefix=b"",
            deliveries=(MailboxDelivery(delivery_id="d1", account_id=account, prefix=prefix),),
        )
    )
    client = await server.connect().log_in()
    await client.ok("SELECT INBOX")
    assert await client.ok(
        "FETCH 1 (BODY.PEEK[1] BODY.PEEK[TEXT]<0.3> BODY.PEEK[HEADER.FIELDS (RETURN-PATH SUBJECT)])"
    ) == [
        b"* 1 FETCH (BODY[1] {5}\r\nfirst BODY[TEXT]<0> {3}\r\n--b BODY[HEADER.FIELDS (RETURN-PATH "
        b"SUBJECT)] {%d}\r\n"
        b"Return-Path: <a@b.example>\r\nSubject: x\r\n\r\n)" % (len(prefix) + 14)
    ]
    assert (await client.ok("FETCH 1 BODY.PEEK[HEADER]"))[0].startswith(
        b"* 1 FETCH (BODY[HEADER] {85}\r\nReturn-Path"
    )
    assert (await client.ok("SEARCH HEADER Return-Path b.example")) == [b"* SEARCH 1"]


async def test_a_big_message_is_scanned_and_sent_in_windows(
    server: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = b"x" * 76 + b"\r\n"
    body = line * 30_000
    await server.append(
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nfirst\r\n--b\r\nContent-Type: "
        b"application/x\r\n\r\n" + body + b"\r\n--b\r\n\r\nlast word\r\n--b--\r\n"
    )
    client = await server.connect().log_in()
    await client.ok("SELECT INBOX")
    lines = await client.ok("FETCH 1 (BODY BODY.PEEK[3] BODY.PEEK[2]<1000000.10>)")
    assert b'("application" "x" NIL NIL NIL "7bit" %d)' % len(body) in lines[0]
    assert b"BODY[3] {9}\r\nlast word BODY[2]<1000000> {10}" in lines[0]
    assert await client.ok('SEARCH BODY "last word"') == [b"* SEARCH 1"]


class _Nowhere(MemoryContentWriter):
    """A writer that only counts."""

    size = 0

    def write(self, octets: bytes) -> None:
        assert len(octets) <= 65536
        _Nowhere.size += len(octets)


@pytest.mark.slow
async def test_appending_100_mb_takes_no_memory(server: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.store.spool, "open_content", _Nowhere)
    _Nowhere.size = 0
    client = await server.connect().log_in()
    size = 100_000_000
    client.send(b"a APPEND INBOX {%d}\r\n" % size)
    assert (await client.line()).startswith(b"+ ")
    piece = b"x" * 65536
    tracemalloc.start()
    base, _ = tracemalloc.get_traced_memory()
    left = size
    while left:
        client.stream.sent.clear()
        client.send(piece[:left])
        left -= min(left, len(piece))
        await until(lambda: not client.server_stream.has_input)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert _Nowhere.size == size
    assert peak - base < 2_000_000
