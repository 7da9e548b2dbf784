"""What is remembered of a suspicious sender, and whether its message is one that somebody waits for. Only
reads."""

from sekisho.core.message.hypertext import read_hypertext
from sekisho.core.message.text import decode_field
from sekisho.core.policy.classifier.bodytokens import decoded
from sekisho.core.policy.door.stranger import proven_domains, suspicion
from sekisho.core.policy.evidence import Evidence
from sekisho.core.policy.greylist import GreylistFinding, domain_key, network_key
from sekisho.core.policy.onetime import MAX_CHARACTERS, one_time_words
from sekisho.core.policy.reputation import ReputationRules
from sekisho.ports.content import StoreUnavailable
from sekisho.ports.greylist import Greylist
from sekisho.probes.arrival import Arrival
from sekisho.probes.reading import read_parts
from sekisho.probes.reputation import address_keys

_MOST_BODIES = 4
_LINKS = ("http://", "https://")


class GreylistProbe:
    """`experience`: by which rules a sender is known. Whoever is not suspicious costs nothing."""

    def __init__(self, greylist: Greylist, experience: ReputationRules) -> None:
        self._greylist, self._experience = greylist, experience

    async def look(self, arrival: Arrival, evidence: Evidence) -> GreylistFinding | None:
        """`evidence`: all the rest. None: nobody has to ask."""
        if not suspicion(evidence, self._experience):
            return None
        key = key_of(arrival, evidence)
        code = await _code_in(arrival)
        if code:
            return GreylistFinding(key=key, now_us=arrival.at_us, code=code)
        try:
            return GreylistFinding(key=key, tried=await self._greylist.tried(key), now_us=arrival.at_us)
        except StoreUnavailable as error:
            return GreylistFinding(problem=str(error))


def key_of(arrival: Arrival, evidence: Evidence) -> str:
    """A retry has the same one, wherever in the sender's network it comes from."""
    proven = proven_domains(evidence)
    if proven:
        return domain_key(proven[0])
    sender = arrival.envelope.reverse_path.address
    _, _, network = address_keys(arrival.client.address)
    return network_key(network, sender.domain if sender is not None else "<>")


async def _code_in(arrival: Arrival) -> str:
    """The words by which the message looks like a code or a confirmation, "" without."""
    message = await read_parts(arrival.content.read)
    texts: list[str] = []
    has_link = False
    for body in message.bodies[:_MOST_BODIES]:
        text = decoded(body)
        if body.part.subtype == b"html":
            page = read_hypertext(text)
            has_link = has_link or any(link.target.lower().startswith(_LINKS) for link in page.links)
            text = page.shown
        has_link = has_link or any(scheme in text for scheme in _LINKS)
        texts.append(text[:MAX_CHARACTERS])
    return one_time_words(
        decode_field(arrival.header.first(b"subject") or b""), "\n".join(texts), has_link=has_link
    )
