"""Each command over the real operations: what it prints for people and for machines, and how it exits."""

import asyncio
import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.services.authentication.test_foreign import SHA512

from sekisho.config.load import load
from sekisho.core.policy.takeover.sending import Outgoing, Sending
from sekisho.core.policy.takeover.signals import Reason
from sekisho.core.sasl.totp import totp_code
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.faces.cli import exits
from sekisho.ports.journal import Entry
from sekisho.ports.spool import Acceptance, RelayRecipient
from sekisho.testing.clock import ManualClock

PASSWORD = "correct horse battery"


@pytest.fixture
def taro(cli: Any) -> Any:
    assert cli("domain", "add", "example.org")[0] == exits.OK
    assert (
        cli(
            "account",
            "add",
            "taro@example.org",
            "--quota",
            "2G",
            "--name",
            "太郎",
            "--password-stdin",
            stdin=PASSWORD + "\n",
        )[0]
        == exits.OK
    )
    return cli


def test_domains(cli: Any) -> None:
    assert cli("domain", "add", "example.org") == (0, "Mail for example.org is accepted from now on.\n", "")
    code, out, err = cli("domain", "add", "example.org")
    assert (code, out, err) == (exits.FAILED, "", "sekisho: The domain example.org already exists.\n")
    assert (
        json.loads(cli("domain", "add", "example.net", "--catch-all", "a@example.org", "--json")[1])[
            "catch_all"
        ]
        == "a@example.org"
    )
    assert [row["name"] for row in json.loads(cli("domain", "list", "--json")[1])] == [
        "example.net",
        "example.org",
    ]
    assert [line.split("\t")[0] for line in cli("domain", "list")[1].splitlines()] == [
        "example.net",
        "example.org",
    ]
    assert "postmaster: alice@example.test" in cli("domain", "show", "example.org")[1]
    assert json.loads(cli("domain", "show", "example.org", "--json")[1])["domain"]["name"] == "example.org"
    assert cli("domain", "remove", "example.org", "--yes") == (
        0,
        "Mail for example.org is refused from now on.\n",
        "",
    )
    key = json.loads(cli("dkim", "add", "example.net", "--algorithm", "ed25519", "--json")[1])
    assert (
        key["name"] in cli("domain", "remove", "example.net", "--yes")[1]
        and json.loads(cli("dkim", "list", "--json")[1]) == []
    )


def test_accounts(taro: Any) -> None:
    assert taro("account", "list")[1] == "taro@example.org\tactive\t0 B\t2.0 GiB\t太郎\n"
    assert json.loads(taro("account", "list", "--domain", "example.net", "--json")[1]) == []
    assert "Quota: 2.0 GiB" in taro("account", "show", "taro@example.org")[1]
    assert (
        json.loads(taro("account", "show", "taro@example.org", "--json")[1])["account"]["quota_octets"]
        == 2 * 2**30
    )
    assert (
        taro(
            "account", "passwd", "taro@example.org", "--password-stdin", stdin="something altogether else\n"
        )[0]
        == 0
    )
    assert (
        taro("account", "state", "taro@example.org", "login-disabled")[1]
        == "taro@example.org: login disabled.\n"
    )
    assert (
        taro("account", "quota", "taro@example.org", "500M")[1]
        == "taro@example.org: 0 B of 500.0 MiB used.\n"
    )
    assert "undelete" in taro("account", "remove", "taro@example.org")[1]
    assert taro("account", "undelete", "taro@example.org")[1] == "taro@example.org is back.\n"
    assert (
        taro("account", "remove", "taro@example.org", "--purge", "--yes")[1]
        == "taro@example.org and its mail are removed.\n"
    )
    assert taro("account", "list") == (0, "", "")


