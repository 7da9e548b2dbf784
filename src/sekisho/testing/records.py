"""A journal and metrics that a test can read."""

from sekisho.ports.journal import Entry


class MemoryJournal:
    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.faults: list[tuple[str, BaseException]] = []

    def record(self, entry: Entry) -> None:
        self.entries.append(entry)

    def fault(self, where: str, error: BaseException) -> str:
        self.faults.append((where, error))
        return f"fault-{len(self.faults)}"

    def kinds(self) -> list[str]:
        return [entry.kind for entry in self.entries]


class MemoryMetrics:
    def __init__(self) -> None:
        self.values: dict[tuple[str, tuple[tuple[str, str], ...]], float] = {}

    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        key = (name, tuple(sorted(labels.items())))
        self.values[key] = self.values.get(key, 0.0) + amount

    def gauge(self, name: str, value: float, **labels: str) -> None:
        self.values[(name, tuple(sorted(labels.items())))] = value

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        self.count(name, seconds, **labels)


class NoMetrics:
    def count(self, name: str, amount: float = 1.0, **labels: str) -> None:
        pass

    def gauge(self, name: str, value: float, **labels: str) -> None:
        pass

    def observe(self, name: str, seconds: float, **labels: str) -> None:
        pass
