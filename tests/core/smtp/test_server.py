"""The server machine: the same events and replies for any cut of the octets, and nothing but protocol replies
for garbage."""

import re
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sekisho.core.smtp.events import (
    NEED_DATA,
    Connected,
    ContentBegins,
    ContentChunk,
    ContentEnds,
    ContentRefused,
    Ended,
    Hello,
    MailFrom,
    RcptTo,
    SaslBegins,
    SaslResponse,
    TlsBegins,
    TransactionDropped,
)
from sekisho.core.smtp.server import ServerMachine
from sekisho.core.smtp.session import ServerSettings
from sekisho.core.terms.reference import Reference
from sekisho.core.terms.reply import Reply

SETTINGS = ServerSettings(role="reception", hostname="mx.example", message_octets=4000, recipients=3)
_OK = Reply.of(250, "2.0.0", "OK")


@dataclass
class Driver:
    """Answers everything with yes; keeps what was told and said."""

    machine: ServerMachine
    log: list[str] = field(default_factory=list)
    contents: list[bytes] = field(default_factory=list)
    said: bytes = b""
    open: bytes = b""
    begin: Reply | None = None

    def feed(self, octets: bytes) -> None:
        self.machine.receive_data(octets)
        while True:
            event = self.machine.next_event()
            self.said += self.machine.data_to_send()
            if event is NEED_DATA or isinstance(event, Ended):
                if isinstance(event, Ended) and (not self.log or not self.log[-1].startswith("Ended")):
                    self.log.append(repr(event))
                return
            if isinstance(event, ContentChunk):
                assert len(event.octets) <= 65536
                self.open += event.octets
                continue
            self.log.append(
                repr(event) if not isinstance(event, ContentRefused) else f"refused {event.fault}"
            )
            self._answer(event)

    def _answer(self, event: object) -> None:
        if isinstance(event, Connected | Hello):
            self.machine.answer(None)
        elif isinstance(event, ContentBegins):
            self.machine.answer(self.begin)
        elif isinstance(event, MailFrom | RcptTo):
            self.machine.answer(_OK)
        elif isinstance(event, ContentEnds):
            self.contents.append(self.open)
            self.open = b""
            self.machine.answer(_OK)
        elif isinstance(event, ContentRefused | TransactionDropped):
            self.open = b""
        elif isinstance(event, SaslBegins):
            self.machine.challenge(b"")
        elif isinstance(event, SaslResponse):
            self.machine.answer(
                Reply.of(235, "2.7.0", "Hello") if event.octets == b"good" else Reply.of(535, "5.7.8", "No")
            )
        elif isinstance(event, TlsBegins):
            self.machine.tls_started()

    @property
    def codes(self) -> list[int]:
        return [int(code) for code in re.findall(rb"^(\d{3}) ", self.said, re.MULTILINE)]


def play(
    octets: bytes,
    how: ServerSettings = SETTINGS,
    *,
    tls: bool = False,
    cuts: int | None = None,
    begin: Reply | None = None,
) -> Driver:
    driver = Driver(ServerMachine(how, tls=tls), begin=begin)
    step = cuts or max(len(octets), 1)
    driver.feed(b"")
    for start in range(0, len(octets), step):
        driver.feed(octets[start : start + step])
    return driver


OPENING = b"EHLO c.example\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<u@mx.example>\r\n"


def same_in_pieces(octets: bytes, how: ServerSettings = SETTINGS, *, tls: bool = False) -> Driver:
    whole, single, threes = (play(octets, how, tls=tls, cuts=cuts) for cuts in (None, 1, 3))
    assert whole.log == single.log == threes.log
    assert whole.contents == single.contents == threes.contents
    assert whole.said == single.said == threes.said
    return whole


@pytest.mark.parametrize(
    ("octets", "code", "limit"),
    [
        (b"EHLO c.example\r\nMAIL FROM:<a@b.example> SIZE=4001\r\n", 552, "MAIL"),
        (OPENING + b"RCPT TO:<v@mx.example>\r\n" * 3, 452, "RCPT"),
        (OPENING + b"DATA\r\n" + b"x\r\n" * 2000 + b".\r\n", 552, ""),
        (OPENING + b"DATA\r\nbare\nx\r\n.\r\n", 550, ""),
        (b"NONSENSE\r\n" * 10, 421, ""),
        (b"EHLO c.example\r\n" + b"MAIL FROM:<a@b.example>\r\nRSET\r\n" * 1001, 421, ""),
    ],
)
def test_what_our_limits_refuse_can_be_asked_about(octets: bytes, code: int, limit: str) -> None:
    driver = Driver(
        ServerMachine(SETTINGS, reference=Reference("k3q7w2ma", "https://mail.example/why/k3q7w2ma"))
    )
    driver.feed(octets)
    assert re.search(
        rb"^%d-[0-9.]+ .* \(id k3q7w2ma\)\r\n%d [0-9.]+ See https://mail.example/why/k3q7w2ma\r\n"
        % (code, code),
        driver.said,
        re.M,
    )
    assert [line for line in driver.log if line.startswith("LimitReached")] == [
        line for line in driver.log if limit and line.startswith(f"LimitReached(command='{limit}'")
    ]
    assert bool(limit) == any(line.startswith("LimitReached") for line in driver.log)


