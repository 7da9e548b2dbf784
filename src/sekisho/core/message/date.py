"""Dates as RFC 5322 §3.3 writes them: English names, numeric zone."""

import time
from functools import lru_cache

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def format_date(at_us: int, offset_minutes: int = 0) -> str:
    """`Tue, 24 Nov 2026 05:30:00 +0000` for µs since 1970 UTC, in the zone of `offset_minutes` east of
    UTC."""
    return _format_second(at_us // 1_000_000, offset_minutes)


@lru_cache(maxsize=8)
def _format_second(second: int, offset_minutes: int) -> str:
    t = time.gmtime(second + offset_minutes * 60)
    sign = "-" if offset_minutes < 0 else "+"
    hours, minutes = divmod(abs(offset_minutes), 60)
    return (
        f"{_DAYS[t.tm_wday]}, {t.tm_mday} {_MONTHS[t.tm_mon - 1]} {t.tm_year:04} "
        f"{t.tm_hour:02}:{t.tm_min:02}:{t.tm_sec:02} {sign}{hours:02}{minutes:02}"
    )
