"""A small house on a clock of its own: honest people with weeks of history, thieves beside them, and what the
guard lets through.

Pure: the queue, the slow minute, bounces and holds are played here over `core.policy.takeover` alone.
Everything is drawn from a seed.
"""

import heapq
import itertools
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address

from sekisho.core.policy.takeover.accounting import count_outcomes
from sekisho.core.policy.takeover.rules import GuardRules
from sekisho.core.policy.takeover.sending import (
    Reach,
    Sending,
    SentLink,
    client_of,
    key_of,
    network_of,
    short_key,
)
from sekisho.core.policy.takeover.state import DAY_US, State
from sekisho.core.policy.takeover.verdict import Verdict, consider, review

SECOND = 1_000_000
MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
START = 1_800_000_000 * SECOND // DAY_US * DAY_US
MONTH = 30 * DAY_US
FREEMAIL = ("gmail.example", "yahoo.example", "outlook.example", "icloud.example", "docomo.example")


@dataclass
class Message:
    account: int
    at: int
    recipients: tuple[str, ...]  # elsewhere
    local: int = 0
    address: str = "198.51.100.7"
    client: str = ""
    credential: str = "password"
    text: str = ""
    links: tuple[str, ...] = ()
    hidden: bool = False
    thread: str = ""
    bad: frozenset[str] = frozenset()  # recipients that do not exist
    is_spam: bool = False


@dataclass
class Tally:
    """What became of one cast: recipients, and seconds of waiting of what left."""

    sent: int = 0
    reached: int = 0
    held: int = 0
    held_messages: int = 0
    waits: list[float] = field(default_factory=list)
    held_at: int = 0  # µs after its first message
    because: str = ""


class House:
    """The rest of the server, played: who knows whom, what waits, what is held."""

    def __init__(self, rules: GuardRules | None = None) -> None:
        self.rules = rules or GuardRules()
        self.states: dict[int, State] = {}
        self.known: dict[int, dict[str, list[int]]] = {}
        self.house: dict[str, int] = {}  # first written to by anybody
        self.bulk: set[int] = set()
        self.cases: dict[tuple[int, str], str] = {}
        self.waiting: list[tuple[int, int, Message, bool]] = []
        self.tallies: dict[tuple[int, bool], Tally] = {}
        self.first: dict[tuple[int, bool], int] = {}
        self._number = itertools.count()

    def run(self, messages: list[Message]) -> None:
        for message in sorted(messages, key=lambda m: m.at):
            self._leave_until(message.at)
            self._submit(message)
        self._leave_until(2**62)

    def tally(self, message: Message) -> Tally:
        return self.tallies.setdefault((message.account, message.is_spam), Tally())

    def _submit(self, message: Message) -> None:
        tally = self.tally(message)
        tally.sent += len(message.recipients)
        self.first.setdefault((message.account, message.is_spam), message.at)
        key = (message.account, message.credential)
        state = self.states.setdefault(message.account, State())
        reach = self._reach(message)
        verdict = consider(
            state, self._sending(message), reach, self.rules, bulk=message.account in self.bulk
        )
        if key not in self.cases and verdict.holds:
            self._hold(message.account, message.credential, verdict, message.at, message.is_spam)
        if key in self.cases:
            tally.held += len(message.recipients)
            tally.held_messages += 1
            return
        wait = self.rules.slow_us if verdict.action == "slow" else 0
        heapq.heappush(self.waiting, (message.at + wait, next(self._number), message, False))

    def _reach(self, message: Message) -> Reach:
        known = self.known.setdefault(message.account, {})
        strangers, house, old, dormant, domains = 0, 0, 0, 0, set()
        for recipient in message.recipients:
            seen = known.get(recipient)
            if seen:
                old += 1
                dormant += message.at - seen[1] > MONTH
                seen[1] = message.at
                continue
            if self.house.get(recipient, message.at) < message.at - DAY_US:
                house += 1
            else:
                strangers += 1
                domains.add(short_key(recipient.partition("@")[2]))
            known[recipient] = [message.at, message.at]
            self.house.setdefault(recipient, message.at)
        return Reach(strangers=strangers, house=house, known=old, dormant=dormant, domains=tuple(domains))

    def _sending(self, m: Message) -> Sending:
        contents = (short_key(m.text),) if m.text else ()
        links = tuple(SentLink(short_key(host), host) for host in m.links)
        hidden = len(m.recipients) if m.hidden else 0
        network = network_of(IPv4Address(m.address))
        return Sending(
            message_id=str(next(self._number)),
            account_id=m.account,
            credential_id=m.credential,
            at_us=m.at,
            network=network,
            client=m.client,
            is_service=False,
            local_recipients=m.local,
            remote_recipients=len(m.recipients),
            hidden=hidden,
            thread=key_of(m.thread) if m.thread else 0,
            answers=bool(m.thread),
            identities=(1,),
            reply_elsewhere="",
            links=links,
            contents=contents,
        )

    def _leave_until(self, now: int) -> None:
        while self.waiting and self.waiting[0][0] <= now:
            at, _, message, _ = heapq.heappop(self.waiting)
            tally = self.tally(message)
            if (message.account, message.credential) in self.cases:
                tally.held += len(message.recipients)
                tally.held_messages += 1
                continue
            tally.reached += len(message.recipients)
            tally.waits.append((at - message.at) / SECOND)
            state = self.states[message.account]
            bad = sum(recipient in message.bad for recipient in message.recipients)
            count_outcomes(state, at, delivered=len(message.recipients) - bad, bounced=bad)
            if bad:
                verdict = review(
                    state,
                    message.account,
                    message.credential,
                    at,
                    self.rules,
                    bulk=message.account in self.bulk,
                )
                if verdict.holds:
                    self._hold(message.account, message.credential, verdict, at, message.is_spam)

    def _hold(self, account: int, credential: str, verdict: Verdict, at: int, is_spam: bool) -> None:
        self.cases[account, credential] = verdict.action
        tally = self.tallies.setdefault((account, is_spam), Tally())
        tally.held_at = at - self.first.get((account, is_spam), at)
        tally.because = f"{verdict.score}: {verdict.because}"


