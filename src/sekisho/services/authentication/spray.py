"""One password tried at many accounts: the guesser spreads over networks and names, but the password gives it
away."""

from sekisho.ports.counters import Recent


class SprayWatch:
    """`accounts`: failures at so many make a password a sprayed one, for `window_seconds` after each; 0: none
    ever is. What people mistype is written down nowhere: `ports.counters.Recent` keeps keyed hashes."""

    def __init__(self, recent: Recent, accounts: int, window_seconds: float) -> None:
        self._recent, self._accounts, self._window_seconds = recent, accounts, window_seconds

    def note(self, password: str, name: str) -> None:
        """A wrong one, from a network that is strange to the account."""
        if self._accounts and password:
            self._recent.note(_key(password), name, self._window_seconds)

    def is_sprayed(self, password: str) -> bool:
        return bool(self._accounts) and self._recent.members(_key(password)) >= self._accounts


def _key(password: str) -> str:
    return f"password:{password}"
