"""The server's own letters, as the settings want them."""

from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.config.schema import Config
from sekisho.ports.journal import Journal
from sekisho.probes.recipient import RecipientProbe
from sekisho.services.authentication.factor_letter import FactorRules
from sekisho.services.letters import LetterRules, LetterWriter
from sekisho.services.signing import KeySigning
from sekisho.wiring.clocks import server_clock


def letter_rules(config: Config) -> LetterRules:
    return LetterRules(
        config.hostname,
        config.language,
        dict(config.relay.routes),
        int(config.queue.notice_lifetime_seconds * 1_000_000),
    )


def letter_writer(store: SqliteStore, config: Config, journal: Journal) -> LetterWriter:
    clock = server_clock()
    recipients = RecipientProbe(store.directory, config.hostname, config.roles.model_dump())
    return LetterWriter(
        letter_rules(config), store.spool, recipients, KeySigning(store.keys, clock, journal), clock
    )


def factor_rules(config: Config) -> FactorRules:
    return FactorRules(config.hostname, config.language, config.roles.postmaster)
