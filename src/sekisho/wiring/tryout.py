"""`sekisho try`: a complete server in one folder."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from sekisho.adapters.clock import SystemClock
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.adapters.tryout import DOMAIN, TryOut, TryOutRefused, prepare
from sekisho.config.schema import Config
from sekisho.core.terms.address import Address
from sekisho.faces.cli import exits
from sekisho.faces.cli.handle import CommandError, TryAccount, TryReady
from sekisho.ports.directory import Domain
from sekisho.services.authentication.passwords import hash_password
from sekisho.services.authentication.scramkeys import scram_terms
from sekisho.wiring.server import serve


def try_out(folder: Path, base_port: int | None, announce: Callable[[TryReady], None]) -> int:
    """Make the folder or use it again, and serve from it."""
    try:
        made = prepare(folder, base_port)
    except TryOutRefused as refused:
        raise CommandError("{problem}", exits.FAILED, problem=str(refused)) from refused

    async def make_accounts(store: SqliteStore, _config: Config) -> None:
        await _make_accounts(store, made)

    def ready(_ports: Mapping[str, int]) -> None:
        accounts = tuple(TryAccount(address, password) for address, password in made.passwords.items())
        announce(
            TryReady(
                ready=True,
                ports=dict(made.ports),
                accounts=accounts,
                ca_file=str(made.ca_file),
                dir=str(made.folder),
                pid=os.getpid(),
            )
        )

    return serve(made.config_file, make_accounts, ready)


async def _make_accounts(store: SqliteStore, made: TryOut) -> None:
    if await store.directory.domain(DOMAIN) is None:
        await store.directory.add_domain(Domain(DOMAIN, SystemClock().now_us()))
    for text, password in made.passwords.items():
        address = Address.from_text(text)
        if await store.directory.account_by_address(address) is None:
            hashed = hash_password(password, await scram_terms(store.directory, store.credentials, address))
            await store.directory.add_account(address, hashed.argon2, hashed.scram_sha256)
