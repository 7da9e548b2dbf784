"""Entry point and composition root: the only module that names adapters."""


def main() -> None:
    raise SystemExit("sekisho: nothing is wired yet")
