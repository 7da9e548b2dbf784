from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.core.policy.routing import (
    MAX_MX_HOSTS,
    Route,
    choose_addresses,
    choose_mx,
    explain_no_address,
    is_address_literal,
    next_hop_for,
    parse_route,
    worst_hope,
)
from sekisho.core.terms.dns import Answer, DnsStatus, Mx, Record
from sekisho.core.terms.reply import Reply
from sekisho.testing.clock import SeededDice


def answer(*records: Record, status: DnsStatus = DnsStatus.NOERROR) -> Answer:
    return Answer(name="x.example", rtype="MX", status=status, records=records)


def keep(items: object) -> None:
    """Dice that leave everything as it is."""


def test_routes() -> None:
    routes = {"x.example": "smart.example:587", "*": "other:25"}
    assert next_hop_for("x.example", routes) == "smart.example:587"
    assert next_hop_for("y.example", routes) == "other:25" and next_hop_for("y.example", {}) == "y.example"
    assert next_hop_for("[192.0.2.1]", routes) == "[192.0.2.1]"


@pytest.mark.parametrize(
    ("text", "route"),
    [
        ("smart.example:587", Route("smart.example", 587)),
        ("[smart.example]:587", Route("smart.example", 587)),
        ("[2001:db8::1]:25", Route("2001:db8::1", 25)),
        ("x.example", None),
        ("[192.0.2.1]", None),
        ("[IPv6:2001:db8::1]", None),
        ("2001:db8::1", None),
        ("host:", None),
        (":25", None),
    ],
)
def test_route_text(text: str, route: Route | None) -> None:
    assert parse_route(text) == route
    assert is_address_literal(text) is (text[0] == "[" and route is None)


def test_order_and_equals() -> None:
    records = (Mx(20, "c"), Mx(10, "A."), Mx(10, "b"), Mx(5, ""))
    assert choose_mx(answer(*records), "me", keep) == (Mx(10, "a"), Mx(10, "b"), Mx(20, "c"))
    firsts = {choose_mx(answer(*records), "me", SeededDice(seed).shuffle)[0] for seed in range(20)}  # type: ignore[index]  # hosts, not a reply
    assert firsts == {Mx(10, "a"), Mx(10, "b")}


@pytest.mark.parametrize(
    ("given_answer", "code"),
    [
        (answer(Mx(0, "")), "556 5.1.10"),
        (answer(Mx(0, ""), Mx(5, "")), "556 5.1.10"),
        (answer(status=DnsStatus.NXDOMAIN), "550 5.1.2"),
        (answer(status=DnsStatus.SERVFAIL), "451 4.4.3"),
        (answer(status=DnsStatus.TIMEOUT), "451 4.4.3"),
        (answer(status=DnsStatus.BOGUS), "451 4.4.3"),
        (answer(Mx(10, "ME"), Mx(20, "b")), "554 5.4.6"),
    ],
)
def test_no_hosts(given_answer: Answer, code: str) -> None:
    assert str(choose_mx(given_answer, "me", keep)).startswith(code)


def test_we_stand_in_the_list() -> None:
    assert choose_mx(answer(Mx(5, "a"), Mx(10, "me"), Mx(10, "b"), Mx(20, "c")), "Me", keep) == (Mx(5, "a"),)


def test_implicit_mx() -> None:
    assert choose_mx(answer(status=DnsStatus.NODATA), "me", keep) == (Mx(0, "x.example"),)


@given(
    st.lists(
        st.builds(Mx, st.integers(0, 65535), st.sampled_from(["", "a", "b", "me"])), min_size=1, max_size=40
    )
)
def test_any_records(records: list[Mx]) -> None:
    chosen = choose_mx(answer(*records), "me", SeededDice().shuffle)
    if isinstance(chosen, Reply):
        assert chosen.is_permanent
    else:
        assert 1 <= len(chosen) <= MAX_MX_HOSTS
        assert [mx.preference for mx in chosen] == sorted(mx.preference for mx in chosen)
        assert all(mx.host not in ("", "me") for mx in chosen)


def test_addresses() -> None:
    six = Answer(
        name="h", rtype="AAAA", status=DnsStatus.NOERROR, records=(IPv6Address("::1"), IPv6Address("::2"))
    )
    four = Answer(name="h", rtype="A", status=DnsStatus.NOERROR, records=(IPv4Address("1.1.1.1"),))
    none = Answer(name="h", rtype="A", status=DnsStatus.NODATA)
    assert choose_addresses(six, four) == (IPv6Address("::1"), IPv4Address("1.1.1.1"), IPv6Address("::2"))
    assert choose_addresses(None, four) == (IPv4Address("1.1.1.1"),) and choose_addresses(None, none) == ()
    assert explain_no_address("h", none, none).code == 550
    assert explain_no_address("h", Answer(name="h", rtype="AAAA", status=DnsStatus.TIMEOUT), none).code == 451


def test_who_speaks_for_all() -> None:
    no, later, gone = Reply.of(550, None, "no"), Reply.of(450, None, "later"), Reply.of(421, None, "gone")
    assert worst_hope([]) == -1 and worst_hope([no, no]) == 1
    assert worst_hope([later, no]) == 0 and worst_hope([later, gone, no]) == 1


@pytest.mark.parametrize(
    "host", ["a..b", ".a", "x" * 64, "a\\032b", "a b", "\u00e9.example", ".".join(["x" * 60] * 5)]
)
def test_hosts_that_are_no_names_are_passed_over(host: str) -> None:
    assert choose_mx(answer(Mx(1, host), Mx(2, "b_c.example")), "me", keep) == (Mx(2, "b_c.example"),)
    assert str(choose_mx(answer(Mx(1, host)), "me", keep)).startswith("550 5.4.4")
