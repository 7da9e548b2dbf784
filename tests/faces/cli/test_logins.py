"""Who logged in, for people and for machines."""

import asyncio
import json
from typing import Any

from sekisho.faces.cli import exits
from sekisho.ports.journal import Entry
from sekisho.ports.places import LoginPlace

ADDRESS = "taro@example.org"


def test_account_logins(cli: Any) -> None:
    cli("domain", "add", "example.org")
    cli("account", "add", ADDRESS, "--password-stdin", stdin="correct horse battery\n")
    assert cli("account", "logins", ADDRESS) == (0, "", "")
    fields = {
        "service": "imap",
        "client": "192.0.2.7",
        "mechanism": "PLAIN",
        "tls": "TLSv1.3",
        "cipher": "x",
        "credential": "password",
    }
    about = (ADDRESS, f"logins:{ADDRESS}")
    cli.app.ledger.keep(1_000_000, Entry("authentication.accepted", "", {**fields, "new_place": True}, about))
    cli.app.ledger.keep(
        2_000_000, Entry("authentication.accepted", "", {**fields, "new_place": False}, about)
    )
    refused = {"service": "pop3", "client": "203.0.113.9", "cause": "wrong password"}
    cli.app.ledger.keep(3_000_000, Entry("authentication.refused", "", refused, (ADDRESS,)))
    account_id = int(json.loads(cli("account", "show", ADDRESS, "--json")[1])["account"]["id"])
    place = LoginPlace(
        account_id=account_id,
        network="192.0.2.0/24",
        credential_id="password",
        first_us=1_000_000,
        last_us=2_000_000,
        days=2,
        client="192.0.2.7",
        service="imap",
        mechanism="PLAIN",
        tls="TLSv1.3",
    )
    asyncio.run(cli.app.store.places.note(place))
    history = json.loads(cli("account", "logins", ADDRESS, "--json")[1])
    assert [(login["at_us"], login["is_new"]) for login in history["logins"]] == [
        (2_000_000, False),
        (1_000_000, True),
    ]
    lines = cli("account", "logins", ADDRESS, "--refused")[1].splitlines()
    assert lines[0].split("\t")[1:] == ["203.0.113.9", "pop3", "-", "-", "-", "wrong password"]
    assert lines[2].split("\t")[1:] == ["192.0.2.7", "imap", "PLAIN", "TLSv1.3", "password", "new place"]
    assert lines[4] == "Known places:" and lines[5].startswith("  192.0.2.0/24  password  ")
    assert cli("account", "logins", ADDRESS, "--limit", "1")[1].count("PLAIN") == 1
    code, _, err = cli("account", "logins", "nobody@example.org")
    assert code == exits.FAILED and "There is no account" in err
