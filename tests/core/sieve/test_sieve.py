"""Scripts are understood or refused with a line; what runs is bounded, and whatever fails keeps the
message."""

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.core.sieve.made_scripts import REQUIRE_ALL, ScriptMaker
from tests.effort import effort

from sekisho.core.sieve.actions import Discard, FileInto, Keep, Notify, Redirect, Reject, Result, Vacation
from sekisho.core.sieve.compiler import compile_script
from sekisho.core.sieve.faults import ScriptFault, SieveError
from sekisho.core.sieve.fields import edited
from sekisho.core.sieve.language import LANGUAGE, WHOLE_LANGUAGE
from sekisho.core.sieve.letters import Stamp, notice_letter, vacation_letter
from sekisho.core.sieve.limits import DEFAULT_LIMITS, SieveLimits
from sekisho.core.sieve.machine import run_script
from sekisho.core.sieve.script import Language, Script
from sekisho.core.sieve.situation import MailView, Situation

MESSAGE = b"From: anne@example.org\r\nTo: ben@example.com\r\nSubject: Hello\r\n\r\nText.\r\n"
EVERYTHING = "require [{}];".format(
    ", ".join(f'"{name}"' for name in sorted(WHOLE_LANGUAGE.capabilities) if name != "reject")
)


def run(text: str, message: bytes = MESSAGE, limits: SieveLimits = DEFAULT_LIMITS, **changes: Any) -> Result:
    script = compile_script(text.encode(), WHOLE_LANGUAGE, limits)
    known: dict[str, Any] = {"reverse_path": "anne@example.org", "recipient": "ben@example.com"} | changes
    return run_script(script, Situation(message=MailView.of(message), **known), limits)


def faults(text: str, limits: SieveLimits = DEFAULT_LIMITS) -> list[str]:
    with pytest.raises(SieveError) as caught:
        compile_script(text.encode(), LANGUAGE, limits)
    return [str(fault) for fault in caught.value.faults]


def test_nothing_said_keeps_the_message() -> None:
    assert run("").actions == [Keep(is_implicit=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("discard;", [Discard()]),
        ("keep;", [Keep()]),
        ("discard; keep;", [Discard(), Keep()]),
        ('require "fileinto"; fileinto "A";', [FileInto(mailbox="A")]),
        (
            'require ["fileinto", "copy"]; fileinto :copy "A";',
            [FileInto(mailbox="A"), Keep(is_implicit=True)],
        ),
        ('require ["fileinto", "mailbox"]; fileinto :create "A";', [FileInto(mailbox="A", create=True)]),
        (
            'require ["fileinto", "special-use"]; fileinto :specialuse "\\\\Junk" "J";',
            [FileInto(mailbox="J", special_use="\\Junk")],
        ),
        ('require ["imap4flags"]; addflag "\\\\seen"; stop;', [Keep(flags=("\\Seen",), is_implicit=True)]),
        ('require ["imap4flags"]; addflag "\\\\seen"; keep :flags "x";', [Keep(flags=("x",))]),
        ('redirect "Carl <carl@example.net>";', [Redirect(address="carl@example.net")]),
        ('require "ereject"; ereject "No.";', [Reject("No.", in_session=True)]),
    ],
)
def test_actions(text: str, expected: list[Any]) -> None:
    result = run(text)
    assert (result.actions, result.error) == (expected, None)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n\nfrobnicate;", ["line 3: There is no command frobnicate. Is it spelled right?"]),
        ("keep", ["line 1: After keep a semicolon or a block is expected, not the end of the script."]),
        ("if true { keep;", ["line 1: The block that begins here is never closed. End it with }."]),
        ('keep "', ['line 1: The string that begins here is never closed. End it with ".']),
        ("/* keep", ["line 1: The comment that begins here is never closed. End it with */."]),
        ('fileinto "A";', ['line 1: fileinto needs require "fileinto" at the top of the script.']),
        (
            'keep; require "copy";',
            ["line 1: require must come before other commands. Put it at the top of the script."],
        ),
        ('redirect "nobody";', ['line 1: "nobody" is not an address to which mail can be redirected.']),
        (
            'require "editheader";',
            [
                (
                    'line 1: The capability "editheader" is not supported. Remove it from require, and what '
                    "needs it."
                )
            ],
        ),
        (
            'require "regex";',
            ['line 1: The capability "regex" is not supported. Remove it from require, and what needs it.'],
        ),
        ("keep; }\nkeep;", ["line 1: This } closes no block. Remove it, or open the block with {."]),
        ('if header "a" { stop; }', ["line 1: header takes 2 arguments. Some are missing."]),
        ('require "index"; if header :last "a" "b" { stop; }', ["line 1: :last needs :index."]),
        (
            'require "mime"; if header :anychild "a" "b" { stop; }',
            ["line 1: :anychild needs :mime."],
        ),
        ("true;", ["line 1: true is a test, not a command. Put it behind if."]),
    ],
)
def test_faults_say_where_and_what_to_do(text: str, expected: list[str]) -> None:
    assert faults(text) == expected


