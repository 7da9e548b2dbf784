import pytest

from sekisho.adapters.dns.cache import AnswerCache, TtlBounds
from sekisho.core.terms.dns import Answer, DnsStatus
from sekisho.testing.clock import ManualClock


def _answer(name: str = "a.example", ttl: int = 100, status: DnsStatus = DnsStatus.NOERROR) -> Answer:
    return Answer(name=name, rtype="A", status=status, ttl_seconds=ttl)


@pytest.mark.parametrize(
    ("answer", "seconds"),
    [
        (_answer(ttl=100), 100),
        (_answer(ttl=0), 2),
        (_answer(ttl=10_000), 1000),
        (_answer(ttl=10_000, status=DnsStatus.NXDOMAIN), 500),
        (_answer(ttl=0, status=DnsStatus.NODATA), 2),
        (_answer(status=DnsStatus.SERVFAIL, ttl=0), 5),
        (_answer(status=DnsStatus.TIMEOUT, ttl=0), 5),
        (_answer(status=DnsStatus.BOGUS, ttl=0), 5),
    ],
)
def test_times_are_bounded(answer: Answer, seconds: int) -> None:
    clock = ManualClock()
    cache = AnswerCache(10, clock.monotonic, TtlBounds(least=2, most=1000, most_negative=500, failure=5))
    cache.put(("a.example", "A"), answer)
    clock.advance(seconds - 0.5)
    kept = cache.get(("a.example", "A"))
    assert kept is not None and kept.status is answer.status
    assert kept.ttl_seconds == 0  # less than a second is left
    clock.advance(0.5)
    assert cache.get(("a.example", "A")) is None
    assert len(cache) == 0


def test_the_least_recently_used_goes_first() -> None:
    cache = AnswerCache(2, ManualClock().monotonic)
    for name in ("a", "b"):
        cache.put((name, "A"), _answer(name))
    cache.get(("a", "A"))
    cache.put(("c", "A"), _answer("c"))
    assert [cache.get((name, "A")) is not None for name in "abc"] == [True, False, True]


def test_no_entries_no_cache() -> None:
    cache = AnswerCache(0, ManualClock().monotonic)
    cache.put(("a", "A"), _answer())
    assert len(cache) == 0
