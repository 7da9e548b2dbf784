"""How a message whose sender is in order leaves: judged, signed, sorted for recipients here, and taken for
good."""

from dataclasses import replace

from sekisho.core.message.references import header_message_id, header_references
from sekisho.core.message.trace import format_return_path
from sekisho.core.terms.reply import Reply
from sekisho.ports.spool import Acceptance
from sekisho.services.sieve.service import as_offered
from sekisho.services.sieve.sorting import SCRIPT_RULE, Offered
from sekisho.services.smtp.acceptance import Destination, deliveries_of
from sekisho.services.smtp.content import IncomingContent
from sekisho.services.smtp.refusal import Refusal
from sekisho.services.smtp.transaction import Acceptances, MailTransaction
from sekisho.services.submission.login import SubmissionLogin
from sekisho.services.submission.seams import OutboundVerdict, Submitted
from sekisho.services.submission.tools import SubmissionConfig, SubmissionTools

_NOT_JUDGED = OutboundVerdict()


class Departure:
    """Of one connection's messages."""

    def __init__(
        self,
        tools: SubmissionTools,
        config: SubmissionConfig,
        acceptances: Acceptances,
        login: SubmissionLogin,
    ) -> None:
        self._tools, self._config = tools, config
        self._acceptances, self._login = acceptances, login
        self._connection = login.connection

    async def send(
        self,
        transaction: MailTransaction,
        submitted: Submitted,
        content: IncomingContent,
        *,
        is_kept_back: bool = False,
    ) -> Refusal | Reply:
        """`is_kept_back`: an operator holds what the account sends; it hears of success all the same, as with
        the guard."""
        tools, acceptances, now_us = self._tools, self._acceptances, self._tools.clock.now_us()
        verdict = _NOT_JUDGED if is_kept_back else await tools.judge.judge(submitted)
        if verdict.refusal is not None:
            return replace(verdict.refusal, id=submitted.message_id)
        is_local, destinations = self._login.is_local, transaction.destinations
        received = acceptances.received(
            self._connection,
            submitted.envelope,
            submitted.message_id,
            now_us,
            hides_client=self._config.submission.hide_client_address,
            is_local=is_local,
        )
        prefix = received + await tools.signer.sign(submitted)
        offered = self._offered(submitted, destinations, prefix)
        wanted = as_offered(offered) if is_kept_back else await tools.sieve.sort(offered)
        if wanted.refusal is not None:
            return Refusal(
                reply=wanted.refusal, rule=SCRIPT_RULE, because=wanted.because, id=submitted.message_id
            )
        acceptance = Acceptance(
            message_id=submitted.message_id,
            envelope=submitted.envelope,
            content=submitted.content,
            prefix=prefix,
            deliveries=wanted.deliveries,
            relays=acceptances.relays(wanted.destinations, now_us),
            origin="local" if is_local else "submission",
            account_id=submitted.identity.account_id,
            header_message_id=header_message_id(submitted.header),
            references=header_references(submitted.header),
            outgoing=verdict.outgoing,
            kept_back=submitted.locals if is_kept_back else None,
        )
        accepted = await tools.spool.accept(acceptance)
        if accepted.decision is not None and not is_kept_back:
            tools.judge.decided(submitted, accepted.decision)
        # Of what is held nobody is told: nothing was delivered.
        if not is_kept_back and (accepted.decision is None or not accepted.decision.case_id):
            tools.correspondence.wrote(
                submitted.identity.account_id, [one for d in destinations for one in d.remotes]
            )
            refusal = await acceptances.tell(transaction, acceptance, accepted, content)
            if refusal is not None:
                return refusal
            await tools.sieve.follow(offered, wanted)
        return acceptances.conclude(self._connection, acceptance, accepted, submitted.header)

    def _offered(self, submitted: Submitted, destinations: list[Destination], prefix: bytes) -> Offered:
        """For the scripts of recipients here. Who wrote it is known from the login."""
        return Offered(
            message_id=submitted.message_id,
            envelope=replace(submitted.envelope, vouched="dkim"),
            destinations=tuple(destinations),
            header=submitted.header,
            content=submitted.content,
            deliveries=deliveries_of(
                submitted.message_id,
                destinations,
                format_return_path(submitted.envelope.reverse_path) + prefix,
            ),
        )
