"""The shape of a scene file. docs/lab/format.md explains every word of it; durations are text ("10m") and
become seconds."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, IPvAnyAddress, IPvAnyNetwork
from pydantic_core import PydanticCustomError

from sekisho.config.section import SettingsSection
from sekisho.core.dns.names import normalize_name
from sekisho.lab.durations import parse_duration

Side = Literal["honest", "attack", "house"]
Doing = Literal["mail", "submit", "dialog", "login", "guess", "move", "command", "look", "dns", "wait"]
Style = Literal[
    "letter", "invoice", "newsletter", "code", "thread", "pills", "lottery", "phish", "loan", "empty"
]
ListState = Literal["healthy", "refusing", "wildcard", "silent"]
# What became of one message for one recipient, or of one login.
Outcome = Literal[
    "inbox", "junk", "outside", "refused", "deferred", "disconnected", "held", "waiting", "failed", "lost",
    "purged",
    "logged-in", "turned-away", "done", "not-done",
]  # fmt: skip
# What may be expected besides: any of several outcomes.
STOPPED: frozenset[Outcome] = frozenset({"refused", "deferred", "disconnected", "held", "purged"})
Wanted = Literal[
    "inbox", "junk", "outside", "refused", "deferred", "disconnected", "held", "waiting", "failed", "lost",
    "purged",
    "logged-in", "turned-away", "done", "not-done", "stopped", "anything",
]  # fmt: skip
Measure = Literal[
    "reached",
    "delivered",
    "held",
    "refused",
    "deferred",
    "twice",
    "lost",
    "delay",
    "logins",
    "login-seconds-p99",
    "share",
]


def _duration(value: Any) -> Any:
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError as error:
            raise PydanticCustomError("duration", "no duration") from error
    raise PydanticCustomError("duration", "no duration")


def _bound(value: Any) -> Any:
    """A number, or a duration as text."""
    return _duration(value) if isinstance(value, str) else value


def _listed(value: Any) -> Any:
    """One word stands for a list of one."""
    if isinstance(value, str):
        return (value,)
    return tuple(value) if isinstance(value, list) else value


def _expectation(value: Any) -> Any:
    """`expect = "inbox"` stands for `expect = { to = "inbox" }`, and `expect = ["a", "b"]` for either."""
    return {"to": value} if isinstance(value, str | list) else value


def _domain(value: str) -> str:
    """A name that the DNS could have; "" stays."""
    try:
        return normalize_name(value.replace("{dashed}", "192-0-2-1")) and value
    except ValueError as error:
        raise PydanticCustomError("domain", "no domain name") from error


def _instant(value: Any) -> Any:
    if isinstance(value, str):
        try:
            when = datetime.fromisoformat(value)
        except ValueError as error:
            raise PydanticCustomError("instant", "no date and time") from error
        if when.tzinfo is not None:
            return when.isoformat()
    raise PydanticCustomError("instant", "no date and time")


Name = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$", max_length=40)]
Domain = Annotated[str, AfterValidator(_domain)]
Domains = Annotated[tuple[Domain, ...], Field(min_length=1)]
Duration = Annotated[float, BeforeValidator(_duration)]
Bound = Annotated[float, BeforeValidator(_bound)]
Words = Annotated[tuple[str, ...], BeforeValidator(_listed)]
WantedWords = Annotated[tuple[Wanted, ...], BeforeValidator(_listed)]
Instant = Annotated[str, BeforeValidator(_instant)]
Count = Annotated[int, Field(ge=1, le=200_000)]


class Titled(SettingsSection):
    title: str = ""
    title_ja: str = ""

    def heading(self, language: str) -> str:
        return (self.title_ja or self.title) if language == "ja" else self.title


class SceneAccount(SettingsSection):
    """Somebody with a mailbox at the house."""

    name: Name
    count: Annotated[int, Field(ge=1, le=1000)] = 1  # more than one: name001, name002, …
    full_count: Annotated[int, Field(ge=1, le=1000)] | None = None
    display: str = ""
    password: str = ""  # "": a long random one
    aliases: tuple[str, ...] = ()
    bulk: bool = False
    recovery: str = ""  # the second address


class House(SettingsSection):
    """The server under test. `settings` are tables of sekisho.toml; `full_settings` replace some at
    --full."""

    hostname: Domain = "mx.club.example"
    domains: Domains = ("club.example",)
    dkim: bool = True
    dmarc: str = "p=none"
    settings: dict[str, Any] = {}
    language: Literal["en", "ja", ""] = ""  # "": that of whoever plays it


class Dnsbl(SettingsSection):
    """A blocklist in the lab's DNS."""

    name: Domain
    state: ListState = "healthy"
    lists: tuple[IPvAnyNetwork, ...] = ()
    domains: tuple[Domain, ...] = ()  # it is a list of domains then
    code: IPvAnyAddress = Field(default="127.0.0.2", validate_default=True)


class People(SettingsSection):
    """Correspondents outside: `count` addresses spread over `domains`."""

    name: Name
    count: Count
    domains: Domains


class Outside(SettingsSection):
    """How the mail servers of a domain outside behave; without an entry they take everything."""

    domain: Domain
    unknown_share: Annotated[float, Field(ge=0, le=1)] = 0.0
    answers: dict[Literal["mail", "rcpt", "end"], str] = {}


