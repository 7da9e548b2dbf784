"""`account.import`: lines of a passwd-file or of /etc/shadow."""

from typing import Any

import pytest
from tests.admin.test_operations import PASSWORD, ask, refusal
from tests.services.authentication.test_foreign import BLOWFISH, MD5, SHA512

from sekisho.admin.context import Context
from sekisho.core.terms.address import Address
from sekisho.services.authentication.passwords import is_current, verify_password
from sekisho.testing.records import MemoryJournal

LINES = [
    "# users of the old server",
    "",
    f"hanako:{{BLF-CRYPT}}{BLOWFISH}:1000:1000:山田花子,室1:/home/hanako::userdb_quota_rule=*:storage=1G",
    f"Jiro@Example.org:{SHA512}:19000:0:99999:7::24000:",
    f"old:{MD5}",
    "daemon:*:19000:0:99999:7:::",
    f"taro:{SHA512}",
    f"jiro:{SHA512}",
    f"a b:{SHA512}",
    f"x@elsewhere.example:{SHA512}",
    "saburo:{PLAIN}five purple monkeys dance",
    "shiro:{PLAIN}password1",
    "no colon",
    f"goro:{SHA512}:1000:1000::/home/goro::nologin reason=left",
    f"rokuro:{SHA512}:1000:1000::/home/rokuro::allow_nets=192.0.2.0/24",
]


@pytest.fixture
async def house(context: Context) -> Context:
    await ask(context, "domain.add", name="example.org")
    await ask(context, "account.add", address="taro@example.org", password=PASSWORD)
    return context


async def stored(context: Context, name: str) -> str:
    account = await context.directory.account_by_address(Address(name, "example.org"))
    assert account is not None
    password = await context.directory.password(account.id)
    assert password is not None
    return password.argon2


async def imported(context: Context, **arguments: Any) -> dict[int, str]:
    lines = await ask(context, "account.import", **{"lines": LINES, "domain": "example.org", **arguments})
    return {
        line.line: line.scheme if line.taken else "! " + line.text.format(**line.values) for line in lines
    }


async def test_each_line_is_taken_or_says_why_not(house: Context, journal: MemoryJournal) -> None:
    result = await imported(house)
    assert {number: text for number, text in result.items() if text[0] != "!"} == {
        3: "BLF-CRYPT",
        4: "SHA512-CRYPT",
        11: "PLAIN",
    }
    reasons = {
        5: "--also MD5-CRYPT",
        6: "locked",
        7: "already exists",
        8: "twice",
        9: "not an address",
        10: "no domain elsewhere",
    }
    for number, words in (
        reasons | {12: "most common", 13: "not an address", 14: "nologin", 15: "allow_nets"}
    ).items():
        assert words in result[number]
    assert verify_password(await stored(house, "hanako"), "himitsu") and verify_password(
        await stored(house, "jiro"), "himitsu"
    )
    assert is_current(await stored(house, "saburo"))  # was readable, so it is hashed at once
    assert verify_password(await stored(house, "saburo"), "five purple monkeys dance")
    accounts = {account.address: account for account in await ask(house, "account.list")}
    assert (
        accounts["hanako@example.org"].display_name == "山田花子"
        and accounts["hanako@example.org"].expires_at_us == 0
    )
    assert (
        accounts["jiro@example.org"].display_name == ""
        and accounts["jiro@example.org"].expires_at_us == 24000 * 86_400_000_000
    )
    assert journal.kinds().count("admin.account.import") == 3
    assert not any("himitsu" in repr(entry) or SHA512 in repr(entry) for entry in journal.entries)


async def test_a_dry_run_makes_nothing(house: Context) -> None:
    assert (await imported(house, dry_run=True))[3] == "BLF-CRYPT"
    assert [account.address for account in await ask(house, "account.list")] == ["taro@example.org"]


async def test_broken_schemes_by_name_and_accounts_that_exist(house: Context) -> None:
    result = await imported(house, also=["MD5-CRYPT"], replace=True, first=101)
    assert result[105] == "MD5-CRYPT" and result[107] == "SHA512-CRYPT"
    assert verify_password(await stored(house, "taro"), "himitsu")
    assert "none of the broken schemes" in await refusal(house, "account.import", lines=[], also=["SSHA"])
