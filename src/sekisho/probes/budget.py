"""What one message may cost in DNS: so many questions, so many seconds, over all its checks (THREATS 47)."""

import asyncio
from typing import Protocol

from sekisho.core.terms.dns import Answer, DnsStatus, RecordType, Resolver

MAX_QUESTIONS = 150
# RFC 7208 §4.6.4 wants at least 20 seconds for SPF; the client waits 10 minutes for its reply (RFC 5321
# §4.5.3.2.6).
MAX_SECONDS = 20.0


class CachingResolver(Resolver, Protocol):
    def cached(self, name: str, rtype: RecordType) -> Answer | None:
        """The answer if it is at hand, without asking."""
        ...


class NotAtHand(Exception):
    """The answer would have to be waited for."""


class AtHandResolver:
    """Answers what is at hand, and raises NotAtHand for everything else."""

    def __init__(self, resolver: CachingResolver) -> None:
        self._resolver = resolver

    async def resolve(self, name: str, rtype: RecordType) -> Answer:
        answer = self._resolver.cached(name, rtype)
        if answer is None:
            raise NotAtHand
        return answer


class BudgetedResolver:
    """A `Resolver` for one message. What exceeds the budget is a TIMEOUT: could not know, so temperror.

    The time runs from the first question that has to wait. Answers at hand cost nothing.
    """

    def __init__(
        self, resolver: CachingResolver, *, questions: int = MAX_QUESTIONS, seconds: float = MAX_SECONDS
    ) -> None:
        self._resolver = resolver
        self._seconds = seconds
        self._deadline: float | None = None
        self.questions_left = questions
        self.at_hand: Resolver = AtHandResolver(resolver)

    async def resolve(self, name: str, rtype: RecordType) -> Answer:
        answer = self._resolver.cached(name, rtype)
        if answer is not None:
            return answer
        if self.questions_left <= 0:
            return Answer(name=name, rtype=rtype, status=DnsStatus.TIMEOUT)
        self.questions_left -= 1
        if self._deadline is None:
            self._deadline = asyncio.get_running_loop().time() + self._seconds
        try:
            async with asyncio.timeout_at(self._deadline):
                return await self._resolver.resolve(name, rtype)
        except TimeoutError:
            return Answer(name=name, rtype=rtype, status=DnsStatus.TIMEOUT)