class Person:
    """Somebody honest: contacts, habits, places, programs."""

    def __init__(self, account: int, dice: random.Random) -> None:
        self.account, self.dice = account, dice
        domains = [*FREEMAIL, *(f"org{dice.randrange(400)}.example" for _ in range(dice.randint(4, 20)))]
        self.contacts = [f"c{account}-{n}@{dice.choice(domains)}" for n in range(dice.randint(20, 120))]
        self.places = [self.new_address() for _ in range(dice.randint(1, 3))]
        agents = (
            "Thunderbird/115",
            "Apple Mail (3774)",
            "Outlook 16.0",
            "iPhone Mail (20G75)",
            "K-9 Mail",
            "Roundcube/1.6",
        )
        self.clients = [
            client_of(agent, dice.choice(("[192.168.1.3]", "laptop", "smtpclient.apple")), "PLAIN")
            for agent in dice.sample(agents, dice.randint(1, 2))
        ]
        self.per_day = dice.uniform(2, 15)
        self.new_share = dice.uniform(0.0, 0.1)
        self.wakes = dice.randrange(24)
        self.hosts = [f"site{dice.randrange(2000)}.example" for _ in range(dice.randint(1, 12))]
        self.signature = f"signature {account}"

    def new_address(self) -> str:
        return (
            f"{self.dice.randint(11, 190)}.{self.dice.randrange(256)}.{self.dice.randrange(256)}."
            f"{self.dice.randint(1, 254)}"
        )

    def message(self, at: int) -> Message:
        dice = self.dice
        count = 1 if dice.random() < 0.75 else dice.randint(2, 8)
        recipients = {self.contacts[int(len(self.contacts) * dice.random() ** 2)] for _ in range(count)}
        if dice.random() < self.new_share:
            fresh = f"n{dice.getrandbits(40)}@{dice.choice(FREEMAIL)}"
            recipients.add(fresh)
            if dice.random() < 0.6:
                self.contacts.append(fresh)
        links = (dice.choice(self.hosts),) if dice.random() < 0.3 else ()
        if dice.random() < 0.03:
            links = (f"other{dice.randrange(10**6)}.example",)
        bad = frozenset(r for r in recipients if dice.random() < 0.005)
        thread = f"t{dice.getrandbits(32)}" if dice.random() < 0.5 else ""
        return Message(
            account=self.account,
            at=at,
            recipients=tuple(recipients),
            local=dice.random() < 0.3,
            address=dice.choice(self.places),
            client=dice.choice(self.clients),
            text=self.signature,
            links=links,
            thread=thread,
            bad=bad,
        )

    def times(self, first_day: int, days: int, per_day: float) -> Iterator[int]:
        for day in range(first_day, first_day + days):
            busy = per_day * (0.2 if day % 7 in (2, 3) else 1.0)
            for _ in range(int(self.dice.expovariate(1 / max(busy, 0.1)) * 0.5 + busy * 0.5)):
                hour = (self.wakes + self.dice.triangular(0, 15, 4)) % 24
                yield START + day * DAY_US + int(hour * HOUR)

    def days(self, first_day: int, days: int) -> list[Message]:
        return [self.message(at) for at in self.times(first_day, days, self.per_day)]