def test_accounts_are_imported(taro: Any, tmp_path: Path) -> None:
    file = tmp_path / "users"
    file.write_text(
        f"jiro:{SHA512}:1000:1000::/home/jiro\n\ntaro:{SHA512}\nold:$1$saltsalt$AO77MFlQyb97TzsMyAVX81\n"
    )
    code, out, _ = taro("account", "import", str(file), "--domain", "example.org", "--dry-run")
    assert code == 0 and out.splitlines()[0] == "1\tjiro@example.org\tSHA512-CRYPT\twould be imported"
    assert out.splitlines()[-1] == "1 of 3 accounts would be imported."
    code, out, _ = taro("account", "import", str(file), "--domain", "example.org", "--also", "md5-crypt")
    assert (
        "3\ttaro@example.org\tSHA512-CRYPT\tnot imported: The account taro@example.org already exists." in out
    )
    assert out.splitlines()[-1] == "2 of 3 accounts were imported."
    read = json.loads(taro("account", "import", str(file), "--domain", "example.org", "--json")[1])
    assert [line["taken"] for line in read] == [False, False, False]
    assert taro("account", "import", str(tmp_path / "none"))[0] == exits.USAGE


def test_a_second_factor(taro: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "Second factor: off" in taro("account", "factor", "taro@example.org", "show")[1]
    assert "CODE is missing" in taro("account", "factor", "taro@example.org", "confirm")[2]
    out = taro("account", "factor", "taro@example.org", "enable")[1]
    assert "otpauth://totp/example.org:taro@example.org" in out and "confirm CODE" in out and "▄" not in out
    with monkeypatch.context() as patch:
        patch.setattr(sys.stdout, "isatty", lambda: True)
        assert "▄" in taro("account", "factor", "taro@example.org", "enable")[1]
    begun = json.loads(taro("account", "factor", "taro@example.org", "enable", "--json")[1])
    typed = totp_code(base64.b32decode(begun["secret"]), ManualClock().now_us() // 30_000_000)
    code, out, _ = taro("account", "factor", "taro@example.org", "confirm", typed)
    recovery = out.splitlines()[1].strip()
    assert code == 0 and len(out.splitlines()) == 12 and "sekisho account credential add" in out
    assert (
        "right and used up; 9 are left" in taro("account", "factor", "taro@example.org", "check", recovery)[1]
    )
    out = taro("account", "factor", "taro@example.org", "show")[1]
    assert "Second factor: on" in out and "Recovery codes left: 9" in out
    assert "code is wrong" in taro("account", "factor", "taro@example.org", "check", recovery)[2]
    assert "no longer needs a second factor" in taro("account", "factor", "taro@example.org", "disable")[1]


def test_credentials(taro: Any) -> None:
    code, out, _ = taro(
        "account",
        "credential",
        "add",
        "taro@example.org",
        "phone",
        "--scope",
        "imap",
        "--expires",
        "2030-03-31",
    )
    assert (
        code == 0
        and "User name: taro@example.org" in out
        and "For: imap\nLast day: 2030-03-31" in out
        and "not shown again" in out
    )
    made = json.loads(
        taro(
            "account", "credential", "add", "taro@example.org", "mac", "--network", "192.0.2.0/24", "--json"
        )[1]
    )
    assert made["secret"].count("-") == 6
    rows = sorted(
        (
            line.split("\t")
            for line in taro("account", "credential", "list", "taro@example.org")[1].splitlines()
        ),
        key=lambda r: r[4],
    )
    assert [row[1:5] for row in rows] == [
        ["mac", "imap pop3 smtp @ 192.0.2.0/24", "on", "-"],
        ["phone", "imap", "on", "2030-03-31"],
    ]
    assert (
        taro("account", "credential", "disable", "taro@example.org", "phone")[1]
        == "taro@example.org: phone is off.\n"
    )
    assert "\toff\t" in taro("account", "credential", "list", "taro@example.org")[1]
    assert (
        taro("account", "credential", "enable", "taro@example.org", rows[1][0])[1]
        == "taro@example.org: phone is on.\n"
    )
    assert (
        taro("account", "credential", "remove", "taro@example.org", "mac")[1]
        == "taro@example.org: mac is removed.\n"
    )
    assert (
        taro("account", "credential", "disable", "taro@example.org", "password")[1]
        == "taro@example.org: password is off.\n"
    )
    assert "password" in [
        c["id"] for c in json.loads(taro("account", "credential", "list", "taro@example.org", "--json")[1])
    ]
    assert (
        taro("account", "credential", "add", "taro@example.org", "x", "--expires", "tomorrow")[0]
        == exits.USAGE
    )
    assert taro("account", "credential", "add", "taro@example.org", "x", "--scope", "web")[0] == exits.USAGE


def test_an_account_ends_on_a_day(taro: Any) -> None:
    assert (
        taro("account", "expire", "taro@example.org", "2030-03-31")[1]
        == "taro@example.org: the last day is 2030-03-31.\n"
    )
    assert "Last day: 2030-03-31" in taro("account", "show", "taro@example.org")[1]
    assert taro("account", "expire", "taro@example.org", "never")[1] == "taro@example.org does not end.\n"
    assert taro("account", "expire", "taro@example.org", "31.3.2030")[0] == exits.USAGE


def test_a_purge_asks_first(taro: Any) -> None:
    code, out, err = taro("account", "remove", "taro@example.org", "--purge", stdin="n\n")
    assert code == exits.FAILED and "for good?" in out and "Stopped." in err
    assert "taro" in taro("account", "list")[1]


def test_passwords_are_never_arguments(taro: Any) -> None:
    assert taro("account", "passwd", "taro@example.org", PASSWORD)[0] == exits.USAGE
    assert "--password-stdin" in taro("account", "passwd", "taro@example.org")[2]
    assert taro("account", "passwd", "taro@example.org", "--password-stdin")[0] == exits.USAGE
    assert (
        "needs at least 8"
        in taro("account", "passwd", "taro@example.org", "--password-stdin", stdin="short\n")[2]
    )


def test_passwords_are_asked_for_twice(taro: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    typed = iter([PASSWORD, PASSWORD, PASSWORD, "another one"])
    monkeypatch.setattr("click.termui.hidden_prompt_func", lambda prompt: next(typed))
    assert taro("account", "passwd", "taro@example.org", on_terminal=True)[0] == 0
    code, _, err = taro("account", "passwd", "taro@example.org", on_terminal=True)
    assert code == exits.FAILED and "differ" in err


@pytest.mark.parametrize(
    ("size", "octets"),
    [("0", 0), ("1024", 1024), ("5k", 5120), ("2G", 2**31), ("1GiB", 2**30), ("3mb", 3 * 2**20)],
)
def test_sizes(taro: Any, size: str, octets: int) -> None:
    assert (
        json.loads(taro("account", "quota", "taro@example.org", size, "--json")[1])["quota_octets"] == octets
    )


@pytest.mark.parametrize("size", ["", "G", "-1", "1.5G", "many", "1X"])
def test_what_is_no_size(taro: Any, size: str) -> None:
    code, _, err = taro("account", "quota", "--json", "--", "taro@example.org", size)
    assert code == exits.USAGE and "write a size" in err


def test_aliases(taro: Any) -> None:
    assert (
        taro("alias", "add", "info@example.org", "taro@example.org")[1]
        == "info@example.org leads to taro@example.org.\n"
    )
    assert taro("alias", "add", "info@example.org", "x@elsewhere.example", "--no-send", "--replace")[0] == 0
    assert taro("alias", "list")[1] == "info@example.org\tx@elsewhere.example\tno\n"
    assert json.loads(taro("alias", "list", "--json")[1])[0]["targets"] == ["x@elsewhere.example"]
    assert taro("alias", "remove", "info@example.org")[1] == "info@example.org is no longer an alias.\n"


def queue_one(app: Any) -> None:
    content = app.store.spool.open_content()
    content.write(b"Subject: x\r\n\r\nbody\r\n")
    recipient = Recipient(Address.from_text("x@elsewhere.example"))
    envelope = Envelope(
        reverse_path=ReversePath(Address.from_text("taro@example.org")), recipients=(recipient,)
    )
    relay = RelayRecipient(
        recipient=recipient, next_hop="elsewhere.example", due_at_us=10**15, expires_at_us=2 * 10**15
    )
    asyncio.run(
        app.store.spool.accept(
            Acceptance(message_id="m1", envelope=envelope, content=content, prefix=b"", relays=(relay,))
        )
    )


def test_the_queue(taro: Any) -> None:
    queue_one(taro.app)
    row = taro("queue", "list")[1].split("\t")
    assert (row[0], row[2], row[3], row[4], row[5], row[6]) == (
        "m1",
        "20 B",
        "taro@example.org",
        "x@elsewhere.example",
        "waiting",
        "0",
    )
    assert (
        json.loads(taro("queue", "list", "--json")[1])[0]["recipients"][0]["next_hop"] == "elsewhere.example"
    )
    shown = taro("queue", "show", "m1")[1]
    assert "Next hop: elsewhere.example" in shown and "Account: -" in shown
    assert taro("queue", "hold", "m1")[1] == "Recipients that are held: 1\n"
    assert taro("queue", "release", "m1")[1] == "Recipients that were released: 1\n"
    assert taro("queue", "retry", "m1")[1] == "Recipients that are tried again now: 1\n"
    assert taro("queue", "retry", "--all", "--json")[0] == 0
    assert taro("queue", "retry")[0] == taro("queue", "retry", "m1", "--all")[0] == exits.USAGE
    assert taro("queue", "destinations", "--json")[1] == "[]\n"
    assert taro("queue", "drop", "m1", stdin="n\n")[0] == exits.FAILED
    assert taro("queue", "drop", "m1", "--yes")[1] == "Recipients that were removed: 1\n"
    assert "no message" in taro("queue", "show", "m1")[2]


def test_tables_for_people_on_a_terminal(taro: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    code, out, _ = taro("account", "list")
    assert code == 0 and "Address" in out and "taro@example.org" in out


def test_what_peers_wrote_cannot_steer_a_terminal() -> None:
    from sekisho.faces.cli.shell import printable

    assert printable("a\x1b[2Jb\r\n\u202e太郎") == "a\\u001b[2Jb\\r\\n\\u202e太郎"


def test_config_check(cli: Any) -> None:
    code, out, err = cli("config", "check")
    assert (
        code == exits.BAD_CONFIG and "roles.postmaster" in err and "alice@example.test" in err and out == ""
    )
    cli("domain", "add", "example.test")
    cli("account", "add", "alice@example.test", "--password-stdin", stdin=PASSWORD + "\n")
    assert cli("config", "check")[:2] == (0, f"{cli.config_file} is in order.\n")
    cli.app.reachable = False
    code, _, err = cli("config", "check")
    assert code == 0 and "could not be checked" in err
    assert "could not be checked" not in cli("config", "check", "--offline")[2]


def test_config_check_prints_every_problem(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "broken.toml"
    file.write_text('hostname = "mx"\nworkerz = 1\n')
    code, _, err = cli("config", "check", "-c", str(file))
    assert code == exits.BAD_CONFIG
    assert f"{file}:2: error: workerz: There is no such setting.\n    Did you mean workers?\n" in err
    found = json.loads(cli("config", "check", "--json", "-c", str(file))[1])
    assert found["ok"] is False
    assert {"workerz", "hostname", "data_dir", "roles", "listeners"} <= {
        problem["path"] for problem in found["problems"]
    }


def test_commands_do_nothing_with_a_broken_configuration(cli: Any, tmp_path: Path) -> None:
    code, _, err = cli("domain", "list", "-c", str(tmp_path / "missing.toml"))
    assert code == exits.BAD_CONFIG and "cannot be read" in err and "sekisho setup" in err


def test_config_show_has_every_default(cli: Any) -> None:
    shown = json.loads(cli("config", "show")[1])
    assert shown["hostname"] == "mx.example.test" and shown["limits"]["message_octets"] == 52_428_800


def test_no_server_and_no_store(cli: Any) -> None:
    cli.app.reachable = False
    code, _, err = cli("domain", "list")
    assert code == exits.UNREACHABLE and err.startswith("sekisho: No server runs and ")


def test_serve_hands_the_file_on(cli: Any) -> None:
    assert cli("serve", "-c", "x.toml")[0] == 7
    assert cli.app.calls == [("serve", Path("x.toml"))]


def test_serve_with_a_broken_configuration(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli.app, "serve", load)
    code, out, err = cli("serve", "-c", "/no/such/file.toml")
    assert code == exits.BAD_CONFIG and out == "" and "error: The configuration file cannot be read" in err


def test_try_for_machines_is_one_line(cli: Any, tmp_path: Path) -> None:
    code, out, _ = cli("try", "--json", "--dir", str(tmp_path / "try"), "--base-port", "20000")
    ready = json.loads(out)
    assert code == 0 and out.count("\n") == 1
    assert ready["ready"] is True and ready["pid"] == 4242 and ready["ports"]["submissions"] == 20465
    assert set(ready["ports"]) == {
        "smtp",
        "submission",
        "submissions",
        "imap",
        "imaps",
        "pop3",
        "pop3s",
        "sieve",
    }
    assert [account["address"] for account in ready["accounts"]] == ["alice@example.test", "bob@example.test"]
    assert Path(ready["ca_file"]).read_bytes().startswith(b"-----BEGIN CERTIFICATE")
    assert load(Path(ready["dir"]) / "sekisho.toml").config.listeners


def test_try_for_people_can_be_pasted(cli: Any, tmp_path: Path) -> None:
    out = cli("try", "--dir", str(tmp_path / "try"), "--base-port", "20000")[1]
    for word in (
        "smtps://127.0.0.1:20465",
        "imaps://127.0.0.1:20993",
        "swaks --server 127.0.0.1:20025",
        "openssl s_client",
        "alice@example.test",
    ):
        assert word in out


def test_setup_writes_a_configuration_that_loads(cli: Any, tmp_path: Path) -> None:
    file = tmp_path / "etc" / "sekisho.toml"
    words = (
        "setup",
        "mx.example.org",
        "--owner",
        "taro@example.org",
        "--data-dir",
        str(tmp_path / "mail"),
        "--user",
        "root",
        "-c",
        str(file),
    )
    folder = cli.config_file.parent
    code, out, _ = cli(*words, "--cert-file", str(folder / "cert.pem"), "--key-file", str(folder / "key.pem"))
    assert code == 0 and "config check" in out
    config = load(file).config
    assert (
        config.hostname == "mx.example.org"
        and config.roles.abuse == "taro@example.org"
        and len(config.listeners) == 16
    )
    code, _, err = cli(*words)
    assert code == exits.FAILED and "exists already" in err


def test_backup_verify_restore(cli: Any, tmp_path: Path) -> None:
    target = tmp_path / "backup"
    assert cli("backup", str(target))[1] == "messages: 3\noctets: 2.0 KiB\n"
    assert json.loads(cli("verify", str(target), "--json")[1]) == {"messages": 3, "problems": []}
    assert cli("verify")[1].endswith("Nothing is missing or damaged.\n")
    cli.app.problems = ["content 7 is missing"]
    code, out, _ = cli("verify")
    assert code == exits.FAILED and "! content 7 is missing" in out
    assert cli("restore", str(target))[0] == 0
    assert cli.app.calls == [
        ("backup", target),
        ("verify", target),
        ("verify", None),
        ("verify", None),
        ("restore", target),
    ]


def test_an_own_bug_is_one_sentence(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def break_down(config_file: Path) -> int:
        raise ZeroDivisionError("division by zero")

    monkeypatch.setattr(cli.app, "serve", break_down)
    code, _, err = cli("serve")
    assert code == exits.SYSEXITS_SOFTWARE and err.count("\n") == 1 and "ZeroDivisionError" in err
    monkeypatch.setenv("SEKISHO_TRACEBACK", "1")
    with pytest.raises(ZeroDivisionError):
        cli("serve")


def test_a_fault_of_the_server_names_its_id(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async def break_down() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(cli.app.store.directory, "domains", break_down)
    code, _, err = cli("domain", "list")
    assert code == exits.FAILED and "fault-1" in err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("acount",), "There is no command acount. Did you mean account?"),
        (("account", "ad"), "There is no command ad. Did you mean add?"),
        (("account", "add"), "ADDRESS is missing."),
        (
            ("domain", "add", "a", "--catchall", "b"),
            "There is no option --catchall. Did you mean --catch-all?",
        ),
        (("account", "state", "a", "gone"), "STATE must be one of: active, login-disabled, sending-held."),
        (("try", "--base-port", "x"), "--base-port must be a whole number from 0 to 64000."),
    ],
)
def test_a_wrong_command_line(cli: Any, words: tuple[str, ...], sentence: str) -> None:
    code, out, err = cli(*words)
    assert code == exits.USAGE and out == ""
    assert "Usage: sekisho" in err and sentence in err


def test_help_and_version(cli: Any) -> None:
    code, out, _ = cli("--help")
    assert code == 0 and "Commands:" in out and "sekisho try" in out
    code, out, _ = cli("--version")
    assert code == 0 and out.startswith("sekisho 0.")


def test_everything_in_japanese(cli: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    out = cli("--help")[1]
    assert "使い方: sekisho" in out and "コマンド:" in out and "ドメイン" in out and "Show" not in out
    out = cli("account", "add", "--help")[1]
    assert "例:\n    sekisho account add" in out and "この説明を表示して終わります。" in out
    assert cli("domain", "show", "example.org")[2] == "sekisho: ドメイン example.org はありません。\n"
    assert "--catch-all" in cli("domain", "add", "x", "--catchall")[2]
    (tmp_path / "broken.toml").write_text("workerz = 1\n")
    err = cli("config", "check", "-c", str(tmp_path / "broken.toml"))[2]
    assert "誤り: workerz: そのような設定はありません。" in err and "もしかして: workers" in err
    assert "2. IMAP または POP3 で読む:" in cli("try", "--dir", str(tmp_path / "try"))[1]


def _refuse(app: Any, at_us: int = 1_800_000_000_000_000, id_: str = "k3q7w2ma-1") -> None:
    fields = {
        "client": "192.0.2.1",
        "reverse_path": "a@b.example",
        "recipient": "no@example.org",
        "reply": "550 5.1.1 No such recipient here",
    }
    app.ledger.keep(
        at_us,
        Entry(
            "reception.recipient_refused", id_, fields | {"rule": "no-such-recipient"}, ("no@example.org",)
        ),
    )


def test_why_answers_in_a_sentence_first(cli: Any, app: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    _refuse(app)
    code, out, err = cli("why", "k3q7w2ma-1")
    first, remedy, _, evidence = out.splitlines()
    assert (code, err) == (exits.OK, "")
    assert first.startswith("The recipient no@example.org was refused on 20") and first.endswith(
        "no alias of that name here."
    )
    assert remedy.startswith("→ If there should be one: sekisho account add no@example.org")
    assert "reception.recipient_refused\tk3q7w2ma-1\tclient=192.0.2.1" in evidence
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    assert "断りました: その名前のアカウントもエイリアスもありません。" in cli("why", "k3q7w2ma-1")[1]


def test_why_for_machines(cli: Any, app: Any) -> None:
    _refuse(app)
    code, out, _ = cli("why", "no@example.org", "--json")
    answer = json.loads(out)
    (story,) = answer["stories"]
    assert (
        code == exits.OK
        and story["verdict"] == "refused"
        and story["entries"][0]["fields"]["rule"] == "no-such-recipient"
    )
    assert (
        story["sentence"].startswith("The recipient no@example.org was refused on 20")
        and "{" not in story["sentence"] + story["remedy"]
    )
    code, out, _ = cli("why", "nobody", "--json")
    assert code == exits.NOTHING_KNOWN and json.loads(out)["stories"] == []


def test_why_tells_the_rest_in_a_line_each(cli: Any, app: Any) -> None:
    for number in range(3):
        _refuse(app, 1_800_000_000_000_000 + number, f"k3q7w2ma-{number}")
        fields = {
            "username": "no@example.org",
            "client": "192.0.2.1",
            "service": "imap",
            "cause": "wrong password",
        }
        app.ledger.keep(
            1_900_000_000_000_000, Entry("authentication.refused", "", fields, ("no@example.org",))
        )
    out = cli("why", "no@example.org")[1]
    assert (
        out.startswith("A login as no@example.org from 192.0.2.1 (imap) was refused")
        and "This was seen 3 times." in out
    )
    others = out.partition("Also known:\n")[2].splitlines()
    assert [line.split("\t")[1] for line in others] == ["k3q7w2ma-2", "k3q7w2ma-1", "k3q7w2ma-0"]


def test_why_shows_every_recipient(cli: Any, app: Any) -> None:
    for recipient, result in (("a@far.example", "delivered"), ("b@far.example", "deferred")):
        fields = {
            "recipient": recipient,
            "result": result,
            "reply": "450 4.2.0 Wait\x1b[31m",
            "remote": "mx.far.example",
            "attempt": 2,
        }
        app.ledger.keep(1_800_000_000_000_000, Entry("relay.attempt", "m1", fields, (recipient,)))
    out = cli("why", "m1")[1]
    assert "a@far.example\tdelivered\t2\t-\tmx.far.example\t450" in out and "\x1b" not in out


def test_nothing_known_is_an_answer(cli: Any, app: Any) -> None:
    assert cli("why", "x") == (exits.NOTHING_KNOWN, "Nothing is known about x: the ledger is empty.\n", "")
    _refuse(app)
    code, out, _ = cli("why", "x")
    assert code == exits.NOTHING_KNOWN and out.startswith(
        "Nothing is known about x; the ledger goes back to 20"
    )
    app.ledger = None
    code, _, err = cli("why", "x")
    assert code == exits.FAILED and "There is no ledger" in err


def test_why_since(cli: Any, app: Any) -> None:
    _refuse(app, at_us=1_000_000_000_000_000)
    assert cli("why", "no@example.org", "--since", "7d")[0] == exits.NOTHING_KNOWN
    assert cli("why", "no@example.org", "--since", "5200w")[0] == exits.OK
    code, _, err = cli("why", "x", "--since", "yesterday")
    assert code == exits.USAGE and "30m, 12h, 7d or 2w" in err


def test_guard(taro: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    store = taro.app.store

    async def hold() -> None:
        account = await store.directory.account_by_address(Address.from_text("taro@example.org"))
        await store.guard.hold(
            account.id, "password", "hold", Reason("by-hand", 100, "The administrator held it.")
        )
        content = store.spool.open_content()
        content.write(b"From: taro@example.org\r\nSubject: =?utf-8?B?5Lya6K2w?=\r\n\r\nx\r\n")
        recipients = tuple(Recipient(Address(f"r{n}", "there.test")) for n in range(5))
        now_us = store.clock.now_us()
        relays = tuple(
            RelayRecipient(
                recipient=recipient, next_hop="there.test", due_at_us=now_us, expires_at_us=now_us + 10**12
            )
            for recipient in recipients
        )
        sending = Sending(
            message_id="m1",
            account_id=account.id,
            credential_id="password",
            at_us=now_us,
            network="192.0.2.0/24",
            client="mutt",
            remote_recipients=5,
        )
        outgoing = Outgoing(sending, tuple((n, 1) for n in range(5)))
        envelope = Envelope(reverse_path=ReversePath(Address.from_text("taro@example.org")))
        await store.spool.accept(
            Acceptance(
                message_id="m1",
                envelope=envelope,
                content=content,
                prefix=b"",
                deliveries=(),
                relays=relays,
                origin="submission",
                account_id=account.id,
                outgoing=outgoing,
            )
        )

    assert taro("guard", "list") == (0, "", "")
    asyncio.run(hold())
    assert taro("guard", "list")[1].split("\t")[2:] == ["password", "100", "1", "held\n"]
    shown = taro("guard", "show", "taro@example.org")[1]
    assert (
        "+100  The administrator held it." in shown
        and "r0@there.test, r1@there.test, r2@there.test (+2)  会議" in shown
    )
    assert json.loads(taro("guard", "show", "taro@example.org", "--json")[1])["held"][0]["message_id"] == "m1"
    monkeypatch.setenv("LC_ALL", "ja_JP.UTF-8")
    assert "管理者が保留しました。" in taro("guard", "show", "taro@example.org")[1]
    monkeypatch.setenv("LC_ALL", "C")
    code, out, _ = taro("guard", "purge", "taro@example.org", stdin="n\n")
    assert code == exits.FAILED and "for good?" in out
    assert (
        taro("guard", "forgive", "taro@example.org")[1]
        == "taro@example.org may send again; 1 messages stay held.\n"
    )
    assert taro("guard", "list")[1].endswith("\tmail still held\n")
    assert (
        taro("guard", "release", "taro@example.org")[1]
        == "1 messages of taro@example.org are released, to 5 recipients.\n"
    )
    assert "The guard holds nothing of" in taro("guard", "purge", "taro@example.org", "--yes")[2]
    assert taro("account", "bulk", "taro@example.org", "on")[1] == "taro@example.org may send newsletters.\n"
    assert (
        taro("account", "bulk", "taro@example.org", "off")[1]
        == "taro@example.org may not send newsletters.\n"
    )
    assert "at t@x.test too" in taro("account", "recovery", "taro@example.org", "t@x.test")[1]
    assert (
        taro("account", "may-send-as", "taro@example.org", "@example.org")[1]
        == "taro@example.org may also send as @example.org.\n"
    )
    assert "May send as: @example.org" in taro("account", "show", "taro@example.org")[1]
    assert (
        "only in its own name"
        in taro("account", "may-send-as", "taro@example.org", "@example.org", "--revoke")[1]
    )
    assert "in the mailbox only" in taro("account", "recovery", "taro@example.org")[1]


def test_bans(taro: Any) -> None:
    assert taro("bans", "list") == (0, "", "")
    assert (
        "is banned until 20"
        in taro("bans", "add", "198.51.100.7/24", "--for", "7d", "--note", "guesses for weeks")[1]
    )
    assert taro("bans", "add", "2001:db8::/48", "--account", "taro@example.org")[1].endswith(
        "is banned until the ban is lifted.\n"
    )
    rows = {row.split("\t")[0]: row.split("\t") for row in taro("bans", "list")[1].splitlines()}
    assert rows["198.51.100.0/24"][1:4] == ["all", "banned by an operator", "-"]
    assert rows["198.51.100.0/24"][6:] == ["uid:0", "guesses for weeks"]
    assert rows["2001:db8::/48"][1] == "taro@example.org" and rows["2001:db8::/48"][5] == "until it is lifted"
    assert {row["network"] for row in json.loads(taro("bans", "list", "--json")[1])} == set(rows)
    fields = {
        "service": "imap",
        "username": "x@example.org",
        "client": "198.51.100.9",
        "cause": "no such account",
    }
    taro.app.ledger.keep(1, Entry("authentication.refused", "", fields, ("198.51.100.9", "198.51.100.0/24")))
    shown = taro("bans", "show", "198.51.100.0/24")[1].splitlines()
    assert (
        shown[0].startswith("198.51.100.0/24\tall")
        and "0 failed logins and 0 unknown names count" in shown[1]
    )
    assert "x@example.org  no such account" in shown[-1]
    assert (
        json.loads(taro("bans", "show", "198.51.100.9", "--json")[1])["bans"][0]["note"]
        == "guesses for weeks"
    )
    assert taro("bans", "lift", "198.51.100.9") == (0, "198.51.100.0/24 may log in again.\n", "")
    assert "There is no ban on 198.51.100.9/32." in taro("bans", "show", "198.51.100.9")[1]
    assert "may log in as taro@example.org again" in taro("bans", "lift", "2001:db8::/48")[1]
    code, _, err = taro("bans", "lift", "example.org")
    assert code == exits.FAILED and "neither an IP address nor a network" in err


def test_an_account_whose_sending_is_held(cli: Any) -> None:
    cli("domain", "add", "example.test")
    cli("account", "add", "taro@example.test", "--password-stdin", stdin="a long enough secret\n")
    code, out, _ = cli("account", "state", "taro@example.test", "sending-held")
    assert (code, out) == (exits.OK, "taro@example.test: sending held.\n")
    account = asyncio.run(cli.app.store.directory.account_by_address(Address.from_text("taro@example.test")))
    text = cli.app.store.spool.open_content()
    text.write(b"Subject: x\r\n\r\nx\r\n")
    item = Acceptance(
        message_id="m1",
        envelope=Envelope(reverse_path=ReversePath(None)),
        content=text,
        prefix=b"",
        account_id=account.id,
        kept_back=(Recipient(Address.from_text("a@b.example")),),
    )
    asyncio.run(cli.app.store.spool.accept(item))
    assert cli("guard", "list")[1].split("\t")[0::5] == ["taro@example.test", "sending held\n"]
    code, out, _ = cli("account", "state", "taro@example.test", "active")
    assert code == exits.OK and "1 messages of it are held: sekisho guard show taro@example.test" in out
    assert cli("guard", "list")[1].split("\t")[5] == "mail still held\n"
