"""MTA-STS policies for the relay: looked up, fetched by one at a time, kept beyond restarts, refreshed (RFC
8461)."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from sekisho.core.terms.dns import Answer, DnsStatus, Resolver
from sekisho.core.tlspolicy.sts import StsError, StsPolicy, find_sts_id
from sekisho.core.tlspolicy.stscache import (
    IDLE_SECONDS,
    MAX_DOMAINS,
    StsEntry,
    fetched,
    not_fetched,
    wants_fetch,
)
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.hoptls import FetchFailed, PolicySource, StsPolicies
from sekisho.ports.journal import Entry, Journal

REFRESHED_AT_ONCE = 8  # fetches of one round; the next round goes on with the others
_SECOND_US = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StsFinding:
    """What holds for a domain now. `failure`: the result type of RFC 8460 §4.3 of what went wrong.
    `is_kept`: a policy from before, which nobody confirms now; `is_unknown`: whether there is one cannot be
    found out."""

    policy: StsPolicy | None = None
    failure: str = ""
    reason: str = ""
    is_kept: bool = False
    is_unknown: bool = False


class StsDesk:
    """One per worker: fetches under way outlive settings."""

    def __init__(
        self, resolver: Resolver, policies: StsPolicies, source: PolicySource, clock: Clock, journal: Journal
    ) -> None:
        self._resolver, self._policies, self._source = resolver, policies, source
        self._clock, self._journal = clock, journal
        self._under_way: dict[str, asyncio.Task[StsEntry]] = {}

    async def find(self, domain: str) -> StsFinding:
        """The policy to apply to mail for `domain`, fetched if need be. Never raises for what others do;
        raises StoreUnavailable when what is kept cannot be read: then nothing is known.

        Without a live policy whatever goes wrong means that there is none (RFC 8461 §3.3); with one it is
        applied.
        """
        now_us = self._clock.now_us()
        entry = await self._policies.find(domain)
        answer = await self._resolver.resolve(f"_mta-sts.{domain}", "TXT")
        policy_id, trouble = _read(answer)
        if policy_id is not None and wants_fetch(entry, policy_id, now_us):
            entry = await self._fetch_once(domain, policy_id, entry)
            now_us = self._clock.now_us()
        policy = entry.policy(now_us) if entry is not None else None
        if entry is None or (policy is None and policy_id is None):
            failure = "sts-policy-invalid" if trouble else ""
            return StsFinding(failure=failure, reason=trouble, is_unknown=answer.is_unknown)
        with suppress(StoreUnavailable):
            await self._policies.touch(domain, now_us)
        if policy is None:
            return StsFinding(failure=entry.failure, is_unknown=entry.failure != "sts-policy-invalid")
        return StsFinding(policy=policy, reason=trouble, is_kept=policy_id != entry.policy_id)

    async def _fetch_once(self, domain: str, policy_id: str, before: StsEntry | None) -> StsEntry:
        """Everybody who needs it waits for the same fetch, which goes on when one of them does not."""
        task = self._under_way.get(domain)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._fetch_and_keep(domain, policy_id, before))
            self._under_way[domain] = task
            task.add_done_callback(lambda _: self._under_way.pop(domain, None))
        return await asyncio.shield(task)

    async def _fetch_and_keep(self, domain: str, policy_id: str, before: StsEntry | None) -> StsEntry:
        entry = await self._fetch(domain, policy_id, before)
        with suppress(StoreUnavailable):  # it holds now; the next one fetches it again
            await self._policies.put(entry)
        return entry

    async def _fetch(self, domain: str, policy_id: str, before: StsEntry | None) -> StsEntry:
        try:
            text = await self._source.fetch(domain)
            entry = fetched(before, domain, policy_id, text, self._clock.now_us())
        except FetchFailed as error:
            failure, reason = error.failure, str(error)
        except StsError as error:
            failure, reason = "sts-policy-invalid", str(error)
        else:
            policy = entry.policy(self._clock.now_us())
            mode = policy.mode if policy is not None else "none"
            self._journal.record(Entry("relay.policy_fetched", "", {"domain": domain, "mode": mode}))
            return entry
        self._journal.record(
            Entry("relay.policy_failed", "", {"domain": domain, "result": failure, "error": reason})
        )
        return not_fetched(before, domain, failure, self._clock.now_us())

    async def refresh(self) -> None:
        """One round: the live policies that were not fetched for a day, or half their life. Raises
        StoreUnavailable."""
        now_us = self._clock.now_us()
        used_since_us = now_us - IDLE_SECONDS * _SECOND_US
        due = await self._policies.due(now_us, used_since_us, REFRESHED_AT_ONCE)
        await asyncio.gather(*(self._refresh(entry) for entry in due))
        await self._policies.sweep(now_us, MAX_DOMAINS)

    async def _refresh(self, entry: StsEntry) -> None:
        """The record may have gone, and the policy holds all the same: its host is asked in any case."""
        policy_id, _ = _read(await self._resolver.resolve(f"_mta-sts.{entry.domain}", "TXT"))
        await self._fetch_once(entry.domain, policy_id or entry.policy_id, entry)

    async def close(self) -> None:
        for task in list(self._under_way.values()):
            task.cancel()
        await asyncio.gather(*self._under_way.values(), return_exceptions=True)


def _read(answer: Answer) -> tuple[str | None, str]:
    """The record's id, None if there is none or it cannot be known; and what is wrong with it."""
    if answer.status is not DnsStatus.NOERROR:
        return None, ""
    texts: Sequence[bytes] = [record for record in answer.records if isinstance(record, bytes)]
    try:
        return find_sts_id(texts), ""
    except StsError as error:
        return None, str(error)
