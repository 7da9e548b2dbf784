"""Rotation: publish the next key, switch, retire the old one."""

import msgspec
import pytest

from sekisho.adapters.stores.memory.store import MemoryStore
from sekisho.admin.context import Context, Refused
from sekisho.admin.dkim import AddKey, KeysOfDomain, ListKeys, add_key, list_keys, retire_keys, rotate_keys
from sekisho.core.mailauth.dkim.keys import KeyRecord, parse_key_record
from sekisho.ports.directory import Domain


async def _states(context: Context) -> list[tuple[str, str]]:
    return [(key.selector, key.state) for key in await list_keys(context, ListKeys("example.org"))]


async def test_a_rotation(context: Context, store: MemoryStore) -> None:
    await store.directory.add_domain(Domain("example.org", 0))
    first = await add_key(context, AddKey("Example.org", "ed25519"))
    record = parse_key_record(first.record.encode())
    assert isinstance(record, KeyRecord) and record.key_type == "ed25519"
    assert first.name == f"{first.selector}._domainkey.example.org" and first.state == "next"
    with pytest.raises(Refused, match="next key already"):
        await add_key(context, AddKey("example.org", "ed25519"))
    with pytest.raises(Refused, match="no retired"):
        await retire_keys(context, KeysOfDomain("example.org"))
    assert [key.state for key in await rotate_keys(context, KeysOfDomain("example.org"))] == ["active"]
    with pytest.raises(Refused, match="no next key"):
        await rotate_keys(context, KeysOfDomain("example.org"))
    second = await add_key(context, AddKey("example.org", "ed25519"))
    assert second.selector != first.selector
    await rotate_keys(context, KeysOfDomain("example.org"))
    assert await _states(context) == [(first.selector, "retired"), (second.selector, "active")]
    await retire_keys(context, KeysOfDomain("example.org"))
    assert await _states(context) == [(second.selector, "active")]


async def test_an_rsa_key_beside_it_and_no_private_key_in_answers(context: Context, store: MemoryStore) -> None:
    await store.directory.add_domain(Domain("example.org", 0))
    await add_key(context, AddKey("example.org", "ed25519"))
    rsa = await add_key(context, AddKey("example.org"))
    record = parse_key_record(rsa.record.encode())
    assert isinstance(record, KeyRecord) and record.bits == 2048
    assert b"PRIVATE" not in msgspec.json.encode(await list_keys(context, ListKeys()))


async def test_only_for_domains_of_ours(context: Context) -> None:
    with pytest.raises(Refused, match="no domain"):
        await add_key(context, AddKey("example.org"))
