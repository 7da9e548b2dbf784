"""From an act of the script to what goes over the wire: who connects, with which envelope and which
octets."""

from dataclasses import dataclass
from hashlib import blake2b
from random import Random

from sekisho.core.mailauth.arc.seal import seal_message
from sekisho.core.mailauth.arc.verify import ArcEvidence
from sekisho.core.mailauth.dkim.sign import SigningBody
from sekisho.core.message.header import HeaderSection
from sekisho.lab import letters
from sekisho.lab.letters import LabLetter
from sekisho.lab.scene import Actor, Scene
from sekisho.lab.script import Act, IpAddress, pick_address, sender_of
from sekisho.lab.smtp import LabSending
from sekisho.lab.world import World, hello_of

_HOUR_US = 3_600_000_000


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message ready to be sent: `carrier` is who connects, from `client`."""

    sending: LabSending
    message_id: str
    carrier: Actor
    client: IpAddress


class Post:
    """Writes the messages of one scene, and remembers their ids for those that answer them."""

    def __init__(self, scene: Scene, world: World) -> None:
        self._scene = scene
        self._world = world
        self._written: dict[tuple[str, int], str] = {}

    def parcel(self, act: Act, actor: Actor, now_us: int) -> Parcel:
        """For do = "mail" and "submit"."""
        assert act.address is not None
        sender = (
            sender_of(act.step, actor, act.number)
            if act.step.sender is not None or not actor.account
            else self._address(actor)
        )
        letter = self._letter(act, actor, sender)
        message_id = letters.message_id_of(letter.token, letter.domain)
        self._written[(act.step.name, act.number)] = message_id
        content = letters.compose(letter, now_us)
        signer = self._world.signers.get(actor.domain)
        if act.step.do == "mail" and act.step.sign and signer is not None:
            content = letters.sign(content, signer, now_us)
        parcel = Parcel(LabSending(sender, act.recipients, content), message_id, actor, act.address)
        return self._carried(parcel, act, now_us) if act.step.via else parcel

    def mbox(self, act: Act, now_us: int) -> bytes:
        """What a command is given to read: so many letters of its style as the step says, one after the
        other."""
        written: list[bytes] = []
        for number in range(act.step.letters):
            author = act.step.author or f"{act.step.style}{number}@archive.example"
            letter = LabLetter(
                token=f"{act.token}-{number}",
                author=author.replace("{n}", str(number)),
                recipients=(f"hanako@{self._scene.house.domains[0]}",),
                seed=f"{act.seed}:{number}",
                domain=author.rpartition("@")[2],
                style=act.step.style,
                writing=act.step.writing,
            )
            written.append(letters.compose(letter, now_us - number * _HOUR_US))
        return b"".join(
            b"From archive Mon Jan  1 00:00:00 2024\n%b\n\n" % octets.replace(b"\r\n", b"\n")
            for octets in written
        )

    def _address(self, actor: Actor) -> str:
        return f"{actor.account}@{self._scene.house.domains[0]}"

    def _letter(self, act: Act, actor: Actor, sender: str) -> LabLetter:
        step = act.step
        author = step.author or sender or self._address(actor)
        answered = (
            self._written.get((step.thread, act.thread % max(1, self._count(step.thread))), "")
            if act.thread is not None
            else ""
        )
        name = step.author_name
        if name is None:
            name = next(
                (account.display for account in self._scene.account if account.name == actor.account), ""
            )
        values = {
            "n": str(act.number),
            "token": act.token,
            "recipient": act.recipients[0] if act.recipients else "",
        }
        subject = _filled(step.subject, values) or (f"Re: {step.thread}" if answered else "")
        return LabLetter(
            token=act.token,
            author=_filled(author, values),
            recipients=act.recipients,
            seed=act.seed,
            domain=author.rpartition("@")[2] or "lab.example",
            author_name=name,
            style=step.style,
            writing=step.writing,
            subject=subject,
            text=_filled(step.text, values),
            reply_to=step.reply_to,
            in_reply_to=answered,
            agent=actor.agent,
            headers={key: _filled(value, values) for key, value in step.headers.items()},
            attachments=step.attach,
            octets=step.octets,
        )

    def _count(self, step: str) -> int:
        return sum(name == step for name, _ in self._written)

    def _carried(self, parcel: Parcel, act: Act, now_us: int) -> Parcel:
        """Through a forwarder or a list, which both stand for themselves."""
        carrier = self._scene.find_actor(act.step.via)
        content = letters.received(
            hello_of(carrier, None), str(parcel.client), hello_of(parcel.carrier, parcel.client), now_us
        )
        content += parcel.sending.content
        signer = self._world.signers.get(carrier.domain)
        reverse_path = parcel.sending.reverse_path
        if carrier.role == "list":
            content = letters.through_list(content, f"{carrier.name}.{carrier.domain}", carrier.name)
            content = letters.sign(content, signer, now_us) if signer is not None else content
            reverse_path = f"{carrier.name}-bounces@{carrier.domain}"
        elif carrier.srs and reverse_path:
            reverse_path = rewritten(reverse_path, carrier.domain)
        if carrier.arc and signer is not None:
            content = self._sealed(content, carrier, parcel, now_us) + content
        client = pick_address(carrier.address, Random(act.seed))
        return Parcel(
            LabSending(reverse_path, parcel.sending.recipients, content), parcel.message_id, carrier, client
        )

    def _sealed(self, content: bytes, carrier: Actor, parcel: Parcel, now_us: int) -> bytes:
        header = HeaderSection(content)
        body = SigningBody()
        body.feed(content[header.body :])
        domain = parcel.sending.reverse_path.rpartition("@")[2]
        results = (
            f"{hello_of(carrier, None)}; spf=pass smtp.mailfrom={domain}; dkim=pass "
            f"header.d={domain}; dmarc=pass header.from={domain}"
        )
        return seal_message(
            sealer=self._world.signers[carrier.domain],
            header=header,
            body_hash=body.finish(),
            results=results.encode(),
            chain=ArcEvidence(result="none"),
            now_seconds=now_us // 1_000_000,
        )


def rewritten(reverse_path: str, domain: str) -> str:
    """The sender rewriting scheme, so that SPF holds for the forwarder (its hash means nothing to others)."""
    local, _, origin = reverse_path.rpartition("@")
    check = blake2b(reverse_path.encode(), digest_size=2).hexdigest()
    return f"SRS0={check}=AA={origin}={local}@{domain}"


def _filled(text: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        text = text.replace("{" + name + "}", value)
    return text