class Actor(Titled):
    """Somebody who connects. With `account` a person of the house (or who plays one), else a stranger's mail
    server."""

    name: Name
    side: Side = "honest"
    account: str = ""
    password: str = ""  # instead of the account's own
    address: Annotated[tuple[IPvAnyNetwork, ...], BeforeValidator(_listed)]
    rotate: Literal["never", "message", "try"] = "never"
    ptr: Annotated[tuple[Domain, ...] | None, BeforeValidator(_listed)] = None
    forward: bool = True
    helo: str = ""
    agent: str = ""
    domain: Domain = ""
    spf: str = "auto"
    dkim: Literal["ed25519", "rsa", "none"] = "ed25519"
    dmarc: str = "none"
    mx: bool = True
    retries: tuple[Duration, ...] | None = None
    tls: Literal["starttls", "never", "stripped"] = "starttls"
    gives_up: Annotated[int, Field(ge=1)] | None = (
        None  # None: a thief after 5 refusals in a row, others never
    )
    role: Literal["sender", "forwarder", "list"] = "sender"
    srs: bool = False
    arc: bool = False


class Expectation(SettingsSection):
    to: WantedWords
    within: Duration | None = None
    deferred_first: bool | None = None
    rule: Words = ()
    reply: str = ""
    says: str = ""


class Attachment(SettingsSection):
    name: str
    type: str = "application/octet-stream"
    text: str = ""
    base64: str = ""


class Line(SettingsSection):
    """One exchange of a dialog. `send` may hold \\r, \\n and octets as \\xNN; CRLF is added unless `raw`.
    `early`: as the first line it is sent before the greeting."""

    send: str = ""
    reply: str = ""
    raw: bool = False
    tls: bool = False
    early: bool = False


class SceneStep(Titled):
    do: Doing = "mail"
    name: str = ""
    actor: str = ""
    side: Side | None = None  # if it is another one than its actor's
    at: Duration | None = None
    after: Duration = 0.0
    count: Count = 1
    full_count: Count | None = None
    every: Duration = 0.0
    jitter: Annotated[float, Field(ge=0, le=1)] = 0.0
    days: Annotated[int, Field(ge=1, le=400)] | None = None
    hours: tuple[Annotated[int, Field(ge=0, le=24)], ...] = (9, 18)
    together: Annotated[int, Field(ge=1, le=500)] = 1
    per_connection: Annotated[int, Field(ge=1)] | None = None
    # messages
    to: Words = ()
    people: str = ""
    pick: Literal["random", "new", "all"] = "random"
    take: Annotated[int, Field(ge=1, le=1000)] = 1
    each: Literal["message", "recipient"] = "message"
    sender: str | None = None
    author: str = ""
    author_name: str | None = None
    reply_to: str = ""
    subject: str = ""
    style: Style = "letter"
    writing: Literal["en", "ja", "both"] = "both"
    text: str = ""
    headers: dict[str, str] = {}
    attach: tuple[Attachment, ...] = ()
    octets: Annotated[int, Field(ge=0, le=50_000_000)] = 0
    sign: bool = True
    via: str = ""
    thread: str = ""
    # dialogs, logins, guesses, moves, commands
    lines: tuple[Line, ...] = ()
    port: Literal["smtp", "submission"] = "smtp"
    service: Literal["imap", "submission", "pop3", "any"] = "imap"
    accounts: Words = ()
    passwords: Words = ()
    networks: Annotated[int, Field(ge=1, le=100_000)] = 1
    full_together: Annotated[int, Field(ge=1, le=1000)] | None = None
    full_networks: Annotated[int, Field(ge=1, le=100_000)] | None = None
    meanwhile: str = ""
    messages: Words = ()
    folder: Literal["inbox", "junk"] | None = None
    args: tuple[str, ...] = ()
    stdin: str = ""
    letters: Annotated[int, Field(ge=0, le=5000)] = 0  # on the command's standard input, as an mbox
    zones: Words = ("",)
    answers: bool = True
    expect: Annotated[Expectation | None, BeforeValidator(_expectation)] = None


class Total(Titled):
    """A bound on a number over all that some steps did."""

    name: Name
    steps: Words
    count: Measure
    at_most: Bound | None = None
    at_least: Bound | None = None


def _only_one_format(value: int) -> int:
    if value != 1:
        raise PydanticCustomError("scene_format", "unknown format")
    return value


class Scene(Titled):
    format: Annotated[int, AfterValidator(_only_one_format)]
    title: str
    about: str = ""
    about_ja: str = ""
    begin: Instant = "2027-01-18T09:00:00+09:00"
    house: House = House()
    account: Annotated[tuple[SceneAccount, ...], Field(min_length=1)] = (
        SceneAccount(name="hanako", display="Hanako Yamada"),
        SceneAccount(name="taro", display="Taro Suzuki"),
    )
    zone: str = ""
    dnsbl: tuple[Dnsbl, ...] = ()
    people: tuple[People, ...] = ()
    outside: tuple[Outside, ...] = ()
    actor: tuple[Actor, ...] = ()
    step: Annotated[tuple[SceneStep, ...], Field(min_length=1)]
    total: tuple[Total, ...] = ()

    def find_actor(self, name: str) -> Actor:
        return next(actor for actor in self.actor if actor.name == name)

    @property
    def begin_us(self) -> int:
        return int(datetime.fromisoformat(self.begin).timestamp() * 1_000_000)
