"""Our own experience at the door: it grows by verdicts and by what users do, puts into Junk, and gives way to
their trust."""

from dataclasses import dataclass

from tests.services.reception.test_inspector import ZONE, _deliver
from tests.services.smtp_world import HOSTNAME, World, codes

from sekisho.core.policy.dnsbl import Blocklist, CodeRange
from sekisho.core.policy.door.rule import DoorRules
from sekisho.core.terms.address import Address
from sekisho.ports.content import MessageOctets
from sekisho.ports.learning import JudgedMessage
from sekisho.probes.budget import BudgetedResolver
from sekisho.probes.reputation import Organizations, ReputationProbe
from sekisho.probes.table import Probes
from sekisho.services.experience import Experience
from sekisho.services.reception.inspector import DoorInspector, DoorTools
from sekisho.testing.zones import ZoneResolver

LISTED = "7.2.0.192.bl.example A 127.0.0.2\n7.2.0.192.rbl.example A 127.0.0.2\n"
LISTS = tuple(
    Blocklist(zone=zone, codes=(CodeRange.parse("127.0.0.2", "spam source"),))
    for zone in ("bl.example", "rbl.example")
)
HONEST = b"From: a@good.example\r\nSubject: hello\r\n\r\nx"
FORGED = b"From: user@local.example\r\n\r\nx"


@dataclass
class Scene:
    world: World
    experience: Experience

    @classmethod
    async def make(cls, zone: str = "", lists: int = 0) -> "Scene":
        world = await World().fill()
        world.clock.advance(1000.0)
        rules, resolver, store = DoorRules(), ZoneResolver(ZONE + zone), world.store
        organizations = Organizations(world.clock)
        experience = Experience(
            store.reputation, store.judgements, organizations, lambda: BudgetedResolver(resolver), world.clock
        )
        experience.hostname = HOSTNAME
        probe = ReputationProbe(store.reputation, organizations, rules.experience)
        tools = DoorTools(
            directory=store.directory,
            budgeted=lambda: BudgetedResolver(resolver),
            journal=world.journal,
            probes=Probes(reputation=probe),
            experience=experience,
            blocklists=lambda: LISTS[:lists],
        )
        world.inspector = DoorInspector(HOSTNAME, rules, (), tools)
        return cls(world, experience)

    async def junk(self) -> list[tuple[MessageOctets, str]]:
        """Of "user": the messages in Junk and their content ids."""
        mail, account = self.world.store.mail, self.world.accounts["user"].id
        view = await mail.view(account, "Junk", claim_recent=False)
        opened = [await mail.open(view.info.id, uid) for uid in view.uids]
        return [(octets, str(number)) for number, octets in enumerate(opened) if octets is not None]

    async def judge(self, octets: MessageOctets, content_id: str, *, is_junk: bool) -> None:
        whole = await octets.read(0, octets.size_octets)
        prefix = whole.index(b"From: ")
        account = self.world.accounts["user"].id
        await self.experience.judged(
            JudgedMessage(
                account_id=account,
                content_id=content_id,
                is_junk=is_junk,
                was_other=False,
                octets=octets,
                prefix_octets=prefix,
            )
        )


async def test_a_host_that_only_did_bad_comes_into_junk_until_somebody_trusts_the_sender() -> None:
    scene = await Scene.make()
    for _ in range(8):
        assert codes(await _deliver(scene.world, FORGED)) == [550]
    assert codes(await _deliver(scene.world, HONEST)) == [250]
    assert await scene.world.mailbox("user") == []
    ((octets, content_id),) = await scene.junk()
    await scene.judge(octets, content_id, is_junk=False)  # the user takes it out
    assert codes(await _deliver(scene.world, HONEST)) == [250]
    assert len(await scene.world.mailbox("user")) == 1
    rules = [
        entry.fields["rule"] for entry in scene.world.journal.entries if entry.kind == "reception.evidence"
    ]
    assert rules[-2:] == ["bad-reputation", ""]


async def test_two_blocklists_refuse_a_stranger_but_not_whom_our_people_write_to() -> None:
    scene = await Scene.make(LISTED, lists=2)
    (answer,) = await _deliver(scene.world, HONEST)
    assert answer.startswith("550 5.7.1") and "bl.example, rbl.example" in answer
    scene.experience.wrote(scene.world.accounts["user"].id, [Address.from_text("a@good.example")])
    assert codes(await _deliver(scene.world, HONEST)) == [250]
    assert len(await scene.world.mailbox("user")) == 1


async def test_a_listed_host_spoils_no_name() -> None:
    """Whoever sends signed mail again from a botnet is no fault of its author."""
    scene = await Scene.make(LISTED, lists=2)
    assert codes(await _deliver(scene.world, HONEST)) == [550]
    found = await scene.world.store.reputation.histories(["client:192.0.2.7", "domain:good.example"])
    assert found["client:192.0.2.7"].refused == 1 and "domain:good.example" not in found


async def test_one_blocklist_alone_refuses_nobody() -> None:
    scene = await Scene.make(LISTED, lists=1)
    assert codes(await _deliver(scene.world, HONEST)) == [250]
    (entry,) = [entry for entry in scene.world.journal.entries if entry.kind == "reception.evidence"]
    assert entry.fields["dnsbl"] == "bl.example says spam source (weight 1)"


async def test_a_forged_author_earns_nothing_for_its_domain() -> None:
    scene = await Scene.make('unproven.example TXT "v=spf1 -all"\n')
    scene.experience.wrote(scene.world.accounts["user"].id, [Address.from_text("boss@unproven.example")])
    for _ in range(8):
        await _deliver(scene.world, FORGED)
    # Nothing proves that it is unproven.example who writes: the address that somebody wrote to lets nobody
    # past a bad history.
    assert codes(
        await _deliver(scene.world, b"From: boss@unproven.example\r\n\r\nx", "boss@unproven.example")
    ) == [250]
    assert await scene.world.mailbox("user") == []
    assert len(await scene.junk()) == 1


async def test_a_suspicion_that_was_wrong_is_taken_back() -> None:
    """The door put it into Junk, a person took it out: the host stands as if the door had never suspected it,
    and a bit better."""
    scene = await Scene.make(
        '_dmarc.good.example TXT "v=DMARC1; p=quarantine; aspf=s"\nmail.good.example TXT "v=spf1 +all"\n'
    )
    assert codes(await _deliver(scene.world, HONEST, "a@mail.good.example")) == [250]
    await scene.world.store.reputation.flush()
    (key,) = [known.key for known in await scene.world.store.reputation.listing("client:", 1)]
    suspected = (await scene.world.store.reputation.histories([key]))[key]
    assert (suspected.refused, suspected.bad, suspected.messages) == (1, 0.5, 1)
    ((octets, content_id),) = await scene.junk()
    await scene.judge(octets, content_id, is_junk=False)
    cleared = (await scene.world.store.reputation.histories([key]))[key]
    assert (cleared.refused, cleared.messages, cleared.cleared) == (0, 1, 1)
    assert abs(cleared.bad) < 1e-9 and cleared.good == 3.0
    await scene.judge(octets, content_id, is_junk=False)  # another account says the same
    assert (await scene.world.store.reputation.histories([key]))[key].refused == 0