# --- what thieves do: each gives the spam of one style, from `at` on


def stranger(dice: random.Random) -> str:
    share = dice.random()
    return (
        f"x{dice.getrandbits(48)}@"
        f"{dice.choice(FREEMAIL) if share < 0.6 else f'victim{dice.randrange(3000)}.example'}"
    )


@dataclass
class Spam:
    """How the thief writes: drawn once for each scene."""

    text: str
    links: tuple[str, ...]
    unique: float  # share of messages with a text of their own
    bad_share: float
    client: str
    per_message: int
    hidden: bool

    @classmethod
    def drawn(cls, dice: random.Random) -> "Spam":
        client = client_of(
            dice.choice(("", "", "Thunderbird/102", "PHPMailer 6.1")),
            dice.choice(("localhost", "[10.0.0.2]", "WIN-A1")),
            "LOGIN",
        )
        links = (f"evil{dice.randrange(10**6)}.example",) if dice.random() < 0.7 else ()
        per_message = dice.choice((1, 1, 1, 5, 20, 50, 100))
        return cls(
            text="buy",
            links=links,
            unique=dice.choice((0.0, 0.0, 1.0)),
            bad_share=dice.uniform(0.0, 0.35),
            client=client,
            per_message=per_message,
            hidden=dice.random() < 0.5,
        )

    def message(
        self,
        dice: random.Random,
        account: int,
        at: int,
        recipients: tuple[str, ...],
        address: str,
        client: str = "",
    ) -> Message:
        text = f"{self.text}{dice.getrandbits(40)}" if dice.random() < self.unique else self.text
        bad = frozenset(r for r in recipients if dice.random() < self.bad_share)
        return Message(
            account=account,
            at=at,
            recipients=recipients,
            local=0,
            address=address,
            client=client or self.client,
            text=text,
            links=self.links,
            hidden=self.hidden and len(recipients) > 1,
            bad=bad,
            is_spam=True,
        )


