"""`sekisho dkim`: no key signs before others can find it, and none is forgotten while its mail is under
way."""

import json
from typing import Any

import pytest

from sekisho.faces.cli import exits


@pytest.fixture
def key(cli: Any) -> Any:
    cli("domain", "add", "example.test")
    return json.loads(cli("dkim", "add", "example.test", "--algorithm", "ed25519", "--json")[1])


def states(cli: Any) -> list[str]:
    return [row["state"] for row in json.loads(cli("dkim", "list", "example.test", "--json")[1])]


@pytest.mark.parametrize(
    ("record", "code", "words"),
    [
        ("", exits.FAILED, "The DNS does not have the record of"),
        ('{name} TXT "v=DKIM1; k=ed25519; p=AAAA"', exits.FAILED, "The DNS does not have the record of"),
        (
            '{name} TXT "{record}"\n{name} TXT "v=DKIM1; p="',
            exits.FAILED,
            "The DNS does not have the record of",
        ),
        ("$SERVFAIL {name}", exits.UNKNOWN, "The DNS did not say whether it has the record of"),
        ("$TIMEOUT {name}", exits.UNKNOWN, "The DNS did not say whether it has the record of"),
    ],
)
def test_a_key_that_nobody_can_find_does_not_sign(
    cli: Any, key: Any, record: str, code: int, words: str
) -> None:
    cli.app.zone = record.format(**key) + "\n"
    found, out, err = cli("dkim", "rotate", "example.test")
    assert (found, out) == (code, "") and words in err and "{" not in err
    assert states(cli) == ["next"]
    found, out, err = cli("dkim", "rotate", "example.test", "--force")
    assert found == exits.OK and words in err and out == f"Mail is signed with {key['selector']} now.\n"
    assert states(cli) == ["active"]


def test_rotation_by_the_hand_of_an_operator(cli: Any, key: Any) -> None:
    cli.app.zone = f'{key["name"]} TXT "{key["record"]}"\n'
    assert cli("dkim", "rotate", "example.test", "--resolver", "192.0.2.53")[0] == exits.OK
    assert ("look_up", ("192.0.2.53",)) in cli.app.calls
    second = json.loads(cli("dkim", "add", "example.test", "--algorithm", "ed25519", "--json")[1])
    cli.app.zone += f'{second["name"]} TXT "{second["record"]}"\n'
    code, out, _ = cli("dkim", "rotate", "example.test")
    assert code == exits.OK and out.endswith(
        f"Leave the old record in the DNS for a week, for mail under way: {key['name']}\n"
    )
    code, out, err = cli("dkim", "retire", "example.test")
    assert (code, out) == (exits.FAILED, "") and "may still be under way" in err
    code, out, _ = cli("dkim", "retire", "example.test", "--force")
    assert code == exits.OK and "leave these records in the DNS" in out and "can be removed" not in out


def test_what_cannot_be_published_is_said(cli: Any) -> None:
    assert cli("dkim", "publish", "far.example") == (
        exits.FAILED,
        "",
        "sekisho: There is no domain far.example.\n",
    )
    assert cli("dkim", "list", "far.example")[0] == exits.FAILED
    cli("domain", "add", "example.test")
    code, out, err = cli("dkim", "publish", "example.test")
    assert (code, out) == (exits.FAILED, "") and "make one: sekisho dkim add example.test" in err
