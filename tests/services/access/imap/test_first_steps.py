"""A first walk through every command."""

from typing import Any

MESSAGE = (
    b"From: Alice <alice@example.test>\r\nTo: bob@example.test\r\nSubject: Lunch?\r\nDate: Tue, 24 Nov "
    b"2026 12:00:00 +0900\r\n"
    b"Message-ID: <1@example.test>\r\n\r\nAt noon?\r\n"
)


async def test_a_day_with_one_mailbox(server: Any) -> None:
    client = await server.connect().log_in()
    client.send(
        b'a APPEND INBOX (\\Flagged $Later) "24-Nov-2026 12:00:01 +0900" {%d+}\r\n%b\r\n'
        % (len(MESSAGE), MESSAGE)
    )
    assert (await client.line()).startswith(b"a OK [APPENDUID ")
    lines = await client.ok("SELECT INBOX")
    assert b"* 1 EXISTS" in lines
    assert b"* 1 RECENT" in lines
    assert any(b"$Later" in line for line in lines)
    lines = await client.ok("FETCH 1 (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODY BODYSTRUCTURE)")
    assert lines == [
        b'* 1 FETCH (UID 1 FLAGS (\\Flagged $Later \\Recent) INTERNALDATE "24-Nov-2026 12:00:01 +0900" '
        b"RFC822.SIZE %d "
        b'ENVELOPE ("Tue, 24 Nov 2026 12:00:00 +0900" "Lunch?" (("Alice" NIL "alice" "example.test")) '
        b'(("Alice" NIL "alice" "example.test")) (("Alice" NIL "alice" "example.test")) ((NIL NIL "bob" '
        b'"example.test")) '
        b'NIL NIL NIL "<1@example.test>") BODY ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 1) '
        b'BODYSTRUCTURE ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 10 1 NIL NIL NIL NIL))'
        % len(MESSAGE)
    ]
    assert await client.ok("FETCH 1 BODY[TEXT]") == [
        b"* 1 FETCH (FLAGS (\\Flagged \\Seen $Later \\Recent) BODY[TEXT] {10}\r\nAt noon?\r\n)"
    ]
    assert await client.ok("FETCH 1 BODY.PEEK[HEADER.FIELDS (SUBJECT)]") == [
        b"* 1 FETCH (BODY[HEADER.FIELDS (SUBJECT)] {19}\r\nSubject: Lunch?\r\n\r\n)"
    ]
    assert await client.ok("FETCH 1 BODY.PEEK[]<5.7>") == [b"* 1 FETCH (BODY[]<5> {7}\r\n Alice )"]
    assert await client.ok("STORE 1 +FLAGS (\\Deleted)") == [
        b"* 1 FETCH (UID 1 FLAGS (\\Flagged \\Deleted \\Seen $Later \\Recent))"
    ]
    for key in (
        "ALL",
        "SUBJECT lunch",
        "BODY noon",
        "TEXT alice",
        "SENTON 24-Nov-2026",
        "OR SEEN DRAFT",
        "NOT (LARGER 99999)",
        "KEYWORD $later",
    ):
        assert await client.ok(f"SEARCH {key}") == [b"* SEARCH 1"], key
    assert await client.ok("SEARCH BODY tomorrow") == [b"* SEARCH"]
    lines = await client.command("COPY 1 Archive")
    assert lines[-1].startswith(b"OK [COPYUID ")
    assert await client.ok("EXPUNGE") == [b"* 1 EXPUNGE"]
    lines = await client.ok("STATUS Archive (MESSAGES UIDNEXT SIZE RECENT)")
    assert lines == [b'* STATUS "Archive" (MESSAGES 1 UIDNEXT 2 SIZE %d RECENT 1)' % len(MESSAGE)]
    assert await client.ok('LIST "" "A%"') == [b'* LIST (\\HasNoChildren \\Archive) "/" "Archive"']
    assert (await client.command("LOGOUT"))[-1].startswith(b"OK")
    assert await client.at_end()


async def test_a_session_ends_with_its_token(server: Any) -> None:
    for_ever = await server.connect().log_in()
    server.logins_until_us = server.clock.now_us() + 60_000_000
    for_a_minute = await server.connect().log_in()
    server.clock.advance(59)
    server.handler.end_expired()
    await for_a_minute.ok("NOOP")
    server.clock.advance(1)
    server.handler.end_expired()
    assert b"log in again" in await for_a_minute.line() and await for_a_minute.at_end()
    await for_ever.ok("NOOP")
