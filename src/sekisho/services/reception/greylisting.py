"""Greylisting at work: what verdicts want remembered, the counters, and the clients that may wait for their
reply instead (taRgrey)."""

from dataclasses import dataclass

from sekisho.core.policy.greylist import (
    BOUNDS_US,
    SECOND_US,
    GreylistEffect,
    GreylistRules,
    GreylistTry,
    after_passing,
    after_waiting,
)
from sekisho.ports.clock import Clock
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.greylist import Greylist
from sekisho.ports.journal import Journal
from sekisho.ports.metrics import Metrics
from sekisho.services.reception.outwaiting import Outwait

_BOUND_NAMES = ("2m", "5m", "15m", "1h", "4h", "24h")
_SEEN_AGAIN_US = 3_600 * SECOND_US  # who is known is written down once an hour at most


@dataclass(frozen=True, slots=True)
class GreylistPorts:
    greylist: Greylist
    clock: Clock
    journal: Journal
    metrics: Metrics


class Greylisting:
    """One per worker. `tarpit_connections`: so many clients wait at the same time."""

    def __init__(self, rules: GreylistRules, tarpit_connections: int, ports: GreylistPorts) -> None:
        self._rules, self._ports = rules, ports
        self._free = tarpit_connections

    async def apply(self, effect: GreylistEffect, tried: GreylistTry | None) -> bool:
        """Remember it; `tried` is what the verdict went by. False: a sender that should wait could not be
        written down. It would wait for ever, so that it must not."""
        now_us, rules = self._ports.clock.now_us(), self._rules
        has_to_wait = effect.what in ("wait", "early")
        if effect.what == "seen" and tried is not None and now_us - tried.last_at_us < _SEEN_AGAIN_US:
            return True
        try:
            if has_to_wait:
                await self._ports.greylist.change(
                    effect.key, lambda known: after_waiting(known, now_us, rules)
                )
            else:
                await self._ports.greylist.change(effect.key, lambda known: after_passing(known, now_us))
        except StoreUnavailable as error:
            self._ports.journal.fault("greylist", error)
            return not has_to_wait
        self._count(effect)
        return True

    def _count(self, effect: GreylistEffect) -> None:
        names = {"wait": "delayed", "early": "too_early", "back": "came_back"}
        if effect.what in names:
            self._ports.metrics.count("sekisho_greylist_total", result=names[effect.what])
        if effect.what == "back":
            within = next(
                (
                    name
                    for name, bound in zip(_BOUND_NAMES, BOUNDS_US, strict=True)
                    if effect.waited_us <= bound
                ),
                "later",
            )
            self._ports.metrics.count("sekisho_greylist_returns_total", within=within)

    def spared(self) -> None:
        """A message looked like a code, so that it did not have to wait."""
        self._ports.metrics.count("sekisho_greylist_total", result="code")

    async def hold(self, key: str, outwait: Outwait) -> bool:
        """Let a client wait out the delay, if there is room; True: it did, and that counts as having come
        back."""
        if not self._rules.tarpit_us or self._free <= 0:
            return False
        self._free -= 1
        try:
            stayed = await outwait(self._rules.tarpit_us / SECOND_US)
        finally:
            self._free += 1
        self._ports.metrics.count("sekisho_greylist_total", result="stayed" if stayed else "left")
        if not stayed:
            return False
        now_us = self._ports.clock.now_us()
        try:
            await self._ports.greylist.change(key, lambda known: after_passing(known, now_us))
        except StoreUnavailable as error:
            self._ports.journal.fault("greylist", error)  # it waited all the same
        return True
