"""What looks into messages, as the settings want it: the classifier of one process, and scanners beside
it."""

from sekisho.adapters.scanners.clamd import ClamdScanner
from sekisho.adapters.scanners.rspamd import RspamdScanner
from sekisho.config.door import door_modes
from sekisho.config.schema import Config
from sekisho.core.policy.door.content import ATTACHMENT, CONTENT, RSPAMD, VIRUS
from sekisho.ports.journal import Journal
from sekisho.ports.scanners import parse_place
from sekisho.probes.content import ContentProbe
from sekisho.services.classifier import ClassifierRules, LiveClassifier
from sekisho.services.submission.content import OutgoingContent
from sekisho.services.submission.seams import ContentInspection, NoContentCheck
from sekisho.wiring.clocks import server_clock


def classifier_rules(config: Config) -> ClassifierRules:
    return ClassifierRules(config.content.lessons, config.content.shared_lessons)


def content_probe(config: Config, classifier: LiveClassifier) -> ContentProbe:
    settings, clock = config.content, server_clock()
    timeout, modes = settings.scanner_timeout_seconds, door_modes(config)
    clamav = (
        ClamdScanner(parse_place(settings.clamav), clock, timeout_seconds=timeout)
        if modes[VIRUS] != "off"
        else None
    )
    rspamd = (
        RspamdScanner(
            parse_place(settings.rspamd), clock, password=settings.rspamd_password, timeout_seconds=timeout
        )
        if modes[RSPAMD] != "off"
        else None
    )
    words = classifier if modes[CONTENT] != "off" else None
    return ContentProbe(
        classifier=words,
        looks_at_attachments=modes[ATTACHMENT] != "off",
        rspamd=rspamd,
        clamav=clamav,
        scanner_octets=settings.scanner_octets,
    )


def outgoing_content(config: Config, probe: ContentProbe, journal: Journal) -> ContentInspection:
    settings = config.content
    return (
        OutgoingContent(probe, settings.rules(), server_clock(), journal)
        if settings.outgoing
        else NoContentCheck()
    )