def test_mistakes_of_the_client_refer_to_nothing() -> None:
    driver = Driver(ServerMachine(SETTINGS, reference=Reference("k3q7w2ma")))
    driver.feed(
        b"NONSENSE\r\nMAIL FROM:<a@b>\r\nEHLO c.example\r\nRCPT TO:<a@b.example>\r\nMAIL FROM:a\r\nMAIL "
        b"FROM:<a@b.example> X=1\r\n"
    )
    assert len(driver.codes) == 7 and b"k3q7w2ma" not in driver.said


def test_a_message_goes_through() -> None:
    talk = same_in_pieces(OPENING + b"DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nQUIT\r\n")
    assert talk.contents == [b"Subject: x\r\n\r\n.dot\r\n"]
    assert talk.codes == [220, 250, 250, 250, 354, 250, 221]


@pytest.mark.parametrize(
    ("wire", "content"),
    [
        (b".\r\n", b""),
        (b"\r\n.\r\n", b"\r\n"),
        (b"..\r\n.\r\n", b".\r\n"),
        (b".x\r\n.\r\n", b"x\r\n"),
        (b"a\r\n...\r\n.\r\n", b"a\r\n..\r\n"),
    ],
)
def test_dots_are_unstuffed(wire: bytes, content: bytes) -> None:
    assert same_in_pieces(OPENING + b"DATA\r\n" + wire).contents == [content]


FALSE_ENDS = [
    rb"\n.\n",
    rb"\n.\r",
    rb"\r.\n",
    rb"\r.\r",
    rb"\n.\r\n",
    rb"\r.\r\n",
    rb"\r\n\x00.\r\n",
    rb"\r\n.\r\r\n",
    rb"\r\r\n.\r\r\n",
    rb"\r\n.\n",
    rb"\r\n.\r",
    rb"\r\x00\n.\r\n",
    rb"\r\n.\x00\r\n",
    rb"\r\n.\r\x00\n",
    rb"\r\n\x00.\r",
    rb"\r\n\x00.\n",
    rb"\n\n.\r\n",
]


@pytest.mark.parametrize("escaped", FALSE_ENDS)
@pytest.mark.parametrize("chunking", [False, True])
def test_false_ends_of_data_are_refused(escaped: bytes, chunking: bool) -> None:
    sequence = escaped.decode("unicode_escape").encode("latin-1")
    inner = (
        b"Subject: x\r\n\r\nbody"
        + sequence
        + b"MAIL FROM:<smuggled@b.example>\r\nRCPT TO:<u@mx.example>\r\nDATA\r\nx"
    )
    if chunking:
        talk = same_in_pieces(OPENING + b"BDAT %d LAST\r\n" % len(inner) + inner + b"NOOP\r\n")
        assert talk.codes[-1] == 550
    else:
        talk = same_in_pieces(OPENING + b"DATA\r\n" + inner + b"\r\n.\r\nNOOP\r\n")
        assert talk.codes[-2:] == [354, 550]
    assert talk.contents == [] and "smuggled" not in "".join(talk.log)
    assert talk.log[-1] == "Ended(reason='content')"


def test_a_nul_beside_the_real_end() -> None:
    before = same_in_pieces(OPENING + b"DATA\r\nx\x00\r\n.\r\nNOOP\r\n")
    assert before.codes[-1] == 550 and before.contents == []
    behind = same_in_pieces(OPENING + b"DATA\r\nx\r\n.\r\n\x00NOOP\r\nQUIT\r\n")
    assert behind.contents == [b"x\r\n"] and behind.codes[-2:] == [500, 221]


def test_too_large_is_swallowed_and_refused() -> None:
    talk = same_in_pieces(OPENING + b"DATA\r\n" + b"x" * 70 + (b"y" * 70 + b"\r\n") * 60 + b".\r\nQUIT\r\n")
    assert talk.codes[-2:] == [552, 221] and talk.contents == []


