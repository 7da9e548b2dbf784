"""Every operator action, asked for by name as the control socket does."""

import json
from typing import Any

import pytest
from tests.stores.opened import OpenStore

from sekisho.admin.context import AdminRefused, Context
from sekisho.admin.operations import OPERATIONS, Fault, answer, read_answer
from sekisho.core.terms.address import Address, ReversePath
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.directory import DirectoryError
from sekisho.ports.spool import Acceptance, RelayRecipient
from sekisho.testing.records import MemoryJournal

PASSWORD = "correct horse battery"


async def ask(context: Context, operation: str, **arguments: Any) -> Any:
    request = json.dumps({"operation": operation, "arguments": arguments}).encode()
    return read_answer(operation, await answer(context, request))


async def refusal(context: Context, operation: str, **arguments: Any) -> str:
    with pytest.raises(AdminRefused) as caught:
        await ask(context, operation, **arguments)
    return str(caught.value)


@pytest.fixture
async def taro(context: Context) -> Context:
    await ask(context, "domain.add", name="example.org")
    await ask(context, "account.add", address="taro@example.org", password=PASSWORD)
    return context


async def test_domains(context: Context, journal: MemoryJournal) -> None:
    added = await ask(context, "domain.add", name="例え.jp", catch_all=None)
    assert added.name == "xn--r8jz45g.jp"
    await ask(
        context, "domain.add", name="Example.ORG", catch_all="taro@example.org", subaddress_separators="+-"
    )
    assert [domain.name for domain in await ask(context, "domain.list")] == ["example.org", "xn--r8jz45g.jp"]
    assert "already exists" in await refusal(context, "domain.add", name="example.org")
    assert "not a domain" in await refusal(context, "domain.add", name="example_org")
    assert "signs" in await refusal(context, "domain.add", name="example.net", subaddress_separators="a")
    await ask(context, "domain.remove", name="EXAMPLE.org")
    assert "no domain example.org" in await refusal(context, "domain.show", name="example.org")
    assert journal.kinds() == ["admin.domain.add", "admin.domain.add", "admin.domain.remove"]
    assert journal.entries[0].id == "xn--r8jz45g.jp" and journal.entries[0].fields["actor"] == "uid:0"


async def test_a_domain_with_accounts_stays(taro: Context) -> None:
    assert "1 accounts" in await refusal(taro, "domain.remove", name="example.org")
    details = await ask(taro, "domain.show", name="example.org")
    assert [account.address for account in details.accounts] == ["taro@example.org"]
    assert details.postmaster == "taro@example.org"
    await ask(taro, "alias.add", address="postmaster@example.org", targets=["taro@example.org"])
    assert (await ask(taro, "domain.show", name="example.org")).postmaster == "postmaster@example.org"


async def test_the_life_of_an_account(taro: Context, store: OpenStore, journal: MemoryJournal) -> None:
    hanako = await ask(
        taro,
        "account.add",
        address="Hanako@example.org",
        password=PASSWORD,
        display_name="花子",
        quota_octets=1000,
    )
    assert (hanako.address, hanako.display_name, hanako.quota_octets, hanako.state) == (
        "hanako@example.org",
        "花子",
        1000,
        "active",
    )
    before = await store.directory.password(hanako.id)
    assert (
        await ask(taro, "account.passwd", address="hanako@example.org", password=PASSWORD + "!")
    ).credential_version == 2
    assert before != await store.directory.password(hanako.id)
    assert (
        await ask(taro, "account.state", address="hanako@example.org", state="sending_held")
    ).state == "sending_held"
    assert (await ask(taro, "account.quota", address="hanako@example.org", quota_octets=0)).quota_octets == 0
    assert (await ask(taro, "account.remove", address="hanako@example.org")).state == "deleted"
    assert "grace period" in await refusal(
        taro, "account.add", address="hanako@example.org", password=PASSWORD
    )
    assert "bring it back" in await refusal(
        taro, "account.state", address="hanako@example.org", state="active"
    )
    assert "already deleted" in await refusal(taro, "account.remove", address="hanako@example.org")
    assert (await ask(taro, "account.undelete", address="hanako@example.org")).state == "active"
    assert "not deleted" in await refusal(taro, "account.undelete", address="hanako@example.org")
    await ask(taro, "account.remove", address="hanako@example.org", purge=True)
    assert "no account" in await refusal(taro, "account.show", address="hanako@example.org")
    assert [account.address for account in await ask(taro, "account.list", domain="example.org")] == [
        "taro@example.org"
    ]
    assert all(PASSWORD not in repr(entry) for entry in journal.entries)
    assert "admin.account.passwd" in journal.kinds() and "admin.account.purge" in journal.kinds()


