"""`sekisho check`: sentences, JSON and exit codes; with a server, without one, and without any
configuration."""

import json
from pathlib import Path
from typing import Any

import pytest

from sekisho.faces.cli import exits

PTR = "25.2.0.192.in-addr.arpa PTR mx.example.test\n"
ZONE = """
example.test      MX  10 mx.example.test
example.test      TXT "v=spf1 mx -all"
mx.example.test A   192.0.2.25
mx.example.test TXT "v=spf1 a -all"
_dmarc.example.test TXT "v=DMARC1; p=reject; rua=mailto:a@example.test"
_mta-sts.example.test TXT "v=STSv1; id=1"
_smtp._tls.example.test TXT "v=TLSRPTv1; rua=mailto:a@example.test"
"""
MESSAGE = (
    "From: alice@example.test\nDate: Tue, 24 Nov 2026 05:20:51 +0000\nMessage-ID: <1@example.test>\n\nHello\n"
)


@pytest.fixture
def served(cli: Any) -> Any:
    """This server serves example.test with a key that is published."""
    assert cli("domain", "add", "example.test")[0] == exits.OK
    key = json.loads(cli("dkim", "add", "example.test", "--algorithm", "ed25519", "--json")[1])
    cli.app.zone = ZONE + PTR + f'{key["name"]} TXT "{key["record"]}"\n'
    assert cli("dkim", "rotate", "example.test")[0] == exits.OK
    return cli


def test_a_domain_of_this_server(served: Any) -> None:
    code, out, err = served("check", "domain", "example.test")
    assert (code, err) == (exits.OK, ""), out
    assert "✓ MX: MX 10 mx.example.test has the address 192.0.2.25.\n" in out and out.endswith(
        "\nNothing is wrong.\n"
    )
    served.app.zone = served.app.zone.replace(PTR, "")
    code, out, _ = served("check", "domain", "example.test")
    assert code == exits.PROBLEMS and out.endswith("\nOne thing is wrong.\n")
    assert (
        "✗ PTR: 192.0.2.25 has no reverse name; large receivers refuse mail from it.\n    → Have the "
        "reverse name set" in out
    )


def test_the_addresses_that_the_relay_binds(served: Any) -> None:
    text = served.config_file.read_text()
    served.config_file.write_text(f'{text}\n[relay]\nsource_ipv4 = "192.0.2.7"\n')
    code, out, _ = served("check", "domain", "example.test")
    assert code == exits.PROBLEMS and "192.0.2.7 has no reverse name" in out
    assert "192.0.2.7" not in served("check", "domain", "example.test", "--ip", "192.0.2.25")[1]


def test_for_machines(served: Any) -> None:
    served.app.zone += "$TIMEOUT _dmarc.example.test\n"
    code, out, _ = served("check", "domain", "example.test", "--json")
    answer = json.loads(out)
    assert code == exits.UNKNOWN and (answer["domain"], answer["bad"], answer["unknown"]) == (
        "example.test",
        0,
        1,
    )
    (unknown,) = [row for row in answer["findings"] if row["level"] == "unknown"]
    assert unknown["topic"] == "DMARC" and unknown["sentence"].startswith(
        "The DNS did not say which DMARC record applies to example.test"
    )
    assert served("check", "domain", "example.test")[1].endswith("check the resolver.\n")


def test_in_japanese(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    served.app.zone = served.app.zone.replace(PTR, "").replace('TXT "v=spf1 mx -all"', 'TXT "v=spf1 -all"')
    code, out, _ = served("check", "domain", "example.test")
    assert (
        code == exits.PROBLEMS
        and "192.0.2.25 には逆引きがありません" in out
        and out.endswith("\n問題が 2 個あります。\n")
    )


def test_without_the_store_the_dns_is_looked_at_all_the_same(served: Any) -> None:
    served.app.reachable = False
    code, out, err = served("check", "domain", "example.test")
    assert code == exits.OK and "No server runs" in err and "could not be read" in out and "✓ SPF" in out


def test_without_a_configuration(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEKISHO_CONFIG")
    cli.app.zone = ZONE
    assert cli("check", "domain", "example.test", "--resolver", "192.0.2.53:5353")[0] == exits.OK
    assert cli.app.calls[-1] == ("look_up", ("192.0.2.53:5353",))
    assert cli("check", "domain", "example.test")[0] == exits.OK and cli.app.calls[-1] == ("look_up", ())
    assert cli("check", "domain", "example.test", "-c", "/nowhere/sekisho.toml")[0] == exits.BAD_CONFIG


def test_a_message(cli: Any, tmp_path: Path) -> None:
    (tmp_path / "mail.eml").write_text(MESSAGE)
    cli.app.zone = ZONE + PTR
    arguments = (
        "check",
        "message",
        str(tmp_path / "mail.eml"),
        "--ip",
        "192.0.2.25",
        "--mail-from",
        "alice@example.test",
    )
    code, out, err = cli(*arguments)
    assert (code, err) == (exits.PROBLEMS, "")
    assert (
        "✓ SPF: MAIL FROM: 192.0.2.25 may send for example.test (mx).\n" in out
        and "✗ DKIM: The message is not signed" in out
    )
    assert (
        "✓ DMARC: SPF example.test authenticates example.test" in out and "\nAuthentication-Results: " in out
    )
    answer = json.loads(cli(*arguments, "--helo", "mx.example.test", "--json")[1])
    assert answer["bad"] == 1 and "smtp.helo=mx.example.test" in answer["authentication_results"]
    assert json.loads(cli("check", "message", "-", "--json", stdin=MESSAGE)[1])["bad"] == 2
    assert (
        cli("check", "message", "-", "--mail-from", "alice", "--ip", "192.0.2.25", stdin=MESSAGE)[0]
        == exits.FAILED
    )


def test_what_peers_write_does_not_steer_the_terminal(cli: Any) -> None:
    cli.app.zone = 'example.test TXT "v=spf1 \x1b[31mred -all"\n'
    assert "\x1b" not in cli("check", "domain", "example.test")[1]
    evil = MESSAGE.replace(
        "Date:", "DKIM-Signature: v=1; d=\x1b[31m.example; s=a; a=b; b=c; bh=d; h=from\nDate:"
    )
    assert "\x1b" not in cli("check", "message", "-", stdin=evil)[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("check", "message", "/nowhere/mail.eml"), "/nowhere/mail.eml"),
        (("check", "message", "-", "--ip", "mx.example.org"), "write an IP address such as 192.0.2.25"),
        (("check", "domain"), "NAME"),
    ],
)
def test_usage(cli: Any, arguments: tuple[str, ...], says: str) -> None:
    code, out, err = cli(*arguments)
    assert (code, out) == (exits.USAGE, "") and says in err


def test_a_name_that_is_none(cli: Any) -> None:
    code, _, err = cli("check", "domain", "no_such..name")
    assert code == exits.FAILED and "is not a domain" in err
