"""Who is imitated, and who may well have that name."""

import pytest
from tests.stores.opened import OpenStore

from sekisho.core.message.header import HeaderSection
from sekisho.core.policy.impersonation import ImpersonationFinding
from sekisho.core.policy.reputation import NOTHING, ReputationFinding, of_event, standing
from sekisho.core.terms.address import Address
from sekisho.ports.directory import Alias, Domain
from sekisho.probes.impersonation import REFRESH_SECONDS, ImpersonationProbe
from sekisho.testing.clock import ManualClock, SeededDice

DAY_US = 86_400_000_000
BY_NAME = ImpersonationFinding("taro@club.example", "x@evil.example", "name")
BY_ADDRESS = ImpersonationFinding("taro@club.example", "x@evil.example", "address")


async def probe(clock: ManualClock | None = None) -> tuple[ImpersonationProbe, OpenStore]:
    clock = clock or ManualClock()
    store = OpenStore(clock, SeededDice())
    await store.directory.add_domain(Domain("club.example", 0))
    await store.directory.add_account(Address.from_text("taro@club.example"), "x", "", "Taro Yamada")
    await store.directory.add_account(Address.from_text("ann@club.example"), "x", "", "Ann")
    await store.directory.put_alias(Alias("old@club.example", ("taro@home.example",)))
    return ImpersonationProbe(store.directory, clock), store


def header(value: str) -> HeaderSection:
    return HeaderSection(f"From: {value}\r\n\r\n".encode())


@pytest.mark.parametrize(
    ("value", "finding"),
    [
        ("Taro Yamada <x@evil.example>", BY_NAME),
        ("TARO  yamada <x@evil.example>", BY_NAME),
        ('"taro@club.example" <x@evil.example>', BY_ADDRESS),
        ('"Taro (taro@CLUB.example)" <x@evil.example>', BY_ADDRESS),
        ("Ann <x@evil.example>", None),  # one of very many
        ("Hanako Yamada <x@evil.example>", None),
        ('"me@evil.example" <x@evil.example>', None),
        ("Taro Yamada <taro@club.example>", None),  # the rule about our own domains looks at that
        ("Taro Yamada <taro@home.example>", None),  # an alias leads there
        ("x@evil.example", None),
    ],
)
async def test_who_is_imitated(value: str, finding: ImpersonationFinding | None) -> None:
    looked, _ = await probe()
    author = Address.from_text(value.rpartition("<")[2].rstrip(">"))
    assert await looked.look(header(value), author, None) == finding


async def test_whom_somebody_here_trusts_may_have_that_name() -> None:
    looked, _ = await probe()
    author = Address.from_text("x@evil.example")
    unknown = standing("client:192.0.2.7", NOTHING, DAY_US, DAY_US)
    stranger = ReputationFinding(
        client=unknown,
        network=unknown,
        pairs={1: standing("pair:x 1", of_event("accepted", DAY_US), DAY_US, DAY_US)},
    )
    assert await looked.look(header("Taro Yamada <x@evil.example>"), author, stranger) == BY_NAME
    trusted = standing("pair:x 1", of_event("cleared", DAY_US), DAY_US, DAY_US)
    assert (
        await looked.look(
            header("Taro Yamada <x@evil.example>"),
            author,
            ReputationFinding(client=unknown, network=unknown, pairs={1: trusted}),
        )
        is None
    )
    written = standing("written:x", of_event("written", DAY_US), DAY_US, DAY_US)
    assert (
        await looked.look(
            header("Taro Yamada <x@evil.example>"),
            author,
            ReputationFinding(client=unknown, network=unknown, written=written),
        )
        is None
    )


async def test_new_names_are_known_after_a_while() -> None:
    clock = ManualClock()
    looked, store = await probe(clock)
    author, value = Address.from_text("x@evil.example"), header("Jiro Yamada <x@evil.example>")
    assert await looked.look(value, author, None) is None
    await store.directory.add_account(Address.from_text("jiro@club.example"), "x", "", "Jiro Yamada")
    clock.advance(REFRESH_SECONDS)
    found = await looked.look(value, author, None)
    assert found is not None and found.account == "jiro@club.example"
