"""Sieve scripts of accounts, and what they remember."""

from typing import Any

import pytest

from sekisho.ports.directory import Account
from sekisho.ports.scripts import ActiveScripts, ScriptInfo, ScriptLimits, ScriptsRefused

LIMITS = ScriptLimits(scripts=3, octets=100)


async def test_scripts_are_kept_made_active_and_removed(store: Any, alice: Account, bob: Account) -> None:
    scripts, id_ = store.scripts, alice.id
    assert await scripts.listing(id_) == [] and await scripts.active(id_) is None
    await scripts.put(id_, "b", b"keep;", LIMITS)
    await scripts.put(id_, "a", b"stop;", LIMITS)
    await scripts.put(bob.id, "a", b"discard;", LIMITS)
    assert await scripts.active(id_) is None
    await scripts.activate(id_, "b")
    assert await scripts.active(id_) == ActiveScripts("b", {"a": b"stop;", "b": b"keep;"})
    await scripts.activate(id_, "a")
    assert [(each.name, each.is_active, each.size_octets) for each in await scripts.listing(id_)] == [
        ("a", True, 5),
        ("b", False, 5),
    ]
    await scripts.put(id_, "a", b"discard;", LIMITS)
    assert (await scripts.active(id_)).scripts["a"] == b"discard;" == await scripts.script(id_, "a")
    with pytest.raises(ScriptsRefused, match="active"):
        await scripts.remove(id_, "a")
    await scripts.rename(id_, "a", "c")
    assert (await scripts.active(id_)).active == "c"
    await scripts.activate(id_, "")
    await scripts.remove(id_, "c")
    assert [each.name for each in await scripts.listing(id_)] == ["b"]
    assert await scripts.script(id_, "c") is None and await scripts.script(bob.id, "a") == b"discard;"


async def test_what_cannot_be_is_refused(store: Any, alice: Account) -> None:
    scripts, id_ = store.scripts, alice.id
    await scripts.put(id_, "a", b"keep;", LIMITS)
    await scripts.put(id_, "b", b"keep;", LIMITS)
    for act in (
        scripts.activate(id_, "x"),
        scripts.remove(id_, "x"),
        scripts.rename(id_, "x", "y"),
        scripts.rename(id_, "a", "b"),
    ):
        with pytest.raises(ScriptsRefused):
            await act
    with pytest.raises(ScriptsRefused, match="no account"):
        await scripts.put(id_ + 1, "a", b"", LIMITS)
    with pytest.raises(ScriptsRefused, match="100 octets"):
        await scripts.put(id_, "b", b"x" * 96, LIMITS)
    await scripts.put(id_, "c", b"", LIMITS)
    with pytest.raises(ScriptsRefused, match="3 scripts"):
        await scripts.put(id_, "d", b"", LIMITS)
    await scripts.put(id_, "b", b"x" * 95, LIMITS)


async def test_scripts_go_with_their_account(store: Any, alice: Account) -> None:
    await store.scripts.put(alice.id, "a", b"keep;", LIMITS)
    await store.directory.purge_account(alice.id)
    assert await store.scripts.listing(alice.id) == []


async def test_an_account_has_one_moment_of_change(store: Any, alice: Account, clock: Any) -> None:
    await store.scripts.put(alice.id, "a", b"keep;", LIMITS)
    assert await store.scripts.listing(alice.id) == [ScriptInfo("a", 5, False, clock.now_us())]


async def test_keys_are_remembered_for_a_while(store: Any) -> None:
    remembered = store.remembered
    assert await remembered.remember(b"a", 10, 20)
    assert not await remembered.remember(b"a", 19, 90)
    assert await remembered.known((b"a", b"b"), 19) == {b"a"}
    assert await remembered.known((b"a",), 20) == frozenset()
    assert await remembered.remember(b"a", 20, 30)
    await remembered.renew(b"a", 50)
    assert await remembered.known((b"a",), 40) == {b"a"}
