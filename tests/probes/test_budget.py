import asyncio
from typing import Any

import pytest

from sekisho.core.terms.dns import Answer, DnsStatus, RecordType
from sekisho.probes.budget import BudgetedResolver, NotAtHand
from sekisho.testing.zones import ZoneResolver


class _Silent(ZoneResolver):
    async def resolve(self, name: str, rtype: RecordType) -> Any:
        await super().resolve(name, rtype)
        await asyncio.Event().wait()


class _Full(_Silent):
    def cached(self, name: str, rtype: RecordType) -> Answer | None:
        return Answer(name=name, rtype=rtype, status=DnsStatus.NODATA)


async def test_only_so_many_questions() -> None:
    inner = ZoneResolver("a.example A 192.0.2.1")
    budgeted = BudgetedResolver(inner, questions=2)
    statuses = [(await budgeted.resolve("a.example", "A")).status for _ in range(3)]
    assert statuses == [DnsStatus.NOERROR, DnsStatus.NOERROR, DnsStatus.TIMEOUT]
    assert len(inner.questions) == 2


async def test_only_so_many_seconds_over_all_questions() -> None:
    inner = _Silent()
    budgeted = BudgetedResolver(inner, seconds=0.01)
    for name in ("a.example", "b.example", "c.example"):
        assert (await budgeted.resolve(name, "A")).status is DnsStatus.TIMEOUT
    assert budgeted.questions_left == 147


async def test_answers_at_hand_are_free() -> None:
    budgeted = BudgetedResolver(_Full(), questions=0, seconds=0)
    assert (await budgeted.resolve("a.example", "A")).status is DnsStatus.NODATA


async def test_what_is_not_at_hand_is_said_at_once() -> None:
    inner = ZoneResolver("a.example A 192.0.2.1")
    with pytest.raises(NotAtHand):
        await BudgetedResolver(inner).at_hand.resolve("a.example", "A")
    assert inner.questions == []
    assert (await BudgetedResolver(_Full()).at_hand.resolve("a.example", "A")).status is DnsStatus.NODATA
