"""A token shown instead of a password: its issuer's word for who it is, this server's for what that opens."""

from dataclasses import replace

from sekisho.core.sasl.exchange import BearerToken
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Channel, LoginFailure
from sekisho.ports.tokens import IssuerUnavailable, TokenRefused, TokenVerifier
from sekisho.services.authentication.attempt import Outcome, Refused
from sekisho.services.authentication.candidates import Candidates, login_address


async def judge_token(
    verifier: TokenVerifier, candidates: Candidates, channel: Channel, shown: BearerToken
) -> Outcome:
    """The session that it opens ends with the token at the latest. A second factor is the issuer's
    business."""
    try:
        facts = await verifier.verify(shown.token)
    except TokenRefused as refused:
        return Refused(LoginFailure.REFUSED, str(refused), may_pass=refused.may_pass)
    except IssuerUnavailable as problem:
        return Refused(LoginFailure.UNAVAILABLE, str(problem))
    if shown.username and login_address(shown.username) != login_address(facts.username):
        return Refused(LoginFailure.REFUSED, "token of somebody else")
    candidate = await candidates.find(facts.username, "")
    outcome = candidates.admit(candidate, f"token:{facts.issuer}", channel)
    return replace(outcome, valid_until_us=facts.expires_at_us) if isinstance(outcome, Identity) else outcome
