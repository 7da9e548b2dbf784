"""What is asked before it is done, what an exit code says, what stays whole on a narrow terminal, and what
machines can read."""

import asyncio
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sekisho.adapters.tryout import prepare
from sekisho.app import App
from sekisho.core.terms.address import Address
from sekisho.faces.cli import exits
from sekisho.faces.cli.main import run
from sekisho.faces.cli.shell import Shell
from sekisho.faces.i18n.catalogue import Catalogue

LONG = "65f1a2b3c4d5e0011223344556677"
ADDRESS = "a-person-with-a-long-name@department.example.org"


@pytest.fixture
def taro(cli: Any) -> Any:
    cli("domain", "add", "example.org")
    assert (
        cli("account", "add", "taro@example.org", "--password-stdin", stdin="a long enough secret\n")[0]
        == exits.OK
    )
    return cli


@pytest.mark.parametrize(
    "words",
    [
        ("account", "import", "FILE", "--domain", "example.org"),
        ("account", "import", "EMPTY", "--domain", "example.org", "--json"),
        ("dkim", "publish", "far.example"),
        ("setup", "not_a_name", "-c", "NEW"),
        ("setup", "localhost", "-c", "NEW"),
        ("setup", "192.0.2.1", "-c", "NEW"),
        ("setup", "mx.example.org", "--owner", "nobody", "-c", "NEW"),
        ("classifier", "train", "--ham", "EMPTY"),
        ("queue", "hold", "none"),
        ("queue", "retry", "none"),
        ("bans", "lift", "192.0.2.7"),
        ("reputation", "forget", "192.0.2.7"),
        ("release", "none"),
        ("guard", "release", "taro@example.org"),
        ("alias", "remove", "none@example.org"),
        ("account", "credential", "remove", "taro@example.org", "none"),
        ("account", "may-send-as", "taro@example.org", "chair@example.org", "--revoke"),
        ("domain", "remove", "far.example", "--yes"),
        ("lab", "no-such-scene"),
    ],
    ids=" ".join,
)
def test_what_was_not_done_has_an_exit_code(taro: Any, tmp_path: Path, words: tuple[str, ...]) -> None:
    (tmp_path / "users").write_text("jiro:{UNKNOWN}x\n")
    (tmp_path / "empty").write_text("")
    places = {
        "FILE": str(tmp_path / "users"),
        "EMPTY": str(tmp_path / "empty"),
        "NEW": str(tmp_path / "new.toml"),
    }
    if words[0] == "lab":
        code = run(App(), ["sekisho", *words])
    else:
        code, _, _ = taro(*(places.get(word, word) for word in words))
    assert code not in (exits.OK, exits.SYSEXITS_SOFTWARE) and not (tmp_path / "new.toml").exists()


@pytest.mark.parametrize(
    "words",
    [
        ("add", "x@far.example"),
        ("add", "taro@example.org"),
        ("add", "nobody"),
        ("passwd", "none@example.org"),
    ],
)
def test_the_address_is_looked_at_before_a_password_is_asked_for(taro: Any, words: tuple[str, ...]) -> None:
    code, out, err = taro("account", *words, on_terminal=True)
    assert code == exits.FAILED and "Password" not in out + err and "password" not in err


def test_a_domain_is_not_lost_by_a_slip(taro: Any) -> None:
    taro("domain", "add", "example.net")
    taro("dkim", "add", "example.net", "--algorithm", "ed25519")
    code, out, _ = taro("domain", "remove", "example.net", stdin="n\n")
    assert (
        code == exits.FAILED
        and "Refuse all mail to example.net from now on, and lose its 1 DKIM keys for good?" in out
    )
    assert len(json.loads(taro("domain", "list", "--json")[1])) == 2
    code, out, err = taro("domain", "remove", "example.org")
    assert code == exits.FAILED and "still has 1 accounts" in err and "for good?" not in out
    assert taro("classifier", "forget", "--everything", stdin="n\n")[0] == exits.FAILED
    assert taro("domain", "remove", "example.net", stdin="y\n")[0] == exits.OK


