"""Plays a script on a stage: act after act in the order of the lab's time, which is moved on whenever nothing
is left to do."""

import asyncio
import heapq
import itertools
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from sekisho.lab.dialogs import play
from sekisho.lab.explaining import Explainer
from sekisho.lab.guessing import Campaign
from sekisho.lab.logins import service_of, try_login
from sekisho.lab.mailbox import MailboxTrouble
from sekisho.lab.outcomes import SECOND_US, Book, OutcomeCase, default_retries
from sekisho.lab.post import Parcel, Post
from sekisho.lab.scene import Actor, SceneStep
from sekisho.lab.script import Act, pick_address
from sekisho.lab.smtp import LabSending, Sender
from sekisho.lab.stage import Stage
from sekisho.lab.tracking import Tracker
from sekisho.lab.wire import CONNECTION_ENDED, SmtpReply
from sekisho.lab.world import hello_of
from sekisho.ports.lab import Complaint

GAVE_UP = SmtpReply(0, "gave up: refused too often before")
THIEFS_PATIENCE = 5
LOOK_SECONDS, _LOOK_AGAIN_SECONDS = 10.0, 0.05  # for a letter that the server writes in the background
CHORE_SECONDS = (
    0.3  # the server learns from a move in the background, and writes that down when some time has passed
)
_REMOVING = ("purge", "drop")  # commands after which held mail may be nowhere
_JITTER = 0.1  # of the wait before a retry


@dataclass(order=True, slots=True)
class _Event:
    at_us: int
    order: int
    run: Callable[[], Awaitable[None]] = field(compare=False)


