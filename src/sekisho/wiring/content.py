"""What looks into messages, as the settings want it: the classifier of one process."""

from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.config.schema import Config
from sekisho.ports.journal import Journal
from sekisho.ports.metrics import Metrics
from sekisho.services.classifier import ClassifierRules, LiveClassifier
from sekisho.wiring.clocks import server_clock


class ContentLink:
    """`classifier` learns from moves to and from Junk; `keep_house` is a chore of the maintenance."""

    def __init__(self, store: SqliteStore, config: Config, journal: Journal, metrics: Metrics | None = None) -> None:
        self.classifier = LiveClassifier(store.lessons, server_clock(), journal, metrics)
        self.keep_house = self.classifier.keep_house
        self.close = self.classifier.close
        self.use(config)

    def use(self, config: Config) -> None:
        self.classifier.rules = ClassifierRules(config.content.lessons, config.content.shared_lessons)
