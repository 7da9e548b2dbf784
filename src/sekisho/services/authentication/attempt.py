"""One try to log in, and what came of it."""

from dataclasses import dataclass

from sekisho.core.sasl.exchange import SaslError, SaslRefused
from sekisho.core.terms.identity import Identity
from sekisho.ports.authentication import Channel, LoginFailure
from sekisho.ports.directory import Account


@dataclass(frozen=True, slots=True)
class Attempt:
    """`mechanism`: as in `PasswordProof`. `username`: as typed. `answer_at`: when a failure is answered, in
    monotonic seconds."""

    channel: Channel
    mechanism: str
    username: str
    answer_at: float


@dataclass(frozen=True, slots=True)
class Refused:
    """`cause` is for the journal only. `tell`: the account was named and its password fitted, but that is not
    enough: its owner is told.

    `may_pass`: the same may be good soon.
    """

    failure: LoginFailure
    cause: str
    tell: Account | None = None
    may_pass: bool = False


Outcome = Identity | Refused


def refused_by(error: SaslError) -> Refused:
    """What the mechanism itself does not take."""
    return Refused(
        LoginFailure.REFUSED if isinstance(error, SaslRefused) else LoginFailure.MALFORMED, str(error)
    )
