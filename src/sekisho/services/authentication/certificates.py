"""Whose account a verified client certificate opens (SASL EXTERNAL)."""

from dataclasses import replace

from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Channel, LoginFailure
from sekisho.services.authentication.attempt import Outcome, Refused
from sekisho.services.authentication.candidates import Candidate, Candidates, login_address

_FINGERPRINT_DIGITS = 32  # of the id of the credential: 128 bits


def addresses_shown(channel: Channel) -> tuple[str, ...]:
    return channel.tls.client.addresses if channel.tls is not None and channel.tls.client is not None else ()


async def judge_certificate(candidates: Candidates, channel: Channel, authzid: str) -> Outcome:
    """The account of an address in the certificate; the one that `authzid` names, or the first that has
    one."""
    shown = channel.tls.client if channel.tls is not None else None
    if shown is None:
        return Refused(LoginFailure.REFUSED, "no certificate")
    names = [name for name in shown.addresses if login_address(name) is not None]
    if authzid:
        names = [name for name in names if login_address(name) == login_address(authzid)]
        if not names:  # THREATS 14
            return Refused(LoginFailure.REFUSED, "certificate of somebody else")
    candidate = Candidate(name="", cause="no address in the certificate")
    for name in names:
        candidate = await candidates.find(name, "")
        if not candidate.cause:
            break
    outcome = candidates.admit(candidate, f"certificate:{shown.fingerprint[:_FINGERPRINT_DIGITS]}", channel)
    if isinstance(outcome, Identity):
        ends = [end for end in (outcome.valid_until_us, shown.not_after_us) if end]
        return replace(outcome, valid_until_us=min(ends))
    return outcome
