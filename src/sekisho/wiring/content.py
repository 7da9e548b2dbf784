"""What looks into messages, as the settings want it: the classifier of one process, and scanners beside it."""

from sekisho.adapters.scanners.clamd import ClamdScanner
from sekisho.adapters.scanners.rspamd import RspamdScanner
from sekisho.adapters.stores.sqlite.store import SqliteStore
from sekisho.config.schema import Config
from sekisho.ports.journal import Journal
from sekisho.ports.metrics import Metrics
from sekisho.ports.scanners import parse_place
from sekisho.probes.content import ContentProbe
from sekisho.services.classifier import ClassifierRules, LiveClassifier
from sekisho.services.submission.content import OutgoingContent
from sekisho.services.submission.seams import ContentCheck, NoContentCheck
from sekisho.wiring.clocks import server_clock


class ContentLink:
    """`classifier` learns from moves to and from Junk; `probe` and `outgoing` follow the settings."""

    def __init__(self, store: SqliteStore, config: Config, journal: Journal, metrics: Metrics | None = None) -> None:
        self._journal = journal
        self.classifier = LiveClassifier(store.lessons, server_clock(), journal, metrics)
        self.close = self.classifier.close
        self.use(config)

    def use(self, config: Config) -> None:
        settings, clock = config.content, server_clock()
        self.classifier.rules = ClassifierRules(settings.lessons, settings.shared_lessons)
        timeout, modes = settings.scanner_timeout_seconds, settings.modes
        clamav = ClamdScanner(parse_place(settings.clamav), clock, timeout_seconds=timeout) if modes["viruses"] != "off" else None
        rspamd = (
            RspamdScanner(parse_place(settings.rspamd), clock, password=settings.rspamd_password, timeout_seconds=timeout)
            if modes["rspamd"] != "off"
            else None
        )
        classifier = self.classifier if modes["words"] != "off" else None
        self.probe = ContentProbe(classifier, modes["attachments"] != "off", rspamd, clamav, settings.scanner_octets)
        self.outgoing: ContentCheck = NoContentCheck()
        if settings.outgoing:
            self.outgoing = OutgoingContent(self.probe, settings.rules(), clock, self._journal)
