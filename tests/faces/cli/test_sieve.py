"""`sekisho sieve` on the command line."""

import json
from pathlib import Path
from typing import Any

from sekisho.faces.cli import exits

SCRIPT = (
    'require ["fileinto", "imap4flags"];\nif header :contains "subject" "list" '
    '{\n    fileinto :flags "\\\\Seen" "Lists";\n}\n'
)


def test_scripts_of_an_account(cli: Any, tmp_path: Path) -> None:
    assert cli("domain", "add", "example.org")[0] == 0
    assert (
        cli("account", "add", "taro@example.org", "--password-stdin", stdin="correct horse battery")[0] == 0
    )
    file = tmp_path / "rules.sieve"
    file.write_text(SCRIPT)
    assert (
        cli("sieve", "put", "taro@example.org", str(file))[1]
        == "taro@example.org has the script rules, which is not active.\n"
    )
    assert cli("sieve", "activate", "taro@example.org", "rules")[0] == 0
    assert cli("sieve", "list", "taro@example.org")[1].split("\t")[:2] == ["rules", "active"]
    assert cli("sieve", "get", "taro@example.org")[1] == SCRIPT
    assert (
        cli("sieve", "put", "taro@example.org", "-", "--name", "other", "--activate", stdin="keep;")[0] == 0
    )
    assert cli("sieve", "remove", "taro@example.org", "rules")[0] == 0
    assert cli("sieve", "activate", "taro@example.org")[0] == exits.USAGE
    assert (
        cli("sieve", "activate", "taro@example.org", "--none")[1]
        == "taro@example.org has no active script.\n"
    )


def test_faults_are_told_with_their_lines(cli: Any, tmp_path: Path, monkeypatch: Any) -> None:
    file = tmp_path / "bad.sieve"
    file.write_text("keep;\nfrobnicate;\nif true { keep;\n")
    for words in (("check",), ("put", "taro@example.org")):
        code, out, err = cli("sieve", *words, str(file))
        assert (code, out) == (exits.PROBLEMS, "")
        assert err.splitlines() == [
            "Line 2: There is no command frobnicate. Is it spelled right?",
            "Line 3: The block that begins here is never closed. End it with }.",
        ]
    assert [each["line"] for each in json.loads(cli("sieve", "check", str(file), "--json")[1])["faults"]] == [
        2,
        3,
    ]
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    assert "コマンド frobnicate はありません" in cli("sieve", "check", str(file))[2]


def test_a_script_is_tried_on_a_message(cli: Any, tmp_path: Path) -> None:
    file, message = tmp_path / "rules.sieve", tmp_path / "mail.eml"
    file.write_text(SCRIPT)
    message.write_text("From: a@example.net\nTo: taro@example.org\nSubject: a list\n\nText.\n")
    assert cli("sieve", "check", str(file))[:2] == (0, "Nothing is wrong.\n")
    assert cli("sieve", "test", str(file), str(message))[:2] == (0, "Filed into Lists. Flags: \\Seen\n")
    message.write_text("From: a@example.net\nSubject: x\n\nText.\n")
    assert (
        cli("sieve", "test", str(file), str(message))[1]
        == "Kept in INBOX, because the script does nothing else with it.\n"
    )
    file.write_text('require ["vacation", "include"];\nvacation "Away.";\ninclude "gone";\n')
    code, out, err = cli("sieve", "test", str(file), str(message), "--to", "taro@example.org")
    assert (code, out) == (exits.PROBLEMS, "Kept in INBOX, because the script does nothing else with it.\n")
    assert err == 'Line 3: There is no script "gone" to include.\n'
