"""The submission socket of this machine: SMTP over a Unix socket, the sender known by system user (for sendmail(1), cron, monitoring)."""

from collections.abc import Callable, Mapping

from sekisho.core.terms.address import Address, AddressError
from sekisho.core.terms.identity import Identity
from sekisho.core.terms.reply import Reply
from sekisho.ports.directory import Directory
from sekisho.ports.journal import Entry, Journal
from sekisho.ports.stream import ListenerInfo, Stream
from sekisho.services.submission.submission import Submission

EVERYBODY_ELSE = "*"


class LocalSubmission:
    """Implements `ports.stream.ConnectionHandler`. `local_users` is the setting of that name: user name or uid → account address.

    `user_name` tells the name of a system user, or None; it is asked once per connection.
    """

    def __init__(
        self,
        submission: Submission,
        directory: Directory,
        journal: Journal,
        local_users: Mapping[str, str],
        user_name: Callable[[int], str | None],
    ) -> None:
        self._submission = submission
        self._directory = directory
        self._journal = journal
        self._local_users = local_users
        self._user_name = user_name

    async def __call__(self, stream: Stream, listener: ListenerInfo) -> None:
        uid = stream.peer_uid
        identity = await self._identify(uid)
        if isinstance(identity, Identity):
            await self._submission.serve(stream, listener, identity)
            return
        references = self._submission.new_references()
        self._journal.record(Entry("submission.local_refused", references.session, {"uid": uid, "reply": str(identity)}))
        # RFC 5321 §3.1: 554 instead of the greeting
        stream.write(references.refer(identity, references.session).to_wire())
        await stream.drain()

    async def _identify(self, uid: int | None) -> Identity | Reply:
        if uid is None:
            return Reply.of(554, None, "Who you are is not known here")
        name = self._user_name(uid)
        users = self._local_users
        text = (users.get(name) if name else None) or users.get(str(uid)) or users.get(EVERYBODY_ELSE)
        if text is None:
            return Reply.of(554, None, f"System user {name or uid} has no account here; see submission.local_users")
        try:
            address = Address.from_text(text)
        except AddressError:
            return Reply.of(554, None, f"submission.local_users names no address for system user {name or uid}")
        account = await self._directory.account_by_address(address)
        if account is None or account.state not in ("active", "sending_held"):
            return Reply.of(554, None, f"The account of system user {name or uid} is not there or closed")
        return Identity(account.id, address, f"uid:{uid}")
