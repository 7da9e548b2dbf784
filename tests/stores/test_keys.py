"""Keys that mail is signed with."""

from typing import Any

import msgspec
import pytest

from sekisho.core.terms.address import Address
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.directory import Alias, DirectoryError, Domain
from sekisho.ports.keys import DkimKey

KEY = DkimKey(
    domain="b.test",
    selector="s1",
    algorithm="rsa",
    state="next",
    private_pem=b"secret pem",
    created_at_us=5,
    changed_at_us=6,
)


async def test_keys_are_kept_changed_and_forgotten(store: Any) -> None:
    other = msgspec.structs.replace(KEY, domain="a.test", algorithm="ed25519")
    second = msgspec.structs.replace(KEY, selector="s2")
    await store.keys.put_dkim_keys((second, KEY, other))
    assert await store.keys.dkim_keys() == [other, KEY, second]
    assert await store.keys.dkim_keys("b.test") == [KEY, second]
    active = msgspec.structs.replace(KEY, state="active", changed_at_us=9)
    await store.keys.put_dkim_keys((active, msgspec.structs.replace(second, state="retired")))
    assert [key.state for key in await store.keys.dkim_keys("b.test")] == ["active", "retired"]
    await store.keys.remove_dkim_keys((second, other))
    assert await store.keys.dkim_keys() == [active]
    assert await store.keys.dkim_keys("c.test") == []


async def test_keys_go_with_their_domain(store: Any) -> None:
    other = msgspec.structs.replace(KEY, domain="a.test")
    for name in ("a.test", "b.test"):
        await store.directory.add_domain(Domain(name, 0))
    await store.keys.put_dkim_keys((KEY, other))
    alias = Alias("x@b.test", ("y@c.test",))
    await store.directory.put_alias(alias)
    with pytest.raises(DirectoryError):
        await store.directory.remove_domain("b.test")
    assert await store.keys.dkim_keys() == [other, KEY]
    await store.directory.remove_alias(Address("x", "b.test"))
    await store.directory.remove_domain("b.test")
    assert await store.keys.dkim_keys() == [other]


def test_a_private_key_is_never_shown() -> None:
    assert "secret" not in repr(KEY)


async def test_nothing_is_kept_by_a_store_that_cannot_write(store: Any) -> None:
    if not hasattr(store, "state"):
        pytest.skip("only the memory store can be told to refuse")
    store.state.unavailable = "disk full"
    with pytest.raises(StoreUnavailable):
        await store.keys.put_dkim_keys((KEY,))