def test_every_fault_is_told_at_once() -> None:
    assert [fault.partition(":")[0] for fault in faults("one;\ntwo (;\nthree;\nif { }\nfour;")] == [
        f"line {n}" for n in (1, 2, 3, 4, 5)
    ]


def test_what_is_no_utf8_is_told_by_its_line() -> None:
    with pytest.raises(SieveError, match="line 2: This line is not UTF-8"):
        compile_script(b'keep;\nkeep "\xff";', LANGUAGE)


def check_any(octets: bytes, language: Language) -> None:
    script: Script | None = None
    found: tuple[ScriptFault, ...] = ()
    try:
        script = compile_script(octets, language)
    except SieveError as error:
        found = error.faults
    if script is None:
        assert found and all(fault.line >= 1 and str(fault) for fault in found)
    else:
        assert run_script(script, Situation(message=MailView.of(MESSAGE))).actions


@given(st.text(max_size=300) | st.text(alphabet='ab"\\:;,{}[]()#*/ \n0K.', max_size=80))
@example("text:\n")
@example('if anyof (true, not header :is ["a"] "b") { if true { stop; } }')
def test_any_text_is_a_script_or_a_fault(text: str) -> None:
    for language in (LANGUAGE, WHOLE_LANGUAGE):
        check_any(text.encode("utf-8", "surrogatepass"), language)


WORDS = st.sampled_from(
    [
        "keep",
        "discard",
        "stop",
        "if",
        "elsif",
        "else",
        "anyof",
        "allof",
        "not",
        "true",
        "false",
        "header",
        "address",
        "exists",
        "size",
        "envelope",
        "body",
        "date",
        "currentdate",
        "hasflag",
        "string",
        "set",
        "setflag",
        "addflag",
        "fileinto",
        "redirect",
        "vacation",
        "reject",
        "include",
        "foreverypart",
        "break",
        "duplicate",
        "environment",
        "notify",
        "addheader",
        "deleteheader",
        ":is",
        ":contains",
        ":matches",
        ":count",
        ":value",
        ":comparator",
        ":all",
        ":localpart",
        ":user",
        ":detail",
        ":mime",
        ":anychild",
        ":index",
        ":last",
        ":copy",
        ":flags",
        ":create",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        ",",
        ";",
        '"from"',
        '"*"',
        '"eq"',
        '"i;octet"',
        '"${1}"',
        '"a@example.org"',
        '"mailto:a@example.org"',
        "1",
        "10K",
    ]
)


@given(st.lists(WORDS, max_size=40))
def test_any_words_are_a_script_or_a_fault(words: list[str]) -> None:
    check_any((EVERYTHING + " ".join(words)).encode(), WHOLE_LANGUAGE)


def test_scripts_made_at_random_end_well() -> None:
    """One in three is a script; each runs over a message that was made the same way."""
    ran = 0
    for seed in range(600):
        maker = ScriptMaker(seed)
        try:
            script = compile_script(
                (REQUIRE_ALL + maker.block()).encode(), WHOLE_LANGUAGE, find=lambda *_: b"stop;"
            )
        except SieveError:
            continue
        view = MailView.of(maker.message())
        result = run_script(
            script,
            Situation(message=view, reverse_path="a@example.org", recipient="b+c@x.example", now_us=10**15),
        )
        for action in result.actions:
            if isinstance(action, Vacation):
                assert b"Auto-Submitted" in vacation_letter(action, Stamp("1@x", 0))
            elif isinstance(action, Notify):
                assert b"Auto-Submitted" in notice_letter(action, Stamp("1@x", 0), "o@x.example", view.header)
            elif isinstance(action, Keep | FileInto | Redirect):
                assert isinstance(edited(view.header, action.edits), bytes)
        ran += bool(script.nodes)
    assert ran > 100


