"""The submission socket of this machine: SMTP over a Unix socket, the sender known by system user (for
sendmail(1), cron, monitoring)."""

from collections.abc import Callable, Mapping

from sekisho.core.terms.address import Address, AddressError
from sekisho.core.terms.identity import Identity
from sekisho.ports.directory import Directory
from sekisho.ports.stream import ListenerInfo, Stream
from sekisho.services.smtp.refusal import Refusal
from sekisho.services.submission.submission import Submission

EVERYBODY_ELSE = "*"


class LocalSubmission:
    """Implements `ports.stream.ConnectionHandler`. `local_users` is the setting of that name: user name or
    uid → account address.

    `user_name` tells the name of a system user, or None; it is asked once per connection.
    """

    def __init__(
        self,
        submission: Submission,
        directory: Directory,
        local_users: Mapping[str, str],
        user_name: Callable[[int], str | None],
    ) -> None:
        self._submission = submission
        self._directory = directory
        self._local_users = local_users
        self._user_name = user_name

    async def __call__(self, stream: Stream, listener: ListenerInfo) -> None:
        uid, refusals = stream.peer_uid, self._submission.refusals(stream)
        identity = await self._identify(uid)
        if isinstance(identity, Identity):
            await self._submission.serve(refusals, listener, identity)
            return
        # RFC 5321 §3.1: 554 instead of the greeting
        stream.write(refusals.local(uid, identity).to_wire())
        await stream.drain()

    async def _identify(self, uid: int | None) -> Identity | Refusal:
        if uid is None:
            return Refusal.of(554, None, "The user of this connection could not be determined")
        name = self._user_name(uid)
        users = self._local_users
        text = (users.get(name) if name else None) or users.get(str(uid)) or users.get(EVERYBODY_ELSE)
        if text is None:
            return Refusal.of(
                554, None, f"System user {name or uid} has no account here; see submission.local_users"
            )
        try:
            address = Address.from_text(text)
        except AddressError:
            return Refusal.of(
                554, None, f"submission.local_users names no address for system user {name or uid}"
            )
        account = await self._directory.account_by_address(address)
        if account is None or account.state not in ("active", "sending_held"):
            return Refusal.of(554, None, f"The account of system user {name or uid} is not there or closed")
        return Identity(account_id=account.id, address=address, credential_id=f"uid:{uid}")
