"""What the relay knows of other hosts' TLS: policies, hosts, sessions of a day."""

from dataclasses import replace
from typing import Any

from sekisho.core.tlspolicy.stscache import StsEntry
from sekisho.core.tlspolicy.tlsrpt import FailureKey, PolicyCounts
from sekisho.ports.hoptls import HopSession, KnownHost
from sekisho.testing.clock import ManualClock

DAY_US = 86_400_000_000
NOON = 20_000 * DAY_US + DAY_US // 2
TEXT = b"version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 604800\n"


def entry(
    domain: str, tried_at_us: int = NOON, *, used_at_us: int = NOON, lives_us: int = 7 * DAY_US
) -> StsEntry:
    return StsEntry(
        domain=domain,
        policy_id="1",
        text=TEXT,
        expires_at_us=tried_at_us + lives_us,
        tried_at_us=tried_at_us,
        used_at_us=used_at_us,
    )


async def test_policies_are_kept_and_replaced(store: Any) -> None:
    assert await store.sts_policies.find("example.com") is None
    await store.sts_policies.put(entry("example.com"))
    assert await store.sts_policies.find("example.com") == entry("example.com")
    later = replace(entry("example.com"), tried_at_us=NOON + 1, failure="sts-policy-fetch-error")
    await store.sts_policies.put(later)
    assert await store.sts_policies.find("example.com") == later


async def test_use_is_noted_once_a_day(store: Any) -> None:
    await store.sts_policies.put(entry("example.com"))
    await store.sts_policies.touch("example.com", NOON + 5)
    assert (await store.sts_policies.find("example.com")).used_at_us == NOON
    await store.sts_policies.touch("example.com", NOON + DAY_US)
    assert (await store.sts_policies.find("example.com")).used_at_us == NOON + DAY_US
    await store.sts_policies.touch("unknown.example", NOON)
    assert await store.sts_policies.find("unknown.example") is None


async def test_what_is_due_for_a_fetch_and_what_has_ended(store: Any) -> None:
    for domain, tried, used in (("b.example", 2, 0), ("a.example", 1, 0), ("idle.example", 0, -90 * DAY_US)):
        await store.sts_policies.put(entry(domain, NOON + tried, used_at_us=NOON + used))
    await store.sts_policies.put(entry("ended.example", NOON - 9 * DAY_US))
    await store.sts_policies.put(entry("short.example", NOON + DAY_US // 2, lives_us=DAY_US // 4))
    since_us, tomorrow = NOON - 60 * DAY_US, NOON + DAY_US + 5
    found = await store.sts_policies.due(tomorrow, since_us, 10)
    assert [one.domain for one in found] == ["a.example", "b.example"]  # the short-lived one has ended
    assert len(await store.sts_policies.due(tomorrow, since_us, 1)) == 1
    found = await store.sts_policies.due(NOON + DAY_US // 2 + DAY_US // 5, since_us, 1)
    assert [one.domain for one in found] == ["short.example"]  # it is due before those that are older
    assert await store.sts_policies.sweep(NOON + 5, 100) == 1
    assert await store.sts_policies.find("ended.example") is None
    assert await store.sts_policies.sweep(NOON + 5, 3) == 1
    assert await store.sts_policies.find("idle.example") is None


async def test_hosts_and_their_days(store: Any) -> None:
    assert await store.known_hosts.find("mx.example.com") is None
    for at_us in (NOON, NOON + 1, NOON + DAY_US, NOON + DAY_US + 1):
        await store.known_hosts.note("mx.example.com", "TLSv1.3", at_us)
    known = KnownHost(host="mx.example.com", first_us=NOON, last_us=NOON + DAY_US, days=2, version="TLSv1.3")
    assert await store.known_hosts.find("mx.example.com") == known
    await store.known_hosts.note("old.example", "TLSv1.2", NOON - 40 * DAY_US)
    assert await store.known_hosts.sweep(NOON - 30 * DAY_US, 100) == 1
    assert await store.known_hosts.sweep(NOON - 30 * DAY_US, 0) == 1
    await store.known_hosts.note("mx.example.com", "TLSv1.3", NOON)
    assert await store.known_hosts.forget("mx.example.com") is True
    assert await store.known_hosts.forget("mx.example.com") is False


async def test_sessions_are_counted_by_policy_and_day(store: Any, clock: ManualClock) -> None:
    today = clock.now_us() // DAY_US
    sts = HopSession(
        policy_type="sts",
        policy_domain="example.com",
        policy_string=("version: STSv1", "mode: testing"),
        mx_host=("mx.example.com",),
    )
    expired = FailureKey(result_type="certificate-expired", receiving_mx_hostname="mx.example.com")
    failing = HopSession(
        policy_type="sts",
        policy_domain="example.com",
        policy_string=sts.policy_string,
        mx_host=sts.mx_host,
        failure=expired,
    )
    for _ in range(2):
        for session in (
            sts,
            sts,
            failing,
            HopSession(policy_type="no-policy-found", policy_domain="a.example"),
        ):
            store.hop_sessions.count(session)
        await store.hop_sessions.flush()
    assert await store.hop_sessions.days() == [today]
    assert await store.hop_sessions.of_day(today) == [
        PolicyCounts(policy_type="no-policy-found", policy_domain="a.example", successes=2),
        PolicyCounts(
            policy_type="sts",
            policy_domain="example.com",
            policy_string=sts.policy_string,
            mx_host=sts.mx_host,
            successes=4,
            failures={expired: 2},
        ),
    ]
    await store.hop_sessions.forget(today, "example.com")
    assert [one.policy_domain for one in await store.hop_sessions.of_day(today)] == ["a.example"]
    assert await store.hop_sessions.sweep(today + 1) == 1
    assert await store.hop_sessions.days() == []
