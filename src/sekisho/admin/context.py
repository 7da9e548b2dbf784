"""What an operator's action works with, and how it says no."""

from collections.abc import Mapping
from dataclasses import dataclass

from sekisho.config.schema import RoleOwners
from sekisho.core.terms.address import Address, AddressError, parse_domain
from sekisho.ports.breached import BreachedPasswords
from sekisho.ports.classifier import ClassifierDesk
from sekisho.ports.clock import Clock
from sekisho.ports.credentials import Credentials
from sekisho.ports.directory import Account, Directory
from sekisho.ports.journal import Entry, Journal, JournalValue
from sekisho.ports.keys import Keys
from sekisho.ports.ledger import Ledger
from sekisho.ports.places import Places
from sekisho.ports.reports import ReportBook
from sekisho.ports.shaping import Shapes
from sekisho.ports.spool import Spool
from sekisho.services.authentication.bandesk import BanDesk
from sekisho.services.doorkeeping import DoorKit
from sekisho.services.guard.releasing import GuardKit
from sekisho.services.sieve.desk import ScriptDesk


class AdminRefused(Exception):
    """What was asked cannot be done. `text` is an English sentence with `{name}` places; `values` fills
    them."""

    def __init__(self, text: str, /, **values: object) -> None:
        super().__init__(text.format(**values) if values else text)
        self.text = text
        self.values: Mapping[str, object] = values


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """`actor` names who asks: "uid:0". The stores tell the other workers of changes themselves. `ledger`
    None: there is none now."""

    directory: Directory
    spool: Spool
    keys: Keys
    journal: Journal
    clock: Clock
    roles: RoleOwners
    actor: str
    ledger: Ledger | None = None
    guard_kit: GuardKit | None = None
    classifier: ClassifierDesk | None = None
    breached: BreachedPasswords | None = None
    door_kit: DoorKit | None = None
    ban_desk: BanDesk | None = None
    credentials: Credentials | None = None
    places: Places | None = None
    script_desk: ScriptDesk | None = None
    shapes: Shapes | None = None
    reports: ReportBook | None = None

    @property
    def classifying(self) -> ClassifierDesk:
        if self.classifier is None:
            raise AdminRefused("The classifier cannot be reached from here.")
        return self.classifier

    @property
    def door(self) -> DoorKit:
        if self.door_kit is None:
            raise AdminRefused("The door's records cannot be reached from here.")
        return self.door_kit

    @property
    def kept_credentials(self) -> Credentials:
        if self.credentials is None:
            raise AdminRefused("The credentials cannot be reached from here.")
        return self.credentials

    @property
    def kept_shapes(self) -> Shapes:
        if self.shapes is None:
            raise AdminRefused("The pace of providers cannot be reached from here.")
        return self.shapes

    @property
    def guarding(self) -> GuardKit:
        if self.guard_kit is None:
            raise AdminRefused("The guard cannot be reached from here.")
        return self.guard_kit

    @property
    def scripting(self) -> ScriptDesk:
        if self.script_desk is None:
            raise AdminRefused("The scripts cannot be reached from here.")
        return self.script_desk

    @property
    def reporting(self) -> ReportBook:
        if self.reports is None:
            raise AdminRefused("The reports cannot be reached from here.")
        return self.reports

    @property
    def banning(self) -> BanDesk:
        if self.ban_desk is None:
            raise AdminRefused("The bans cannot be reached from here.")
        return self.ban_desk

    def audit(self, action: str, subject: str, **fields: JournalValue) -> None:
        """One journal entry for a finished change: kind "admin.account.add", id the subject."""
        self.journal.record(Entry(f"admin.{action}", subject, {"actor": self.actor, **fields}))


def parse_address(text: str) -> Address:
    """The canonical address that an operator typed; raises Refused."""
    try:
        address = Address.from_text(text.strip()).canonical
    except AddressError as error:
        raise AdminRefused(
            "{text} is not an address: {reason}.", text=repr(text), reason=str(error)
        ) from error
    if address.is_literal:
        raise AdminRefused("{text} is at an IP address; addresses here are local@domain.", text=str(address))
    return address


def parse_domain_name(text: str) -> str:
    """The domain as A-labels; raises Refused."""
    try:
        return parse_domain(text.strip(), literals=False)
    except AddressError as error:
        raise AdminRefused("{text} is not a domain: {reason}.", text=repr(text), reason=str(error)) from error


async def find_account(context: Context, text: str) -> Account:
    """The account with this address; raises Refused when there is none."""
    address = parse_address(text)
    account = await context.directory.account_by_address(address)
    if account is None:
        raise AdminRefused("There is no account {address}.", address=str(address))
    return account