class Runner:
    """One scene. `notice` is told of each case when its outcome is known, and again when it changes."""

    def __init__(self, stage: Stage, book: Book, seed: int, notice: Callable[[OutcomeCase], None]) -> None:
        self._stage = stage
        self._book = book
        self._notice = notice
        self._post = Post(stage.scene, stage.world)
        self._explainer = Explainer(stage, notice)
        self._track = Tracker(stage, book, notice)
        self._dice = random.Random(f"runner:{seed}")
        self._events: list[_Event] = []
        self._order = itertools.count()
        self._refusals: dict[str, int] = {}  # by step: how often in a row
        self._server_has_chores = False
        self.login_seconds: dict[str, list[float]] = {}  # by step

    async def run(self) -> None:
        """To the end, and until nothing waits any more but what is held. Raises OSError, RehearsalFailed."""
        begin = self._stage.begin_us
        for (at, _), group in itertools.groupby(
            self._stage.script.acts, key=lambda act: (act.at, act.step.name)
        ):
            acts = list(group)
            self._plan(begin + int(at * SECOND_US), partial(self._perform, acts))
        while self._events:
            event = heapq.heappop(self._events)
            await self._track.advance_to(event.at_us)
            if self._server_has_chores:
                await asyncio.sleep(CHORE_SECONDS)
                self._server_has_chores = False
            await event.run()
            await self._explainer.catch_up()
        await self._track.finish()
        await self._explainer.finish()

    def _plan(self, at_us: int, run: Callable[[], Awaitable[None]]) -> None:
        heapq.heappush(self._events, _Event(at_us, next(self._order), run))

    async def _perform(self, acts: Sequence[Act]) -> None:
        """Acts of one step at one moment."""
        step = acts[0].step
        match step.do:
            case "mail" | "submit":
                await self._send(acts)
            case "dialog":
                for act in acts:
                    await self._dialog(act)
            case "login":
                await self._logins(acts)
            case "guess":
                await self._guess(acts[0])
            case "move":
                await self._move(acts[0])
            case "command":
                await self._command(acts[0])
            case "look":
                await self._look_for(acts[0])
            case "dns":
                silent = self._stage.world.zone.silent
                silent.difference_update(step.zones) if step.answers else silent.update(step.zones)
            case "wait":
                self._server_has_chores = True

    # Messages

    async def _send(self, acts: Sequence[Act]) -> None:
        """In as many lanes as the step has; each lane keeps a connection for some messages."""
        together = min(acts[0].step.together, len(acts))
        await asyncio.gather(*(self._lane(acts[lane::together]) for lane in range(together)))

    async def _lane(self, acts: Sequence[Act]) -> None:
        sender: Sender | None = None
        used = 0
        for act in acts:
            actor = self._stage.scene.find_actor(act.step.actor)
            now_us = self._stage.now_us()
            parcel = self._post.parcel(act, actor, now_us)
            cases = [self._book.open(act, actor, to, parcel.message_id, now_us) for to in act.recipients]
            if self._refusals.get(act.step.name, 0) >= patience(actor):
                self._settle(cases, dict.fromkeys(act.recipients, GAVE_UP))
                continue
            if sender is not None and (not sender.is_open or used >= (act.step.per_connection or 1)):
                await sender.close()
                sender = None
            sender, used = (sender, used + 1) if sender is not None else (await self._connect(act, parcel), 1)
            await self._try(cases, parcel, sender, 0)
        if sender is not None:
            await sender.close()

    async def _connect(self, act: Act, parcel: Parcel) -> Sender:
        """An open connection, or one whose `trouble` says why it is none."""
        stage, carrier = self._stage, parcel.carrier
        sender = Sender(
            stage.door, parcel.client, hello_of(carrier, parcel.client), tls=carrier.tls == "starttls"
        )
        try:
            if act.step.do == "submit":
                login = (
                    stage.address_of(carrier.account),
                    carrier.password or stage.passwords[carrier.account],
                )
                await sender.open(stage.server.ports["submissions"], implicit_tls=True, login=login)
            else:
                await sender.open(stage.server.ports["smtp"])
        except (OSError, TimeoutError) as error:
            sender.trouble = SmtpReply(0, str(error))
        return sender

    async def _try(self, cases: Sequence[OutcomeCase], parcel: Parcel, sender: Sender, turn: int) -> None:
        recipients = [case.recipient for case in cases]
        for case in cases:
            case.tries += 1
        if sender.is_open:
            sending = LabSending(parcel.sending.reverse_path, recipients, parcel.sending.content)
            replies = (await sender.send(sending)).replies
        else:
            replies = dict.fromkeys(recipients, sender.trouble)
        step = cases[0].act.step.name
        is_refused = all(reply.code >= 500 or not reply.code for reply in replies.values())
        self._refusals[step] = self._refusals.get(step, 0) + 1 if is_refused else 0
        self._settle(cases, replies)
        await self._look(cases)
        waiting = [case for case in cases if case.outcome == "deferred"]
        retries = default_retries(cases[0].act.step, parcel.carrier)
        if waiting and turn < len(retries):
            for case in waiting:
                case.outcome = "waiting"
            wait = retries[turn] * self._dice.uniform(1, 1 + _JITTER)
            self._plan(
                self._stage.now_us() + int(wait * SECOND_US), lambda: self._retry(waiting, parcel, turn + 1)
            )

    async def _retry(self, cases: Sequence[OutcomeCase], parcel: Parcel, turn: int) -> None:
        """From another address, if the carrier has several and uses them so."""
        if parcel.carrier.rotate == "try":
            client = pick_address(parcel.carrier.address, self._dice)
            parcel = Parcel(parcel.sending, parcel.message_id, parcel.carrier, client)
        sender = await self._connect(cases[0].act, parcel)
        await self._try(cases, parcel, sender, turn)
        await sender.close()

    def _settle(self, cases: Sequence[OutcomeCase], replies: dict[str, SmtpReply]) -> None:
        """What the replies alone say."""
        now_us = self._stage.now_us()
        for case in cases:
            reply = case.reply = replies.get(case.recipient, CONNECTION_ENDED)
            case.said = ""
            if reply.code == 250:
                case.accepted_us = now_us
            elif reply.code == 0 and reply is not GAVE_UP:
                case.outcome = "disconnected"
            elif 400 <= reply.code < 500:
                case.outcome = "deferred"
            else:
                case.outcome = "refused"
            self._explainer.note(case)

    async def _look(self, cases: Sequence[OutcomeCase]) -> None:
        taken = [case for case in cases if case.reply is not None and case.reply.code == 250]
        await self._track.follow(taken)
        for case in cases:
            self._notice(case)

    # Dialogs

    async def _dialog(self, act: Act) -> None:
        actor = self._stage.scene.find_actor(act.step.actor)
        case = self._book.open(
            act, actor, ", ".join(act.recipients), f"<{act.token}@lab.example>", self._stage.now_us()
        )
        case.tries = 1
        try:
            reply, case.problem = await play(self._stage, act, actor)
        except (OSError, TimeoutError) as error:  # turned away before the first word
            reply = SmtpReply(0, str(error))
        case.reply = reply
        found = await self._track.find_token(act.token, act.recipients)
        if found:
            case.outcome = found
            case.arrived_us = self._stage.now_us()
        elif not reply.code or reply.code == 421:
            case.outcome = "disconnected"
        else:
            case.outcome = "refused" if reply.code >= 500 else "deferred" if reply.code >= 400 else "done"
        self._explainer.note(case)
        self._notice(case)

    # Logins

    async def _logins(self, acts: Sequence[Act]) -> None:
        for act in acts:
            actor = self._stage.scene.find_actor(act.step.actor)
            case = self._book.open(
                act, actor, self._stage.address_of(actor.account), "", self._stage.now_us()
            )
            await self._login(case, act.step, actor)
            self._notice(case)

    async def _login(self, case: OutcomeCase, step: SceneStep, actor: Actor) -> None:
        stage = self._stage
        assert case.act.address is not None
        address, password = stage.address_of(actor.account), actor.password or stage.passwords[actor.account]
        began = time.monotonic()
        case.tries += 1
        try:
            service = service_of(step.service, case.number)
            is_in, case.said = await try_login(
                stage.door, case.act.address, stage.server.ports, service, (address, password)
            )
            self._time(step, began)
        except (OSError, TimeoutError) as error:
            is_in, case.said = False, str(error)
        case.outcome = "logged-in" if is_in else "turned-away"
        case.hits += is_in

    def _time(self, step: SceneStep, began: float) -> None:
        self.login_seconds.setdefault(step.name, []).append(time.monotonic() - began)

    async def _guess(self, act: Act) -> None:
        stage, step = self._stage, act.step
        actor = stage.scene.find_actor(step.actor)
        case = self._book.open(act, actor, "", "", stage.now_us())
        campaign = Campaign(stage, act, actor)
        running = asyncio.create_task(campaign.run())
        other = next((one for one in stage.script.acts if one.step.name == step.meanwhile), None)
        while other is not None and not running.done():
            owner = stage.scene.find_actor(other.step.actor)
            login = self._book.open(other, owner, stage.address_of(owner.account), "", stage.now_us())
            await self._login(login, other.step, owner)
            self._notice(login)
            await asyncio.wait([running], timeout=other.step.every)
        await running
        case.count, case.hits, case.tries = campaign.tried, len(campaign.found), campaign.tried
        case.said = campaign.summary()
        case.outcome = "logged-in" if campaign.found else "turned-away"
        self._notice(case)

    # What people and operators do

    async def _move(self, act: Act) -> None:
        actor = self._stage.scene.find_actor(act.step.actor)
        case = self._book.open(act, actor, actor.account, "", self._stage.now_us())
        mailbox = self._stage.mailbox(actor.account)
        folder = "INBOX" if act.step.folder == "inbox" else "Junk"
        try:
            await mailbox.refresh()
            moved = [
                await mailbox.move(message.message_id, folder)
                for message in self._book.of_steps(act.step.messages)
            ]
        except (MailboxTrouble, OSError) as error:
            case.problem, moved = Complaint("{reason}", {"reason": str(error)}), []
        case.count = sum(moved)
        case.outcome = "done" if any(moved) else "not-done"
        self._notice(case)
        await asyncio.sleep(CHORE_SECONDS)
        self._server_has_chores = True

    async def _command(self, act: Act) -> None:
        stage = self._stage
        actor = Actor(name="operator", side="house", address=(), account=stage.scene.account[0].name)
        case = self._book.open(act, actor, "", "", stage.now_us())
        domain = stage.scene.house.domains[0]
        args = [word.replace("{domain}", domain) for word in act.step.args]
        stdin = act.step.stdin or self._post.mbox(act, stage.now_us()).decode("ascii")
        code, output = await stage.server.command(args, stdin)
        case.said = " ".join(output.split())
        case.outcome = "done" if code == 0 else "not-done"
        case.tries = 1
        self._track.look_again(may_remove=any(word in _REMOVING for word in args))
        self._notice(case)

    async def _look_for(self, act: Act) -> None:
        """Did a letter with these words in its subject arrive, in a mailbox here or at an address outside?"""
        actor = self._stage.scene.find_actor(act.step.actor)
        where = act.recipients[0] if act.recipients else self._stage.address_of(actor.account)
        case = self._book.open(act, actor, where, "", self._stage.now_us())
        case.tries = 1
        deadline = time.monotonic() + LOOK_SECONDS
        found: list[str] = []
        try:
            while not (
                found := [
                    subject
                    for subject in await self._subjects(act, actor, where)
                    if act.step.subject in subject
                ]
            ):
                if time.monotonic() > deadline:
                    break
                await asyncio.sleep(_LOOK_AGAIN_SECONDS)
        except (MailboxTrouble, OSError, TimeoutError) as error:
            case.problem = Complaint("{reason}", {"reason": str(error)})
        case.outcome, case.said = ("done", found[-1]) if found else ("not-done", "")
        self._notice(case)

    async def _subjects(self, act: Act, actor: Actor, where: str) -> list[str]:
        if act.recipients:
            return self._stage.sink.subjects.get(where.lower(), [])
        return await self._stage.mailbox(actor.account).subjects(
            "Junk" if act.step.folder == "junk" else "INBOX"
        )


def patience(actor: Actor) -> float:
    """After how many refusals in a row it stops trying."""
    if actor.gives_up is not None:
        return actor.gives_up
    return THIEFS_PATIENCE if actor.side == "attack" and actor.account else float("inf")
