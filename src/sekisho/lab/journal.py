"""The server's journal, read as it grows: which rule spoke about a message, and why."""

import json
from pathlib import Path
from typing import Any


class JournalReader:
    """`look` gives what is known about an id, or about the last word to one client on one recipient."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._position = 0
        self._by_id: dict[str, dict[str, Any]] = {}
        self._by_recipient: dict[tuple[str, str], dict[str, Any]] = {}
        self.faults: list[str] = []

    def look(self, server_id: str, client: str, recipient: str) -> dict[str, Any]:
        """Fields such as `rule` and `because`; {} when nothing was written."""
        self._read()
        return self._by_id.get(server_id) or self._by_recipient.get((client, recipient.lower())) or {}

    def _read(self) -> None:
        if not self._file.exists():
            return
        with self._file.open("rb") as file:
            file.seek(self._position)
            data = file.read()
        data = data[: data.rfind(b"\n") + 1]
        self._position += len(data)
        for line in data.splitlines():
            self._take(json.loads(line))

    def _take(self, entry: dict[str, Any]) -> None:
        kind = str(entry.get("kind", ""))
        if kind == "fault":
            self.faults.append(f"{entry.get('where')}: {entry.get('error')}")
        if entry.get("id") and kind.startswith(("reception.", "submission.")):
            known = self._by_id.setdefault(str(entry["id"]), {})
            known.update({name: value for name, value in entry.items() if value not in ("", None)})
        if kind == "reception.recipient_refused":
            self._by_recipient[(str(entry.get("client")), str(entry.get("recipient", "")).lower())] = entry

    def read_faults(self) -> list[str]:
        """Bugs of the server that came to light so far."""
        self._read()
        return self.faults
