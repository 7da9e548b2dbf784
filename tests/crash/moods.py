"""How the rest of the world treats each message, by its number: the same in each run with the same seed."""

import random
import re
import threading
from collections import Counter

from tests.crash.sink import VANISH, Sink

NUMBER = re.compile(r"user(\d+)x")
MOODS = {"take": 60, "later": 12, "refuse": 8, "break": 8, "vanish": 6, "early": 6}


class Moods:
    """`refuse` is for ever, the others pass: `later` after two tries, the rest after one.

    `break`: the connection ends in place of the reply; `vanish`: the same, but the message was taken (the one
    window in which a duplicate must be); `early`: 250 behind the 354, and nothing is taken.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._tries: Counter[int] = Counter()
        self._lock = threading.Lock()

    def govern(self, sink: Sink) -> None:
        sink.behave, sink.at_data = self.reply, self.at_data

    def of(self, number: int) -> str:
        return random.Random(f"{self._seed}/{number}").choices(list(MOODS), list(MOODS.values()))[0]

    def at_data(self, recipients: list[str]) -> bytes:
        found = NUMBER.match(recipients[0]) if recipients else None
        number = int(found[1]) if found else 0
        if self.of(number) != "early":
            return b"354 go on\r\n"
        with self._lock:
            self._tries[number] += 1
            return (
                b"354 go on\r\n250 2.0.0 taken already\r\n" if self._tries[number] == 1 else b"354 go on\r\n"
            )

    def reply(self, number: int, _port: int) -> bytes | None:
        mood = self.of(number)
        if mood == "refuse":
            return b"550 5.7.1 we do not want it"
        with self._lock:
            self._tries[number] += 1
            tries = self._tries[number]
        if mood == "later" and tries <= 2:
            return b"451 4.3.0 not now"
        if mood in ("break", "vanish") and tries == 1:
            return VANISH if mood == "vanish" else None
        return b"250 2.0.0 taken"
