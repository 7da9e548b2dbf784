"""`sekisho expect`, `reputation` and `door` on the command line."""

import asyncio
import json
from typing import Any

from sekisho.core.policy.door.connection import CONNECTION_RULES
from sekisho.core.policy.door.judge import RULES
from sekisho.core.policy.greylist import GreylistTry
from sekisho.core.policy.reputation import of_event
from sekisho.faces.cli import exits
from sekisho.ports.journal import Entry
from sekisho.ports.reputation import Known

PASSWORD = "correct horse battery"


def fill(cli: Any) -> None:
    assert cli("domain", "add", "example.org")[0] == 0
    assert cli("account", "add", "taro@example.org", "--password-stdin", stdin=PASSWORD)[0] == 0


def test_expect_says_until_when(cli: Any) -> None:
    fill(cli)
    code, out, err = cli("expect", "taro@example.org")
    assert (code, err) == (0, "") and out.startswith("Nothing to taro@example.org is delayed until ")
    out = cli("expect", "taro@example.org", "--minutes", "30", "--from", "shop.example")[1]
    assert out.startswith("Nothing from shop.example to taro@example.org is delayed until ")
    assert [row.split("\t")[:2] for row in cli("expect")[1].splitlines()] == [
        ["taro@example.org", "anybody"],
        ["taro@example.org", "shop.example"],
    ]
    assert (
        cli("expect", "taro@example.org", "--minutes", "0")[1]
        == "Greylisting applies to mail to taro@example.org again.\n"
    )
    assert [row["sender"] for row in json.loads(cli("expect", "--json")[1])] == ["@shop.example"]
    code, _, err = cli("expect", "nobody@example.org")
    assert code == 1 and "No account here" in err


def test_reputation_is_told_in_numbers(cli: Any, app: Any) -> None:
    at_us = app.store.clock.now_us()
    app.store.reputation.learn([Known("domain:shop.example", of_event("accepted", at_us)) for _ in range(8)])
    asyncio.run(app.store.reputation.flush())
    assert cli("reputation", "list")[1].split("\t")[:5] == ["domain:shop.example", "good", "0.83", "8", "0"]
    out = cli("reputation", "show", "shop.example")[1]
    assert (
        "8 messages from" in out
        and "4.00 good, 0.00 bad; score 0.83: good." in out
        and "(good + 1) / (good + bad + 2)" in out
    )
    assert json.loads(cli("reputation", "show", "shop.example", "--json")[1])["rows"][0]["score"] == 0.833
    assert cli("reputation", "forget", "shop.example")[1] == "Forgotten: domain:shop.example.\n"
    code, out, _ = cli("reputation", "show", "shop.example")
    assert (code, out) == (exits.NOTHING_KNOWN, "Nothing is known about shop.example.\n")


def test_the_rules_stand_in_their_order(cli: Any, monkeypatch: Any) -> None:
    with cli.config_file.open("a") as file:
        file.write('\n[content]\nclassifier = "observe"\n')
    rows = [row.split("\t") for row in cli("door", "rules")[1].splitlines()]
    assert [row[0] for row in rows] == [rule.name for rule in CONNECTION_RULES + RULES]
    assert [row[1] for row in rows][:8] == ["greeting"] * 4 + ["sender"] + ["recipient"] * 2 + ["message"]
    modes = {row[0]: row[2] for row in rows}
    assert modes["own-domain"] == "enforce" and modes["content-junk"] == "observe"
    assert modes["virus"] == "off" and modes["dnsbl-listed"] == "off"  # nobody is there to be asked
    found = json.loads(cli("door", "rules", "--json")[1])
    assert (
        found[0]["name"] == "early-talker"
        and found[-1]["stage"] == "message"
        and set(found[0]["says"]) == {"en", "ja"}
        and found[0]["says"]["ja"].endswith("。")
    )
    monkeypatch.setenv("LANG", "ja_JP.UTF-8")
    assert "差出人がここのドメイン" in cli("door", "rules")[1]


def test_release_says_what_follows(cli: Any, app: Any) -> None:
    fill(cli)
    for id_, reply, organization in (("m1", "451 4.7.1 later", ""), ("m2", "550 5.7.1 no", "shop.example")):
        fields = {
            "rule": "bad-reputation",
            "author": "news@shop.example",
            "organization": organization,
            "client": "192.0.2.7",
        }
        app.ledger.keep(1, Entry("reception.evidence", id_, fields))
        app.ledger.keep(2, Entry("reception.refused", id_, {"reply": reply, "recipient": "taro@example.org"}))
    first = (
        "taro@example.org trust news@shop.example from now on, as long as its mail comes from 192.0.2.0/24.\n"
    )
    assert cli("release", "m1") == (0, first + "The sender sends the message again by itself.\n", "")
    assert cli("release", "m2")[1].endswith("Ask the sender to send the message again.\n")
    assert json.loads(cli("release", "m1", "--json")[1])["temporary"] is True
    assert cli("release", "m3")[0] == exits.FAILED


def test_greylist_says_who_came_back(cli: Any, app: Any) -> None:
    assert cli("door", "greylist") == (
        0,
        "0 senders were asked to try again later: 0 did, 0 did not, 0 still may.\n",
        "",
    )
    now_us = app.store.clock.now_us()
    rows = {
        "a": GreylistTry(now_us - 200 * 10**6, now_us, now_us, 2),
        "b": GreylistTry(1, 10**12, 10**12, 2),
        "c": GreylistTry(now_us, now_us),
    }
    for name, tried in rows.items():
        asyncio.run(app.store.greylist.change(f"domain:{name}.example", lambda known, tried=tried: tried))
    lines = cli("door", "greylist", "--limit", "5")[1].splitlines()
    assert lines[0] == "3 senders were asked to try again later: 2 did, 0 did not, 1 still may."
    assert lines[1:3] == ["  1 tried again after 2 to 5 minutes.", "  1 tried again later."]
    assert lines[3].startswith("domain:c.example\t1\t")
    assert json.loads(cli("door", "greylist", "--json")[1])["came_back"] == 2
    assert cli("door", "greylist", "--since", "soon")[0] == exits.USAGE
