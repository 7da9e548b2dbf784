"""The server's journal, read for what no operator should have to look for: its own bugs."""

import json
from pathlib import Path

MOST = 20


def read_faults(file: Path) -> list[str]:
    """The bugs of the server that came to light, at most `MOST`; each has its traceback in the file."""
    if not file.exists():
        return []
    faults = []
    for line in file.read_bytes().splitlines():
        if b'"fault"' in line:
            entry = json.loads(line)
            if entry.get("kind") == "fault":
                faults.append(f"{entry.get('where')}: {entry.get('error')}")
    return faults[:MOST]