async def test_accounts_that_cannot_be(taro: Context) -> None:
    assert "no domain example.net" in await refusal(
        taro, "account.add", address="a@example.net", password=PASSWORD
    )
    assert "already exists" in await refusal(
        taro, "account.add", address="TARO@example.org", password=PASSWORD
    )
    assert "at least 8" in await refusal(taro, "account.add", address="a@example.org", password="short")
    assert "contains taro" in await refusal(
        taro, "account.passwd", address="taro@example.org", password="taro-himitsu"
    )
    assert (
        await ask(taro, "account.passwd", address="taro@example.org", password="short", allow_weak=True)
    ).credential_version == 2
    assert "not an address" in await refusal(
        taro, "account.add", address="a b@example.org", password=PASSWORD
    )
    assert "IP address" in await refusal(taro, "account.add", address="a@[192.0.2.1]", password=PASSWORD)
    assert "0 for none" in await refusal(taro, "account.quota", address="taro@example.org", quota_octets=-1)
    await ask(taro, "alias.add", address="info@example.org", targets=["taro@example.org"])
    assert "is an alias" in await refusal(taro, "account.add", address="info@example.org", password=PASSWORD)


async def test_the_owner_of_postmaster_cannot_be_removed(taro: Context) -> None:
    assert "roles.postmaster" in await refusal(taro, "account.remove", address="taro@example.org", purge=True)


async def test_aliases(taro: Context, journal: MemoryJournal) -> None:
    alias = await ask(
        taro,
        "alias.add",
        address="Info@example.org",
        targets=["taro@example.org", "x@elsewhere.example", "taro@example.org"],
    )
    assert alias.targets == ("taro@example.org", "x@elsewhere.example") and alias.may_send
    assert "--replace" in await refusal(
        taro, "alias.add", address="info@example.org", targets=["taro@example.org"]
    )
    await ask(
        taro,
        "alias.add",
        address="info@example.org",
        targets=["taro+info@example.org"],
        may_send=False,
        replace=True,
    )
    assert [(a.address, a.targets, a.may_send) for a in await ask(taro, "alias.list")] == [
        ("info@example.org", ("taro+info@example.org",), False)
    ]
    assert "neither an account" in await refusal(
        taro, "alias.add", address="b@example.org", targets=["tarou@example.org"]
    )
    assert "itself" in await refusal(taro, "alias.add", address="b@example.org", targets=["b@example.org"])
    assert "at least one" in await refusal(taro, "alias.add", address="b@example.org", targets=[])
    assert "is an account" in await refusal(
        taro, "alias.add", address="taro@example.org", targets=["x@elsewhere.example"]
    )
    await ask(taro, "alias.remove", address="info@example.org")
    assert "no alias" in await refusal(taro, "alias.remove", address="info@example.org")
    assert journal.kinds()[-1] == "admin.alias.remove"