def test_bdat_is_counted() -> None:
    talk = same_in_pieces(OPENING + b"BDAT 6\r\nDATA\r\nBDAT 0\r\nBDAT 5 LAST\r\n.\r\n\r\nQUIT\r\n")
    assert talk.contents == [b"DATA\r\n.\r\n\r\n"]
    assert talk.codes[-4:] == [250, 250, 250, 221]
    assert same_in_pieces(OPENING + b"BDAT 3\r\na\r\nBDAT 0 LAST\r\n").contents == [b"a\r\n"]


def test_bdat_out_of_order_is_swallowed() -> None:
    talk = same_in_pieces(b"EHLO c\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
    assert talk.codes == [220, 250, 503, 250]
    talk = same_in_pieces(b"EHLO c\r\nMAIL FROM:<>\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n")
    assert talk.codes[-2:] == [554, 250]
    refused = play(
        OPENING + b"BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\nNOOP\r\n", begin=Reply.of(451, "4.3.0", "Later")
    )
    assert refused.codes[-3:] == [451, 503, 250]


def test_data_and_bdat_do_not_mix() -> None:
    talk = same_in_pieces(OPENING + b"BDAT 2\r\nabDATA\r\nBDAT 2 LAST\r\ncdNOOP\r\n")
    assert talk.codes[-4:] == [250, 503, 503, 250] and talk.contents == []


def test_a_broken_bdat_ends_the_session() -> None:
    talk = same_in_pieces(OPENING + b"BDAT ten LAST\r\nRSET\r\n")
    assert talk.codes[-1] == 501 and talk.log[-1] == "Ended(reason='syntax')"


def test_a_bare_lf_in_a_command_ends_the_session() -> None:
    talk = same_in_pieces(b"EHLO c\nNOOP\r\n")
    assert talk.codes == [220, 500] and talk.log[-1] == "Ended(reason='syntax')"


@pytest.mark.parametrize(
    "line", [b"NO\rOP", b"NOOP\x00", b"\r", b"", b"XYZZY", b"\xff\xfe", b"MAIL", b"NOOP\r"]
)
def test_bad_lines_are_500_class(line: bytes) -> None:
    talk = same_in_pieces(b"EHLO c\r\n" + line + b"\r\nQUIT\r\n")
    assert 500 <= talk.codes[2] <= 503 and talk.codes[-1] == 221


def test_overlong_lines_are_swallowed() -> None:
    talk = same_in_pieces(
        b"EHLO " + b"a" * 20000 + b"\r\nNOOP " + b"x" * 4089 + b"\r\nNOOP " + b"x" * 4090 + b"\r\n"
    )
    assert talk.codes == [220, 500, 250, 500]


def test_errors_end_the_session() -> None:
    talk = same_in_pieces(b"XYZZY\r\n" * 20)
    assert talk.codes == [220, *[500] * 10, 421]


def test_recipients_over_the_limit_are_452() -> None:
    talk = same_in_pieces(OPENING + b"RCPT TO:<u@mx.example>\r\n" * 3)
    assert talk.codes[-3:] == [250, 250, 452]


def test_starttls() -> None:
    good = play(OPENING)
    good.feed(b"RSET\r\n")
    good.feed(b"STARTTLS\r\n")
    good.feed(b"MAIL FROM:<>\r\n")
    good.feed(b"EHLO c\r\n")
    assert good.codes[-4:] == [250, 220, 503, 250]
    assert good.said.count(b"STARTTLS") == 1  # not offered again inside TLS
    injected = play(b"EHLO c\r\nSTARTTLS\r\nNOOP\r\n")
    assert injected.codes == [220, 250, 554] and injected.log[-1] == "Ended(reason='syntax')"
    assert play(b"EHLO c\r\nSTARTTLS foo\r\n").codes[-1] == 501
    assert play(b"EHLO c\r\nSTARTTLS\r\n", tls=True).codes[-1] == 503
    assert same_in_pieces(b"STARTTLS\r\nEHLO c\r\nSTARTTLS\r\nNOOP\r\n", tls=True).codes[-1] == 250
    assert play(OPENING + b"STARTTLS\r\n").codes[-1] == 503


SUBMISSION = ServerSettings(role="submission", hostname="mx.example", message_octets=4000)


def test_submission_wants_tls_and_login() -> None:
    plain = play(b"EHLO c\r\nMAIL FROM:<>\r\nAUTH PLAIN AAAA\r\n", SUBMISSION)
    assert plain.codes[-2:] == [530, 530] and b"AUTH" not in plain.said.split(b"\r\n250 HELP")[0]
    inside = same_in_pieces(
        b"EHLO c\r\nMAIL FROM:<>\r\nAUTH PLAIN\r\nZ29vZA==\r\nAUTH PLAIN\r\nMAIL FROM:<>\r\n",
        SUBMISSION,
        tls=True,
    )
    assert inside.codes == [220, 250, 530, 334, 235, 503, 250]


@pytest.mark.parametrize("line", [b"*", b"Z29vZ", b"Z29v ZA==", b"!!!!", b"Z29vZA==\xff", b"x" * 13000])
def test_bad_sasl_lines_leave_the_exchange(line: bytes) -> None:
    talk = same_in_pieces(b"EHLO c\r\nAUTH LOGIN\r\n" + line + b"\r\nNOOP\r\n", SUBMISSION, tls=True)
    assert talk.codes[-3:] in ([334, 501, 250], [334, 500, 250])


def test_reception_never_offers_auth() -> None:
    talk = play(b"EHLO c\r\nAUTH PLAIN AAAA\r\nMAIL FROM:<a@b> AUTH=<>\r\n", tls=True)
    assert talk.codes[-2:] == [502, 555] and b"AUTH" not in talk.said.replace(b"AUTH is not supported", b"")


@pytest.mark.parametrize("cap", [10, 11, 998])
def test_long_lines_only_above_the_limit(cap: int) -> None:
    how = ServerSettings(role="reception", hostname="mx.example", text_line_octets=cap)
    fits = b"ab\r\n" + b"x" * cap + b"\r\n\r\n" + b"y" * cap + b"\r\n.\r\n"
    assert len(same_in_pieces(OPENING + b"DATA\r\n" + fits, how).contents) == 1
    over = b"ab\r\n" + b"x" * (cap + 1) + b"\r\n.\r\n"
    assert same_in_pieces(OPENING + b"DATA\r\n" + over, how).codes[-1] == 554


_WORDS = [
    b"EHLO c.example\r\n",
    b"HELO [192.0.2.1]\r\n",
    b"MAIL FROM:<a@b.example>\r\n",
    b"MAIL FROM:<> SIZE=10 BODY=8BITMIME SMTPUTF8\r\n",
    b"RCPT TO:<u@mx.example>\r\n",
    "RCPT TO:<ü@mx.example>\r\n".encode(),
    b"DATA\r\n",
    b".\r\n",
    b"\r\n.\r\n",
    b"\n.\n",
    b"\0",
    b"\r",
    b"\n",
    b"BDAT 5\r\n",
    b"BDAT 3 LAST\r\n",
    b"BDAT 0 LAST\r\n",
    b"abc\r\n",
    b"RSET\r\n",
    b"NOOP x\r\n",
    b"VRFY x\r\n",
    b"HELP\r\n",
    b"AUTH PLAIN\r\n",
    b"AUTH LOGIN Z29vZA==\r\n",
    b"Z29vZA==\r\n",
    b"*\r\n",
    b"..",
    b".",
    b"x" * 300,
    b"EXPN x\r\n",
    b"QUIT\r\n",
]


@given(
    st.lists(st.one_of(st.sampled_from(_WORDS), st.binary(max_size=12)), max_size=40),
    st.sampled_from([SETTINGS, SUBMISSION]),
)
@settings(max_examples=150, deadline=None)
def test_any_talk_is_the_same_in_pieces(words: list[bytes], how: ServerSettings) -> None:
    same_in_pieces(b"".join(words), how, tls=True)


@given(st.binary(max_size=3000), st.integers(1, 40))
@settings(max_examples=100, deadline=None)
def test_any_content_is_the_same_in_pieces(content: bytes, cuts: int) -> None:
    octets = OPENING + b"DATA\r\n" + content + b"\r\n.\r\n"
    whole, pieces = play(octets), play(octets, cuts=cuts)
    assert (whole.contents, whole.said) == (pieces.contents, pieces.said)


def test_memory_is_bounded() -> None:
    driver = play(OPENING + b"DATA\r\n", ServerSettings(role="reception", hostname="mx.example"))
    for _ in range(200):
        driver.feed(b"\r\n." * 5000)
        driver.open = b""
        assert len(driver.machine._buffer) <= 65536
    endless = play(b"EHLO ")
    for _ in range(200):
        endless.feed(b"x" * 4000)
        assert len(endless.machine._buffer) <= 4096