@pytest.mark.parametrize("columns", [*range(40, 240, 8)])
def test_what_is_copied_stays_whole_in_tables(
    columns: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    rows = [
        (
            LONG,
            "2026-11-24 13:52:47",
            ADDRESS,
            "waiting",
            "450 4.2.0 Greylisted, come again in some minutes please",
        )
    ]
    Shell(App(), Catalogue("en", {})).print_table(
        ("Message", "Arrived", "To", "State", "Last reply"), rows * 2
    )
    out = capsys.readouterr().out
    assert out.count(LONG) == out.count(ADDRESS) == 2 and out.count("Greylisted,") == 2
    if columns == 200:
        assert "Message: " not in out and len(out.splitlines()) < 8


def test_ids_are_text_for_machines(taro: Any) -> None:
    """JavaScript, jq and others keep 53 bits of a number: an id of 64 would come back as another."""
    account = asyncio.run(taro.app.store.directory.account_by_address(Address.from_text("taro@example.org")))
    shown = json.loads(taro("account", "show", "taro@example.org", "--json")[1])
    assert shown["account"]["id"] == str(account.id)
    assert [row["id"] for row in json.loads(taro("account", "list", "--json")[1])] == [str(account.id)]
    assert type(shown["account"]["quota_octets"]) is int


@pytest.mark.parametrize("damage", ["folder", "garbage", "empty-folder", "file"])
@pytest.mark.parametrize(
    "words",
    [
        ("domain", "list"),
        ("account", "list"),
        ("verify",),
        ("backup", "NEW"),
        ("queue", "list"),
        ("why", "x"),
    ],
    ids=" ".join,
)
def test_damaged_data_is_told_in_a_sentence(
    damage: str,
    words: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SEKISHO_TRACEBACK", raising=False)
    config_file = prepare(tmp_path / "server", 0).config_file
    data = config_file.parent / "data"
    if damage == "file":
        data.write_text("x")
    else:
        data.mkdir()
        if damage == "folder":
            (data / "mail.db").mkdir()
        elif damage == "garbage":
            (data / "mail.db").write_bytes(b"no database at all" * 999)
    code = run(
        App(),
        ["sekisho", *(word.replace("NEW", str(tmp_path / "new")) for word in words), "-c", str(config_file)],
    )
    out, err = capsys.readouterr()
    assert (
        "Error" not in out + err
        and "Traceback" not in err
        and "error in sekisho itself" not in err
        and "error of its own" not in err
    )
    assert code != exits.SYSEXITS_SOFTWARE and (damage == "empty-folder" or code != exits.OK)
    assert out or err


@pytest.mark.parametrize(
    "words",
    [
        ("restore", "NONE"),
        ("verify", "NONE"),
        ("backup", "UNDER"),
        ("serve", "-c", "FOLDER"),
        ("config", "check", "-c", "NONE"),
        ("config", "check", "-c", "BYTES"),
        ("account", "import", "FOLDER"),
        ("classifier", "explain", "NONE"),
        ("check", "message", "NONE"),
        ("setup", "mx.example.org", "-c", "UNDER"),
        ("lab", "--scenario", "NONE"),
        ("lab", "--scenario", "BYTES"),
        ("try", "--dir", "UNDER"),
    ],
    ids=" ".join,
)
def test_files_that_are_not_there_are_told_in_a_sentence(
    words: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("SEKISHO_TRACEBACK", raising=False)
    monkeypatch.setenv("SEKISHO_CONFIG", str(prepare(tmp_path / "server", 0).config_file))
    (tmp_path / "server" / "data").mkdir()
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\x00[")
    places = {"NONE": "none", "UNDER": "bytes/below", "FOLDER": "server", "BYTES": "bytes"}
    words = tuple(str(tmp_path / places[word]) if word in places else word for word in words)
    if words[0] in ("serve", "try"):  # they begin themselves anew, with settings for OpenSSL
        done = subprocess.run(
            [sys.executable, "-m", "sekisho.app", *words],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        code, out, err = done.returncode, done.stdout, done.stderr
    else:
        code = run(App(), ["sekisho", *words])
        out, err = capsys.readouterr()
    assert code not in (exits.OK, exits.SYSEXITS_SOFTWARE), (out, err)
    assert "Traceback" not in err and "Error" not in err and "error in sekisho itself" not in err
    shutil.rmtree(tmp_path / "server")