LOOKING = """
if header :matches ["subject", "from", "received", "content-type"] "*?*" { set "a" "${1}${2}"; }
if address :localpart :contains ["from", "to", "cc"] ["x", "y"] { set "b" "x"; }
if address :detail :matches :comparator "i;unicode-casemap" "to" "*" { set "c" "${1}"; }
if body :contains ["secret", "会議"] { set "d" "x"; }
if body :raw :matches "*a?b*" { set "e" "x"; }
if body :content "" :is "" { set "e" "x"; }
if date :zone "+0900" "date" "hour" "12" { set "f" "x"; }
if exists :mime :anychild "content-disposition" { set "g" "x"; }
if header :mime :anychild :param "name" "content-type" "x" { set "h" "x"; }
foreverypart { if header :mime :type "content-type" "text" { extracttext :first 100 "text"; } }
deleteheader :matches "subject" "*"; addheader "Subject" "${text}";
vacation :subject "${a}" "Away: ${text}";
fileinto :flags "${a}" "Box ${f}";
"""


@given(
    st.binary(max_size=400)
    | st.text(alphabet='Subject:From<>@,;()"\\= \r\n-/multipart', max_size=300).map(str.encode)
)
@example(b"")
@example(b"Content-Type: multipart/mixed; boundary=a\r\n\r\n--a\r\n\r\nx\r\n--a--\r\n")
@example(b"Content-Type: message/rfc822\r\n\r\nSubject: \xff\r\n\r\n\xff")
@example(b'Date: Mon, 31 Feb 9999 99:99:99 +9999\r\nTo: <<>>,,;"\r\n\r\n')
@example(b"Date: Fri, 31 Dec 9999 23:59:59 -1200\r\nReceived: ;\r\n\r\n")
def test_any_message_gives_actions(message: bytes) -> None:
    result = run(EVERYTHING + LOOKING, message)
    assert result.actions and (result.error is None or isinstance(result.actions[0], Keep))


# --- what fails keeps


def test_an_error_keeps_the_message_and_nothing_else() -> None:
    result = run('require ["fileinto", "variables"]; fileinto "A"; set "n" ""; redirect "${n}"; discard;')
    assert result.actions == [Keep(is_implicit=True)]
    assert str(result.error) == 'line 1: "" is not an address to which mail can be redirected.'


def test_what_excludes_each_other_stops_the_script() -> None:
    assert run('require "reject"; keep; reject "No.";').error is not None
    assert run('require ["reject", "vacation"]; reject "No."; vacation "Away.";').error is not None
    assert run('require "vacation"; vacation "One."; vacation "Two.";').error is not None


def test_redirects_are_few() -> None:
    """THREATS 34"""
    text = "".join(f'redirect "a{number}@example.net";' for number in range(5))
    result = run(text)
    assert result.error is not None and result.actions == [Keep(is_implicit=True)]
    assert len(run(text, limits=SieveLimits(redirects=5)).having(Redirect)) == 5


@pytest.mark.parametrize(
    "sender",
    ["", "ben@example.com", "MAILER-DAEMON@x.example", "owner-list@x.example", "list-request@x.example"],
)
def test_vacation_answers_no_robot(sender: str) -> None:
    """THREATS 34"""
    assert run('require "vacation"; vacation "Away.";').having(Vacation)
    assert not run('require "vacation"; vacation "Away.";', reverse_path=sender).having(Vacation)


@pytest.mark.parametrize(
    "field", ["List-Unsubscribe: <x>", "Precedence: bulk", "Auto-Submitted: auto-generated", "List-Id: x"]
)
def test_vacation_answers_no_automatic_mail(field: str) -> None:
    assert not run('require "vacation"; vacation "Away.";', field.encode() + b"\r\n" + MESSAGE).having(
        Vacation
    )


def test_answers_are_the_same_by_what_was_written() -> None:
    text = 'require ["vacation", "variables"]; set "x" "%s"; vacation %s "Away ${x}.";'
    keys = [run(text % (x, "")).having(Vacation)[0].key for x in ("1", "2")]  # type: ignore[union-attr]
    assert keys[0] == keys[1]
    other = run(text % ("1", ':handle "h"')).having(Vacation)[0].key  # type: ignore[union-attr]
    assert other != keys[0]


# --- budgets (THREATS 33)


