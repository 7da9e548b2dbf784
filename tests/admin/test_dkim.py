"""Rotation: publish the next key, switch, retire the old one."""

import msgspec
import pytest
from tests.stores.opened import OpenStore

from sekisho.admin.context import AdminRefused, Context
from sekisho.admin.dkim import (
    AddKey,
    ListKeys,
    RetireKeys,
    RotateKeys,
    add_key,
    list_keys,
    retire_keys,
    rotate_keys,
)
from sekisho.core.mailauth.dkim.keys import KeyRecord, parse_key_record
from sekisho.ports.directory import Domain
from sekisho.testing.clock import ManualClock


async def _states(context: Context) -> list[tuple[str, str]]:
    return [(key.selector, key.state) for key in await list_keys(context, ListKeys("example.org"))]


async def test_a_rotation(context: Context, store: OpenStore) -> None:
    clock = context.clock
    assert isinstance(clock, ManualClock)
    await store.directory.add_domain(Domain("example.org", 0))
    first = await add_key(context, AddKey("Example.org", "ed25519"))
    record = parse_key_record(first.record.encode())
    assert isinstance(record, KeyRecord) and record.key_type == "ed25519"
    assert first.name == f"{first.selector}._domainkey.example.org" and first.state == "next"
    with pytest.raises(AdminRefused, match="next key already"):
        await add_key(context, AddKey("example.org", "ed25519"))
    with pytest.raises(AdminRefused, match="no retired"):
        await retire_keys(context, RetireKeys("example.org"))
    assert [key.state for key in await rotate_keys(context, RotateKeys("example.org", [first.selector]))] == [
        "active"
    ]
    with pytest.raises(AdminRefused, match="no next key"):
        await rotate_keys(context, RotateKeys("example.org", [first.selector]))
    second = await add_key(context, AddKey("example.org", "ed25519"))
    assert second.selector != first.selector
    await rotate_keys(context, RotateKeys("example.org", [second.selector]))
    assert await _states(context) == [(first.selector, "retired"), (second.selector, "active")]
    clock.advance(6.5 * 86400)
    with pytest.raises(AdminRefused, match="in 1 days"):
        await retire_keys(context, RetireKeys("example.org"))
    clock.advance(86400)
    await retire_keys(context, RetireKeys("example.org"))
    assert await _states(context) == [(second.selector, "active")]


@pytest.mark.parametrize("published", [[], ["r20000101"]])
async def test_no_key_signs_that_the_dns_was_not_seen_to_have(
    context: Context, store: OpenStore, published: list[str]
) -> None:
    await store.directory.add_domain(Domain("example.org", 0))
    await add_key(context, AddKey("example.org", "ed25519"))
    with pytest.raises(AdminRefused, match="would fail everywhere"):
        await rotate_keys(context, RotateKeys("example.org", published))
    assert [state for _, state in await _states(context)] == ["next"]
    assert [
        key.state for key in await rotate_keys(context, RotateKeys("example.org", published, force=True))
    ] == ["active"]


async def test_keys_of_nobody(context: Context) -> None:
    for work in (
        list_keys(context, ListKeys("far.example")),
        retire_keys(context, RetireKeys("far.example")),
    ):
        with pytest.raises(AdminRefused, match="There is no domain"):
            await work


async def test_an_rsa_key_beside_it_and_no_private_key_in_answers(context: Context, store: OpenStore) -> None:
    await store.directory.add_domain(Domain("example.org", 0))
    await add_key(context, AddKey("example.org", "ed25519"))
    rsa = await add_key(context, AddKey("example.org"))
    record = parse_key_record(rsa.record.encode())
    assert isinstance(record, KeyRecord) and record.bits == 2048
    assert b"PRIVATE" not in msgspec.json.encode(await list_keys(context, ListKeys()))


async def test_only_for_domains_of_ours(context: Context) -> None:
    with pytest.raises(AdminRefused, match="no domain"):
        await add_key(context, AddKey("example.org"))
