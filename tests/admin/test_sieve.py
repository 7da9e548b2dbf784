"""Scripts of accounts, as operators bring them."""

from tests.admin.test_operations import PASSWORD, ask, refusal

from sekisho.admin.context import Context
from sekisho.testing.records import MemoryJournal

TARO = "taro@example.org"


async def test_scripts_come_go_and_are_told(context: Context, journal: MemoryJournal) -> None:
    await ask(context, "domain.add", name="example.org")
    await ask(context, "account.add", address=TARO, password=PASSWORD)
    assert (await ask(context, "sieve.put", address=TARO, name="a", text="keep;", activate=True)).is_active
    assert not (await ask(context, "sieve.put", address=TARO, name="b", text="discard;")).is_active
    assert [(each.name, each.is_active) for each in await ask(context, "sieve.list", address=TARO)] == [
        ("a", True),
        ("b", False),
    ]
    assert (await ask(context, "sieve.get", address=TARO)).text == "keep;"
    assert "active" in await refusal(context, "sieve.remove", address=TARO, name="a")
    await ask(context, "sieve.activate", address=TARO)
    await ask(context, "sieve.remove", address=TARO, name="a")
    assert "has no active script" in await refusal(context, "sieve.get", address=TARO)
    assert "no script" in await refusal(context, "sieve.get", address=TARO, name="a")
    kinds = [kind for kind in journal.kinds() if kind.startswith("admin.sieve")]
    assert kinds == ["admin.sieve.put", "admin.sieve.put", "admin.sieve.activate", "admin.sieve.remove"]


async def test_what_is_no_script_is_not_kept(context: Context) -> None:
    await ask(context, "domain.add", name="example.org")
    await ask(context, "account.add", address=TARO, password=PASSWORD)
    assert "line 2: There is no command x" in await refusal(
        context, "sieve.put", address=TARO, name="a", text="\nx;"
    )
    assert "name" in await refusal(context, "sieve.put", address=TARO, name="a/b", text="keep;")
    assert "There is no account" in await refusal(context, "sieve.list", address="nobody@example.org")
    circle = 'require "include"; include "a";'
    await ask(context, "sieve.put", address=TARO, name="b", text=circle)
    assert "includes itself" in await refusal(
        context, "sieve.put", address=TARO, name="a", text='require "include"; include "b";'
    )
    assert [each.name for each in await ask(context, "sieve.list", address=TARO)] == ["b"]
