"""The second factor of an account: a code by the clock, or one of the recovery codes that were written down
when it was made."""

import base64
import hmac
import re
import secrets
from collections.abc import Callable
from typing import Literal

import msgspec

from sekisho.core.sasl.totp import SECRET_OCTETS, matching_step
from sekisho.ports.clock import Clock
from sekisho.ports.credentials import Credentials, SecondFactor

RECOVERY_CODES = 10
_CODE_OCTETS = 10  # 80 bits: nobody tries them all
_CODE_GROUP = 4
_KEY = "recovery"  # the purpose of the server's key that recovery codes are kept under
_TYPED = re.compile(r"[\s-]")


class SecondFactors:
    """`octets` gives random ones."""

    def __init__(
        self, credentials: Credentials, clock: Clock, octets: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._credentials, self._clock, self._octets = credentials, clock, octets

    async def begin(self, account_id: int) -> bytes:
        """The secret of a new second factor, which does not count before `confirm`. Takes the place of one
        that was begun before."""
        secret = self._octets(SECRET_OCTETS)
        await self._credentials.set_second_factor(account_id, SecondFactor(secret))
        return secret

    async def confirm(self, account_id: int, typed: str) -> list[str]:
        """It counts from now on. The recovery codes, which are kept only as hashes; none if the code does not
        fit or nothing was begun."""
        factor = await self._credentials.second_factor(account_id)
        now_us = self._clock.now_us()
        step = matching_step(factor.secret, typed, now_us, factor.last_step) if factor else None
        if factor is None or step is None:
            return []
        codes = [
            _grouped(base64.b32encode(self._octets(_CODE_OCTETS)).decode().lower())
            for _ in range(RECOVERY_CODES)
        ]
        digests = tuple([await self._digest(code) for code in codes])
        confirmed = msgspec.structs.replace(factor, confirmed_at_us=now_us, last_step=step, recovery=digests)
        await self._credentials.set_second_factor(account_id, confirmed)
        return codes

    async def check(self, account_id: int, typed: str) -> Literal["code", "recovery"] | None:
        """Which of the two fitted. Each code fits once, whoever else asks at the same moment (THREATS 18)."""
        factor = await self._credentials.second_factor(account_id)
        if factor is None or not factor.counts:
            return None
        step = matching_step(factor.secret, typed, self._clock.now_us(), factor.last_step)
        if step is not None:
            return "code" if await self._credentials.use_step(account_id, step) else None
        digest = await self._digest(typed)
        if any(hmac.compare_digest(digest, known) for known in factor.recovery):
            return "recovery" if await self._credentials.use_recovery(account_id, digest) else None
        return None

    async def _digest(self, code: str) -> bytes:
        key = await self._credentials.server_key(_KEY)
        return hmac.digest(key, _TYPED.sub("", code).lower().encode("utf-8", "replace"), "sha256")


def _grouped(code: str) -> str:
    return "-".join(code[at : at + _CODE_GROUP] for at in range(0, len(code), _CODE_GROUP))
