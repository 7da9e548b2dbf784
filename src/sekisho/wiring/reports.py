"""Reports in both directions, as the settings want them."""

from importlib.metadata import version

from sekisho.config.schema import Config
from sekisho.core.terms.address import Address
from sekisho.services.reports.complaints import ComplaintDesk, ComplaintPorts, ComplaintRules
from sekisho.services.reports.intake import IntakePorts, ReportIntake
from sekisho.services.reports.sending import ReportSender, SendingPorts, SendingRules
from sekisho.services.reports.tallies import DmarcTallies
from sekisho.services.reports.tlssending import TlsReportSender
from sekisho.wiring.letters import letter_writer
from sekisho.wiring.plant import Plant

_DAY_US = 86_400_000_000


def report_intake(plant: Plant, config: Config) -> ReportIntake:
    store = plant.store
    desk = ComplaintDesk(
        ComplaintRules(
            hostname=config.hostname,
            postmaster=config.roles.postmaster,
            per_day=config.reports.complaints_per_day,
        ),
        ComplaintPorts(
            book=store.reports,
            counters=store.counters,
            letters=letter_writer(store, config, plant.journal),
            clock=plant.clock,
            journal=plant.journal,
        ),
        lambda: plant.ledger.ledger,
    )
    ports = IntakePorts(
        book=store.reports,
        directory=store.directory,
        counters=store.counters,
        clock=plant.clock,
        journal=plant.journal,
        complaints=desk,
    )
    return ReportIntake(config.reports.addresses, ports)


def dmarc_tallies(plant: Plant, config: Config) -> DmarcTallies | None:
    return DmarcTallies(plant.store.reports) if config.reports.send_dmarc else None


def report_sender(plant: Plant, config: Config) -> ReportSender:
    return ReportSender(_rules(config, enabled=config.reports.send_dmarc), _ports(plant, config))


def tls_report_sender(plant: Plant, config: Config) -> TlsReportSender:
    rules = _rules(config, enabled=config.reports.send_tls)
    return TlsReportSender(rules, _ports(plant, config), plant.store.hop_sessions)


def _rules(config: Config, *, enabled: bool) -> SendingRules:
    domain = Address.from_text(config.roles.postmaster).domain
    return SendingRules(
        enabled=enabled,
        hostname=config.hostname,
        organization=config.reports.organization or config.hostname,
        sender=config.reports.sender or f"postmaster@{domain}",
        most_octets=config.reports.most_octets,
        generator=f"sekisho {version('sekisho')}",
    )


def _ports(plant: Plant, config: Config) -> SendingPorts:
    store = plant.store
    return SendingPorts(
        book=store.reports,
        resolver=plant.resolver,
        letters=letter_writer(store, config, plant.journal),
        can_sign=plant.signing.has_key,
        clock=plant.clock,
        journal=plant.journal,
        ledger=lambda: plant.ledger.ledger,
    )


async def trim_reports(plant: Plant, config: Config) -> None:
    """Raises StoreUnavailable."""
    settings = config.reports
    await plant.store.reports.trim(plant.clock.now_us() - settings.keep_days * _DAY_US, settings.entries)