def spread(
    dice: random.Random,
    spam: Spam,
    person: Person,
    at: int,
    total: int,
    seconds: float,
    addresses: int,
    client: str = "",
) -> list[Message]:
    """`total` strangers within `seconds`, from so many addresses."""
    places = [person.new_address() for _ in range(addresses)]
    count = max(1, total // spam.per_message)
    return [
        spam.message(
            dice=dice,
            account=person.account,
            at=at + int(n * seconds / count * SECOND),
            recipients=tuple(stranger(dice) for _ in range(spam.per_message)),
            address=places[n % addresses],
            client=client,
        )
        for n in range(count)
    ]


def burst(dice: random.Random, person: Person, at: int) -> list[Message]:
    return spread(
        dice=dice,
        spam=Spam.drawn(dice),
        person=person,
        at=at,
        total=5000,
        seconds=dice.choice((30, 300, 3600, 4 * 3600)),
        addresses=1,
    )


def low_and_slow(dice: random.Random, person: Person, at: int) -> list[Message]:
    spam = Spam.drawn(dice)
    spam.per_message = dice.choice((1, 1, 2, 5))
    return spread(dice=dice, spam=spam, person=person, at=at, total=960, seconds=48 * 3600, addresses=1)


def many_addresses(dice: random.Random, person: Person, at: int) -> list[Message]:
    return spread(
        dice=dice,
        spam=Spam.drawn(dice),
        person=person,
        at=at,
        total=5000,
        seconds=dice.choice((600, 7200, 86_400)),
        addresses=dice.choice((10, 100, 1000)),
    )


def from_home(dice: random.Random, person: Person, at: int) -> list[Message]:
    """Malware on the owner's own machine: their network, and now and then their own program."""
    spam = Spam.drawn(dice)
    client = dice.choice(("", person.clients[0]))
    messages = spread(
        dice=dice,
        spam=spam,
        person=person,
        at=at,
        total=dice.choice((960, 5000)),
        seconds=dice.choice((300, 3600, 48 * 3600)),
        addresses=1,
        client=client,
    )
    for message in messages:
        message.address = person.places[0]
    return messages


def in_threads(dice: random.Random, person: Person, at: int) -> list[Message]:
    """Answers in the owner's own conversations, to people they know."""
    spam = Spam.drawn(dice)
    spam.bad_share = 0.005
    place = person.new_address() if dice.random() < 0.7 else person.places[0]
    seconds = dice.choice((600, 6 * 3600, 48 * 3600))
    contacts = person.contacts * 4
    dice.shuffle(contacts)
    messages = []
    for n, contact in enumerate(contacts):
        message = spam.message(
            dice, person.account, at + int(n * seconds / len(contacts) * SECOND), (contact,), place
        )
        message.thread = f"t{dice.getrandbits(32)}"
        messages.append(message)
    return messages


def fresh_links(dice: random.Random, person: Person, at: int) -> list[Message]:
    """Answers to friends, each with words and a link of its own: hijacked web sites."""
    messages = in_threads(dice, person, at)
    for message in messages:
        message.text, message.links = f"see{dice.getrandbits(40)}", (f"shop{dice.randrange(10**7)}.example",)
    return messages


def young_account(dice: random.Random, person: Person, at: int) -> list[Message]:
    """An account that has written on some days only, from a place and by a program that it never used."""
    spam = Spam.drawn(dice)
    return spread(
        dice=dice,
        spam=spam,
        person=person,
        at=at,
        total=dice.choice((960, 5000)),
        seconds=dice.choice((300, 3600, 48 * 3600)),
        addresses=dice.choice((1, 1, 30)),
    )


def at_night(dice: random.Random, person: Person, at: int) -> list[Message]:
    """Malware on the owner's machine that waits until everybody sleeps."""
    night = at // DAY_US * DAY_US + int((person.wakes + 19) % 24 * HOUR)
    spam = Spam.drawn(dice)
    messages = spread(
        dice=dice,
        spam=spam,
        person=person,
        at=night if night >= at else night + DAY_US,
        total=2000,
        seconds=5 * 3600,
        addresses=1,
        client=person.clients[0],
    )
    for message in messages:
        message.address = person.places[0]
    return messages


ATTACKS: dict[str, Callable[[random.Random, Person, int], list[Message]]] = {
    "burst": burst,
    "low and slow": low_and_slow,
    "many addresses": many_addresses,
    "from home": from_home,
    "in threads": in_threads,
    "fresh links": fresh_links,
    "young account": young_account,
    "at night": at_night,
}


# --- what honest people do that looks odd


def newsletter(dice: random.Random, person: Person, at: int) -> list[Message]:
    """With the bulk right: some hundred to some thousand readers, single messages or large ones, some of them
    gone."""
    readers = [f"r{n}@{dice.choice(FREEMAIL)}" for n in range(dice.randint(300, 4000))]
    size = dice.choice((1, 50, 100))
    out = []
    for week in range(3):
        for n in range(0, len(readers), size):
            group = tuple(readers[n : n + size])
            bad = frozenset(r for r in group if dice.random() < 0.01)
            when = at + week * 7 * DAY_US + n * dice.randint(20_000, 40_000)
            out.append(
                Message(
                    account=person.account,
                    at=when,
                    recipients=group,
                    local=0,
                    address=person.places[0],
                    client=person.clients[0],
                    text="news",
                    links=("news.example",),
                    hidden=size > 1,
                    bad=bad,
                )
            )
        readers += [f"r{week}-{n}@{dice.choice(FREEMAIL)}" for n in range(dice.randint(0, 80))]
    return out


def traveller(dice: random.Random, person: Person, at: int) -> list[Message]:
    """Ten days abroad: another network each day or hour, another time zone, perhaps another program; ordinary
    recipients, a few new."""
    days = dice.randint(4, 14)
    person.wakes = (person.wakes + dice.choice((7, 9, 12, 16))) % 24
    program = dice.choice((person.clients[0], client_of("Airline Webmail", "[10.1.1.1]", "PLAIN")))
    pool = [person.new_address() for _ in range(dice.randint(days, 4 * days))]
    out = []
    for message in person.days((at - START) // DAY_US, days):
        message.address, message.client = dice.choice(pool), program
        if dice.random() < 0.25:
            message.recipients += (f"hotel{dice.getrandbits(32)}@org{dice.randrange(400)}.example",)
        out.append(message)
    friends = tuple(dict.fromkeys(person.contacts))[: dice.randint(10, 50)]
    out.append(
        Message(
            account=person.account,
            at=at + days * DAY_US // 2,
            recipients=friends,
            local=0,
            address=pool[0],
            client=program,
            text="photos",
            links=("album.example",),
        )
    )
    return out


def newcomer(dice: random.Random, person: Person, at: int) -> list[Message]:
    """An account of this week that introduces itself to the whole club, in one message or in many."""
    club = [f"member{n}@{dice.choice(FREEMAIL)}" for n in range(dice.randint(20, 190))]
    local = dice.randint(0, 60)
    size = dice.choice((1, 10, len(club)))
    out = person.days((at - START) // DAY_US - dice.randint(0, 3), 3) if dice.random() < 0.5 else []
    for n in range(0, len(club), size):
        group = tuple(club[n : n + size])
        bad = frozenset(r for r in group if dice.random() < 0.02)
        out.append(
            Message(
                account=person.account,
                at=at + n * dice.randint(1, 120) * SECOND,
                recipients=group,
                local=local if not n else 0,
                address=person.places[0],
                client=person.clients[0],
                text="hello club",
                links=("club.example",),
                hidden=size > 10 and dice.random() < 0.5,
                bad=bad,
            )
        )
    return out


def organiser(dice: random.Random, person: Person, at: int) -> list[Message]:
    """From the own desk: an invitation to people never written to before, in one message."""
    guests = tuple(stranger(dice) for _ in range(dice.randint(10, 40)))
    bad = frozenset(r for r in guests if dice.random() < 0.03)
    out = person.days((at - START) // DAY_US, 5)
    return [
        *out,
        Message(
            account=person.account,
            at=at,
            recipients=guests,
            local=0,
            address=person.places[0],
            client=person.clients[0],
            text="invitation",
            links=("meet.example",),
            bad=bad,
        ),
    ]


def greeting(dice: random.Random, person: Person, at: int) -> list[Message]:
    """Season's greetings to everybody one knows."""
    everybody = tuple(dict.fromkeys(person.contacts))[:150]
    out = person.days((at - START) // DAY_US, 3)
    return [
        *out,
        Message(
            account=person.account,
            at=at,
            recipients=everybody,
            local=3,
            address=person.places[0],
            client=person.clients[0],
            text="greetings",
            hidden=dice.random() < 0.5,
        ),
    ]


def desk(dice: random.Random, person: Person, at: int) -> list[Message]:
    """A role account that answers people who wrote first: many strangers every day."""
    out = []
    rate = dice.uniform(8, 30)
    for when in person.times((at - START) // DAY_US, 30, rate):
        message = Message(
            account=person.account,
            at=when,
            recipients=(stranger(dice),),
            local=0,
            address=person.places[0],
            client=person.clients[0],
            text=person.signature,
            links=("help.example",),
            thread=f"q{dice.getrandbits(40)}",
        )
        out.append(message)
    return out


def busy_traveller(dice: random.Random, person: Person, at: int) -> list[Message]:
    """Away on business, by a program that is new: answers to people who wrote first, many links of the trip,
    one album for some friends."""
    out = traveller(dice, person, at)
    for message in out:
        if message.links == () and dice.random() < 0.2:
            message.links = (f"trip{dice.randrange(10**7)}.example",)
    program, place = out[-1].client, out[-1].address
    for n in range(dice.randint(3, 9)):
        when = at + 2 * DAY_US + n * 2 * MINUTE
        out.append(
            Message(
                account=person.account,
                at=when,
                recipients=(person.contacts[n],),
                local=0,
                address=place,
                client=program,
                text="the album",
                links=("album2.example",),
            )
        )
    for n in range(dice.randint(0, 8)):
        when = at + 3 * DAY_US + n * 5 * MINUTE
        out.append(
            Message(
                account=person.account,
                at=when,
                recipients=(stranger(dice),),
                local=0,
                address=place,
                client=program,
                text=person.signature,
                thread=f"a{dice.getrandbits(40)}",
            )
        )
    return out


def mover(dice: random.Random, person: Person, at: int) -> list[Message]:
    """Three days old, known from home, and today in the office by another program: greets the club in one
    message."""
    out = person.days((at - START) // DAY_US - 3, 3)
    club = tuple(f"member{n}@{dice.choice(FREEMAIL)}" for n in range(dice.randint(20, 150)))
    office = client_of("Outlook 16.0", "pc-7.office.example", "LOGIN")
    return [
        *out,
        Message(
            account=person.account,
            at=at,
            recipients=club,
            local=0,
            address=person.new_address(),
            client=office,
            text="hello club",
            links=("club.example",),
        ),
    ]


HONEST: dict[str, Callable[[random.Random, Person, int], list[Message]]] = {
    "newsletter": newsletter,
    "traveller": traveller,
    "new member": newcomer,
    "organiser": organiser,
    "greeting": greeting,
    "help desk": desk,
    "busy traveller": busy_traveller,
    "mover": mover,
}


@dataclass
class Ending:
    scene: str
    seed: int
    spam: Tally
    honest: Tally


def rehearse(scene: str, seed: int, rules: GuardRules | None = None) -> Ending:
    """One scene in a house of its own; gives what became of the spam and of the account's honest mail from
    the scene on."""
    dice = random.Random(f"{scene}/{seed}")
    house = House(rules)
    weeks = dice.randint(3, 8)
    begin = 7 * weeks if scene != "young account" else dice.randint(2, 6)
    person, other = Person(1, dice), Person(2, dice)
    history = other.days(0, begin + 3)
    if scene not in ("new member", "mover"):
        history += person.days(0, begin)
    else:
        # The club is known to those who were here before.
        share = dice.choice((0.0, 0.5, 1.0))
        old = tuple(f"member{n}@{domain}" for n in range(200) for domain in FREEMAIL if dice.random() < share)
        history += [
            Message(
                account=2,
                at=START + DAY_US + n,
                recipients=old[n : n + 50],
                local=0,
                address=other.places[0],
                client=other.clients[0],
            )
            for n in range(0, len(old), 50)
        ]
        house.bulk.add(2)
    at = START + begin * DAY_US + int(dice.uniform(0, 24) * HOUR)
    if scene == "newsletter":
        house.bulk.add(1)
    house.run([m for m in history if m.at < at])
    house.tallies.clear()
    if scene in ATTACKS:
        messages = ATTACKS[scene](dice, person, at) + [m for m in person.days(begin, 3) if m.at >= at]
    else:
        messages = HONEST[scene](dice, person, at)
    house.run(messages + [m for m in history if m.at >= at])
    return Ending(scene, seed, house.tallies.get((1, True), Tally()), house.tallies.get((1, False), Tally()))
