"""What the guard remembers of one account: bounded, small enough to be read and written with each message.

Losing it would make every context unfamiliar and every recipient new, so it lies beside the mail. Times are
µs, days and hours are numbers of UTC days and hours since 1970.
"""

from msgspec import Struct, field

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
DAY_US = 24 * HOUR_US

COUNTS = 1 << 24
MAX_DAYS = 30
MAX_HOURS = 25
MAX_NETWORKS = 48
MAX_CLIENTS = 24
MAX_CREDENTIALS = 24
MAX_IDENTITIES = 24
MAX_LINKS = 96
MAX_CONTENTS = 96
MAX_DOMAINS = 32
MAX_THREADS = 32
HOURS_SUM = 600  # the histogram of hours is halved there: older habits fade


class Seen(Struct, array_like=True):
    """When something was first and last met, and on how many days."""

    first_us: int
    last_us: int
    days: int = 1


class Day(Struct, array_like=True):
    """One day with mail. `strangers` in thirds (an answer to somebody counts one), `fan_out` in quarters."""

    number: int
    messages: int = 0
    strangers: int = 0
    fan_out: int = 0


class Hour(Struct, array_like=True, kw_only=True):
    number: int
    messages: int = 0
    recipients: int = 0
    strangers: int = 0  # as in Day
    fan_out: int = 0
    dormant: int = 0
    delivered: int = 0
    bounced: int = 0
    complaints: int = 0  # replies that name our mail as spam or as too much
    context: int = 0  # the strangest context that mail came from, in points
    fresh: int = 0  # messages from a strange place or program with a link to where the account never linked


class State(Struct, array_like=True, kw_only=True):
    """`pardoned_us`: an operator said that what was before is in order; as much on a day counts as usual for
    a while."""

    messages: int = 0
    pardoned_us: int = 0
    pardoned_strangers: int = 0  # as in Day
    pardoned_fan_out: int = 0
    days: list[Day] = field(default_factory=list)
    # Worked out from `days` when a day begins: how many came before it, and what is usual on one.
    days_behind: int = 0
    usual_strangers: int = 0
    usual_fan_out: int = 0
    hours: list[Hour] = field(default_factory=list)
    window: Hour = field(default_factory=lambda: Hour(number=0))  # the sum of `hours`
    by_hour: list[int] = field(default_factory=lambda: [0] * 24)
    networks: dict[str, Seen] = field(default_factory=dict)
    clients: dict[str, Seen] = field(default_factory=dict)
    credentials: dict[str, Seen] = field(default_factory=dict)
    identities: dict[int, Seen] = field(default_factory=dict)
    # Those used last stand last. Numbers decode ten times faster than records, and these are many.
    links: dict[int, int] = field(default_factory=dict)  # → when first, minutes
    contents: dict[int, int] = field(
        default_factory=dict
    )  # → when first, minutes, times `COUNTS`, plus how often
    domains: dict[int, int] = field(default_factory=dict)  # of strangers → when last, minutes
    threads: dict[int, int] = field(default_factory=dict)  # answered with a stranger → when last, minutes
    rush_us: int = 0  # start of the present ten minutes
    rush: int = 0  # strangers in them
    budget_day: int = 0
    first_time: int = 0  # debited on that day
    recipients: int = 0
    usual_messages: int = 0  # worked out like `usual_strangers`
