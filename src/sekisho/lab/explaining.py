"""Why it happened: the lab asks the server itself, as an operator does with `sekisho why`."""

import asyncio
import re
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from sekisho.lab.outcomes import OutcomeCase
from sekisho.lab.stage import Stage
from sekisho.ports.lab import Complaint

_ID = re.compile(r"(?:Accepted as |\(id )([A-Za-z0-9._-]+)")
_METHODS = ("iprev", "spf", "dkim", "arc", "dmarc")
SETTLED_SECONDS = 1.2  # the ledger is written once a second; who asks earlier makes it hurry, and waits
_MOST_ASKED = 25  # of one step; where the scene expects a rule, all are


class Explainer:
    """Fills in `server_id`, `rule`, `because`, `authentication_results` and `why` of cases, a little later
    than they happen."""

    def __init__(self, stage: Stage, notice: Callable[[OutcomeCase], None]) -> None:
        self._stage = stage
        self._notice = notice
        self._asked: dict[str, int] = {}  # by step
        self._waiting: deque[tuple[float, OutcomeCase]] = deque()

    def note(self, case: OutcomeCase) -> None:
        """The id in the reply of this case is to be asked about."""
        found = _ID.search(case.reply.text if case.reply is not None else case.said)
        if found is not None and found[1] != case.server_id:
            case.server_id = found[1]
            if self._is_worth_asking(case):
                self._waiting.append((time.monotonic() + SETTLED_SECONDS, case))

    async def catch_up(self) -> None:
        """Ask about what is old enough. Raises RehearsalFailed."""
        while self._waiting and self._waiting[0][0] <= time.monotonic():
            await self._explain(self._waiting.popleft()[1])

    async def finish(self) -> None:
        """Ask about all the rest."""
        if self._waiting:
            await asyncio.sleep(max(0.0, self._waiting[-1][0] - time.monotonic()))
        await self.catch_up()

    async def _explain(self, case: OutcomeCase) -> None:
        """A refusal that `why` knows nothing about is a fault of the server."""
        answer = await self._stage.server.ask("ledger.why", {"subject": case.server_id, "limit": 1})
        if answer["stories"]:
            self._take(case, answer["stories"][0])
        elif case.reply is not None and case.reply.code >= 400:
            case.problem = Complaint("`sekisho why` knows nothing about {id}.", {"id": case.server_id})
        self._notice(case)

    def _is_worth_asking(self, case: OutcomeCase) -> bool:
        step = case.act.step
        self._asked[step.name] = self._asked.get(step.name, 0) + 1
        return self._asked[step.name] <= _MOST_ASKED or bool(step.expect and step.expect.rule)

    def _take(self, case: OutcomeCase, story: dict[str, Any]) -> None:
        fields: dict[str, Any] = {}
        for entry in story["entries"]:
            fields |= {name: value for name, value in entry["fields"].items() if value not in ("", None)}
        case.rule = str(fields.get("rule") or "")
        case.because = str(fields.get("because") or "")
        if case.is_unread and fields.get("verdict") == "junk":
            case.outcome = "junk"
        case.authentication_results = " ".join(
            f"{name}={fields[name]}" for name in _METHODS if fields.get(name)
        )
        why = story["why"]
        if why is not None:
            case.why = Complaint(why["text"], {name: str(value) for name, value in why["values"].items()})