async def test_the_queue(taro: Context, store: OpenStore, journal: MemoryJournal) -> None:
    account = await ask(taro, "account.show", address="taro@example.org")
    content = store.spool.open_content()
    content.write(b"Subject: x\r\n\r\nbody\r\n")
    recipient = Recipient(Address.from_text("x@elsewhere.example"))
    envelope = Envelope(
        reverse_path=ReversePath(Address.from_text("taro@example.org")), recipients=(recipient,)
    )
    now = taro.clock.now_us()
    relay = RelayRecipient(
        recipient=recipient, next_hop="elsewhere.example", due_at_us=now + 10**6, expires_at_us=now + 10**9
    )
    await store.spool.accept(
        Acceptance(
            message_id="m1",
            envelope=envelope,
            content=content,
            prefix=b"",
            relays=(relay,),
            origin="submission",
            account_id=account.account.id,
        )
    )
    (message,) = await ask(taro, "queue.list")
    assert message == await ask(taro, "queue.show", message_id="m1")
    assert (message.reverse_path, message.account, message.size_octets) == (
        "taro@example.org",
        "taro@example.org",
        20,
    )
    (row,) = message.recipients
    assert (row.address, row.state, row.next_hop, row.attempts) == (
        "x@elsewhere.example",
        "waiting",
        "elsewhere.example",
        0,
    )
    assert (await ask(taro, "queue.hold", message_id="m1")).recipients == 1
    assert (await ask(taro, "queue.show", message_id="m1")).recipients[0].state == "held"
    assert (await ask(taro, "queue.release", message_id="m1")).recipients == 1
    assert (await ask(taro, "queue.retry")).recipients == 1
    assert await ask(taro, "queue.destinations") == []
    assert (await ask(taro, "queue.drop", message_id="m1")).recipients == 1
    for operation in ("queue.show", "queue.retry", "queue.hold", "queue.release", "queue.drop"):
        assert "no message" in await refusal(taro, operation, message_id="m1")
    assert [kind for kind in journal.kinds() if kind.startswith("admin.queue")] == [
        "admin.queue.hold",
        "admin.queue.release",
        "admin.queue.retry",
        "admin.queue.drop",
    ]


async def test_roles_need_an_owner_who_exists(context: Context) -> None:
    problems = await ask(context, "roles.check")
    assert [problem.path for problem in problems] == ["roles.postmaster", "roles.abuse"]
    await ask(context, "domain.add", name="example.org")
    await ask(context, "account.add", address="taro@example.org", password=PASSWORD)
    assert await ask(context, "roles.check") == []


@pytest.mark.parametrize(
    "request_octets",
    [
        b"",
        b"\xff\xfe",
        b"[]",
        b'{"operation": 7}',
        b'{"operation": "domain.list", "arguments": {"x": 1}}',
        b'{"operation": "domain.show"}',
        b'{"operation": "account.state", "arguments": {"address": "a@example.org", "state": "deleted"}}',
        b'{"operation": "nothing"}',
        b'{"operation": "domain.list", "more": 1}',
    ],
)
async def test_garbage_is_refused(context: Context, journal: MemoryJournal, request_octets: bytes) -> None:
    assert "refused" in json.loads(await answer(context, request_octets))
    assert journal.entries == [] and journal.faults == []


async def test_what_the_store_says_reaches_the_operator(
    context: Context, store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise DirectoryError("Somebody was faster.")

    monkeypatch.setattr(store.directory, "add_domain", refuse)
    assert await refusal(context, "domain.add", name="example.org") == "Somebody was faster."

    async def fail(*_: object) -> None:
        raise StoreUnavailable("disk full")

    monkeypatch.setattr(store.directory, "add_domain", fail)
    assert "disk full" in await refusal(context, "domain.add", name="example.org")


async def test_an_own_bug_is_a_fault_with_an_id(
    context: Context, store: OpenStore, journal: MemoryJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(store.directory, "domains", break_down)
    with pytest.raises(Fault, match="fault-1"):
        await ask(context, "domain.list")
    assert isinstance(journal.faults[0][1], ZeroDivisionError)


def test_operation_names_are_noun_and_verb() -> None:
    assert all(name.count(".") == 1 and name.islower() for name in OPERATIONS)


async def test_rights_to_send_in_other_names(taro: Context, journal: MemoryJournal) -> None:
    granted = await ask(taro, "account.may_send_as", address="taro@example.org", sender="Chair@Example.org")
    assert granted.may_send_as == ["chair@example.org"]
    await ask(taro, "account.may_send_as", address="taro@example.org", sender="@example.org")
    assert (await ask(taro, "account.show", address="taro@example.org")).may_send_as == [
        "@example.org",
        "chair@example.org",
    ]
    assert "only addresses of domains here" in await refusal(
        taro, "account.may_send_as", address="taro@example.org", sender="a@b.example"
    )
    assert "not a domain" in await refusal(
        taro, "account.may_send_as", address="taro@example.org", sender="@"
    )
    revoked = await ask(
        taro, "account.may_send_as", address="taro@example.org", sender="@example.org", revoke=True
    )
    assert revoked.may_send_as == ["chair@example.org"]
    assert "no right" in await refusal(
        taro, "account.may_send_as", address="taro@example.org", sender="@example.org", revoke=True
    )
    assert journal.entries[-1].fields["sender"] == "@example.org"
