"""What counts as headway of an SMTP client. Whoever only says NOOP, EHLO again and again, or an octet now and
then makes none."""

from sekisho.ports.stream import Place

HELLO, SECURE_HELLO, SENDER, CONTENT = range(1, 5)
MOST_RECIPIENTS = 50  # of one message: a step each
OCTETS_PER_STEP = 1024  # of content
EXCUSED_SECONDS = 0.05  # shorter work of ours is not worth a word


class Headway:
    """Of one session. Each step counts once for each message."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._step = 0
        self._recipients = 0
        self._octets = 0

    def reached(self, step: int) -> None:
        if step > self._step:
            self._step = step
            self._place.moved()

    def recipient(self) -> None:
        """One more was accepted."""
        self._recipients += 1
        if self._recipients <= MOST_RECIPIENTS:
            self._place.moved()

    def content(self, octets: int) -> None:
        self._octets += octets
        if self._octets >= OCTETS_PER_STEP:
            self._octets = 0
            self._place.moved()

    def message(self) -> None:
        """One is through, whatever was said about it: the next may begin."""
        self._step, self._recipients, self._octets = SECURE_HELLO, 0, 0
        self._place.moved()

    def worked(self, seconds: float) -> None:
        """So long the client waited for us."""
        if seconds > EXCUSED_SECONDS:
            self._place.excuse(seconds)
