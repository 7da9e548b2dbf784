"""Dates of the date tests (RFC 5260 §4): read from a field, taken apart into parts of strings."""

import re
from datetime import UTC, datetime, timedelta, timezone

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_DATE = re.compile(
    r"\s*(?:[A-Za-z]{3,9}\s*,)?\s*([0-9]{1,2})\s+([A-Za-z]{3})[A-Za-z]*\s+([0-9]{2,4})\s+"
    r"([0-9]{1,2})\s*:\s*([0-9]{1,2})(?:\s*:\s*([0-9]{1,2}))?\s*(?:([+-])([0-9]{2})([0-9]{2})|([A-Za-z]"
    r"{1,5}))?"
)
_ZONE = re.compile(r"([+-])([0-9]{2})([0-9]{2})\Z")
# RFC 5322 §4.3: the zones of old; all others count as UTC.
_OLD_ZONES = {
    "est": -300,
    "edt": -240,
    "cst": -360,
    "cdt": -300,
    "mst": -420,
    "mdt": -360,
    "pst": -480,
    "pdt": -420,
}
_COMMENT = re.compile(r"\([^()]{0,1000}\)")
DATE_PARTS = frozenset(
    (
        "year",
        "month",
        "day",
        "date",
        "julian",
        "hour",
        "minute",
        "second",
        "time",
        "iso8601",
        "std11",
        "zone",
        "weekday",
    )
)


def read_date(text: str) -> datetime | None:
    """A date of RFC 5322 §3.3 or §4.3 with its zone; None if there is none."""
    match = _DATE.match(_COMMENT.sub(" ", text[:1000]))
    if match is None or match[2].lower() not in _MONTHS:
        return None
    year = int(match[3])
    if len(match[3]) < 4:
        year += 2000 if year < 50 and len(match[3]) == 2 else 1900
    minutes = 0
    if match[7]:
        minutes = (int(match[8]) * 60 + int(match[9])) * (-1 if match[7] == "-" else 1)
    elif match[10]:
        minutes = _OLD_ZONES.get(match[10].lower(), 0)
    try:
        zone = timezone(timedelta(minutes=minutes))
        second = min(int(match[6] or 0), 59)
        found = datetime(
            year,
            _MONTHS.index(match[2].lower()) + 1,
            int(match[1]),
            int(match[4]),
            int(match[5]),
            second,
            tzinfo=zone,
        )
        found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return found


def read_zone(text: str) -> timezone | None:
    """`+0900` (RFC 5260 §4.1)."""
    match = _ZONE.match(text)
    if match is None or int(match[2]) > 23 or int(match[3]) > 59:
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))


def in_zone(moment: datetime, zone: timezone) -> datetime:
    """The same moment elsewhere; unchanged where the calendar ends."""
    try:
        return moment.astimezone(zone)
    except OverflowError:
        return moment


def date_part(moment: datetime, part: str) -> str:
    """RFC 5260 §4.2. `part` in lower case, one of `DATE_PARTS`."""
    offset = moment.utcoffset() or timedelta()
    minutes = int(offset.total_seconds()) // 60
    sign, hours, rest = "-" if minutes < 0 else "+", abs(minutes) // 60, abs(minutes) % 60
    date = f"{moment.year:04}-{moment.month:02}-{moment.day:02}"
    time = f"{moment.hour:02}:{moment.minute:02}:{moment.second:02}"
    values = {
        "year": f"{moment.year:04}",
        "month": f"{moment.month:02}",
        "day": f"{moment.day:02}",
        "date": date,
        "julian": str(moment.toordinal() - 678_576),  # days since 17 November 1858
        "hour": f"{moment.hour:02}",
        "minute": f"{moment.minute:02}",
        "second": f"{moment.second:02}",
        "time": time,
        "iso8601": f"{date}T{time}{sign}{hours:02}:{rest:02}",
        "zone": f"{sign}{hours:02}{rest:02}",
        "weekday": str((moment.weekday() + 1) % 7),
        "std11": f"{_DAYS[moment.weekday()]}, {moment.day:02} {_MONTHS[moment.month - 1].title()} "
        f"{moment.year:04} {time} "
        f"{sign}{hours:02}{rest:02}",
    }
    return values[part]
