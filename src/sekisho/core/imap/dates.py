"""The two dates of IMAP: `date-time` of INTERNALDATE and APPEND, `date` of SEARCH (RFC 3501 §9)."""

import datetime
import re
from functools import lru_cache

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTH_NUMBERS = {name.lower().encode(): number for number, name in enumerate(_MONTHS, 1)}
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
_EPOCH_ORDINAL = 719163
_LAST_ORDINAL = datetime.date.max.toordinal()
_DATE_TIME = re.compile(
    rb"( [0-9]|[0-9]{2})-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) "
    rb"([+-])([0-9]{2})([0-9]{2})\Z"
)
_DATE = re.compile(rb"([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\Z")


def parse_date_time(raw: bytes) -> tuple[int, int]:
    """(µs since the epoch, offset in minutes) of the text inside the quotes; raises ValueError."""
    match = _DATE_TIME.match(raw)
    if not match or match[2].lower() not in _MONTH_NUMBERS:
        raise ValueError("not a date-time")
    offset = (int(match[8]) * 60 + int(match[9])) * (-1 if match[7] == b"-" else 1)
    if not -1440 < offset < 1440 or int(match[9]) > 59:
        raise ValueError("not a zone")
    when = datetime.datetime(
        int(match[3]),
        _MONTH_NUMBERS[match[2].lower()],
        int(match[1]),
        int(match[4]),
        int(match[5]),
        min(int(match[6]), 59),
        tzinfo=datetime.UTC,
    )
    return ((when - _EPOCH) // datetime.timedelta(seconds=1) - offset * 60) * 1_000_000, offset


@lru_cache(1000)
def _day_text(day: int) -> bytes:
    """`dd-Mon-yyyy` of a day counted from 1970."""
    date = datetime.date.fromordinal(min(max(day + _EPOCH_ORDINAL, 1), _LAST_ORDINAL))
    return b"%02d-%b-%04d" % (date.day, _MONTHS[date.month - 1].encode(), date.year)


@lru_cache(200)
def _zone_text(offset_minutes: int) -> bytes:
    hours, minutes = divmod(abs(offset_minutes), 60)
    return b"%c%02d%02d" % (b"-" if offset_minutes < 0 else b"+", hours, minutes)


def format_date_time(when_us: int, offset_minutes: int) -> bytes:
    """The `date-time` with its quotes."""
    day, second = divmod(when_us // 1_000_000 + offset_minutes * 60, 86400)
    minute, second = divmod(second, 60)
    hour, minute = divmod(minute, 60)
    return b'"%b %02d:%02d:%02d %b"' % (_day_text(day), hour, minute, second, _zone_text(offset_minutes))


def parse_date(raw: bytes) -> int:
    """The day of a search key as a proleptic ordinal; raises ValueError."""
    match = _DATE.match(raw)
    if not match or match[2].lower() not in _MONTH_NUMBERS:
        raise ValueError("not a date")
    return datetime.date(int(match[3]), _MONTH_NUMBERS[match[2].lower()], int(match[1])).toordinal()


def day_of(when_us: int, offset_minutes: int) -> int:
    """The ordinal of the day that an instant falls on in its own zone (RFC 3501 §6.4.4 disregards time and
    zone)."""
    return (when_us // 1_000_000 + offset_minutes * 60) // 86400 + _EPOCH_ORDINAL
