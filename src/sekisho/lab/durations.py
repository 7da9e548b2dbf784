"""How long: "90s", "10m", "1h30m", "21d" in a scene."""

import re

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}
_WHOLE = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?[smhd])+\Z", re.ASCII)
_PART = re.compile(r"([0-9.]+)([smhd])", re.ASCII)


def parse_duration(text: str) -> float:
    """Seconds; raises ValueError."""
    compact = text.replace(" ", "")
    if not _WHOLE.match(compact):
        raise ValueError(f"{text!r} is no duration")
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(compact))


def show_duration(seconds: float) -> str:
    """The two largest units: 95 -> "1m 35s", 0.25 -> "0.2s"."""
    if seconds < 10:
        return f"{seconds:.1f}s" if seconds >= 0.05 else "0s"
    parts, left = [], round(seconds)
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])