def test_the_work_of_a_script_is_bounded() -> None:
    body = b"Subject: x\r\n\r\n" + b"a" * 1_000_000
    keys = ", ".join(f'"{"a" * 90}{number}"' for number in range(400))
    with effort(1.5, "comparing a long body with many keys"):
        result = run(
            f'require "body"; if body :raw :contains [{keys}] {{ discard; }} if body :raw :contains '
            f"[{keys}] {{ discard; }}",
            body,
        )
    assert result.error is not None and isinstance(result.actions[0], Keep)


@pytest.mark.parametrize(
    "pattern",
    ["*a" * 30 + "*b", "?a" * 2000 + "b", "*" + "?" * 3000 + "b*", "a*" * 2000 + "b", "*?a?b" * 500],
)
def test_patterns_cannot_run_away(pattern: str) -> None:
    body = b"Subject: x\r\n\r\n" + b"a" * 1_000_000
    with effort(1.0, pattern[:20]):
        run(
            f'require "body"; if body :raw :matches ["{pattern}", "{pattern}c", "{pattern}d"] {{ discard; }}',
            body,
        )


def test_variables_cannot_grow() -> None:
    text = 'require "variables"; set "a" "aaaaaaaaaaaaaaaa";' + 'set "a" "${a}${a}${a}${a}";' * 500
    with effort(1.0, "doubling a variable"):
        result = run(text)
    assert result.error is None


def test_deep_scripts_are_refused() -> None:
    assert "nested deeper" in faults("if true {" * 500 + "}" * 500)[0]
    assert "nested deeper" in faults("if " + "not " * 5000 + "true { }")[0]
    assert "more than" in faults("keep;" * 20_000)[0]


def test_long_scripts_are_read_in_linear_time() -> None:
    with effort(1.0, "long scripts"):
        for text in (
            '"' * 99_999,
            "/*" * 99_999,
            "[" * 99_999,
            "text:\n" * 50_000,
            "\\" * 99_999,
            "a " * 99_999,
            "#" * 999_999,
        ):
            assert faults(text) if text[0] != "#" else True


def test_hostile_headers_cost_little() -> None:
    field = (
        b"To: "
        + b"(" * 60_000
        + b"\r\nCc: "
        + b'"' * 60_000
        + b"\r\nBcc: "
        + b"<" * 60_000
        + b"\r\nFrom: "
        + b"a," * 30_000
        + b"\r\n"
    )
    with effort(1.0, "addresses without end"):
        run(
            'require "vacation"; if address ["to", "cc", "bcc", "from"] "x" { stop; } vacation "Away.";',
            field + MESSAGE,
        )


# --- scripts in scripts


def test_scripts_include_others() -> None:
    scripts = {"a": b'require ["include", "fileinto"]; include "b"; fileinto "A";', "b": b"stop;"}
    script = compile_script(
        b'require "include"; include "a"; discard;', LANGUAGE, find=lambda _, name: scripts.get(name)
    )
    assert run_script(script, Situation(message=MailView.of(MESSAGE))).actions == [Keep(is_implicit=True)]


def test_scripts_cannot_be_large_by_including_each_other() -> None:
    """THREATS 33"""
    half = b'require "include";' + b"keep;" * 6000
    script = half + b'include "a";'
    with pytest.raises(SieveError, match="more than 10000 commands"):
        compile_script(script, LANGUAGE, find=lambda _, name: half)


def test_scripts_do_not_include_themselves() -> None:
    scripts = {"a": b'require "include"; include "b";', "b": b'require "include"; include "a";'}
    with pytest.raises(SieveError, match="includes itself"):
        compile_script(scripts["a"], LANGUAGE, find=lambda _, name: scripts.get(name))


def test_a_script_that_is_not_there_keeps() -> None:
    script = compile_script(b'require "include"; include "a"; discard;', LANGUAGE, find=lambda *_: None)
    result = run_script(script, Situation(message=MailView.of(MESSAGE)))
    assert (
        result.actions == [Keep(is_implicit=True)]
        and str(result.error) == 'line 1: There is no script "a" to include.'
    )


def test_duplicates_are_remembered_at_the_end() -> None:
    known: set[bytes] = set()
    text = 'require "duplicate"; if duplicate { discard; }'
    message = b"Message-ID: <1@x>\r\n" + MESSAGE
    first = run(text, message, is_duplicate=known.__contains__)
    assert isinstance(first.actions[0], Keep) and len(first.seen) == 1
    known |= {each.key for each in first.seen}
    assert run(text, message, is_duplicate=known.__contains__).actions == [Discard()]
