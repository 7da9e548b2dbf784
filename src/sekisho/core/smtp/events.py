"""What the SMTP server machine tells its driver. Events marked "answer" stop the machine until `answer` was
called."""

import enum
from typing import Literal, NamedTuple

from sekisho.core.smtp.content import ContentFault
from sekisho.core.terms.envelope import Envelope, Recipient
from sekisho.core.terms.reply import Reply


class Need(enum.Enum):
    """`NEED_DATA`: give more octets. `PAUSED`: answer the last event first."""

    NEED_DATA = "need_data"
    PAUSED = "paused"


NEED_DATA = Need.NEED_DATA
PAUSED = Need.PAUSED


class Connected(NamedTuple):
    """The first event. Answer: None greets with 220, a Reply refuses the connection."""


class Hello(NamedTuple):
    """EHLO or HELO with a syntactically valid name (a domain or an address literal). Answer: None or a
    refusal."""

    extended: bool
    name: str


class MailFrom(NamedTuple):
    """A transaction wants to begin; `envelope` has no recipients yet. Answer: a Reply."""

    envelope: Envelope


class RcptTo(NamedTuple):
    """Answer: a Reply; a positive one adds the recipient to the transaction."""

    recipient: Recipient


class ContentBegins(NamedTuple):
    """DATA or the first BDAT. Answer: None goes on (354), a Reply refuses."""

    envelope: Envelope
    chunking: bool


class ContentChunk(NamedTuple):
    """Decoded octets, at most 64 KB. Not answered."""

    octets: bytes


class ContentEnds(NamedTuple):
    """The whole content was given. Answer: the Reply to the message."""

    envelope: Envelope
    size_octets: int


class ContentRefused(NamedTuple):
    """The machine refused the content (and has said `reply`): drop what was written. Not answered."""

    envelope: Envelope
    fault: ContentFault
    reply: Reply
    size_octets: int


class LimitReached(NamedTuple):
    """The machine refused a command because of a limit of ours (and has said `reply`). Not answered."""

    command: str
    reply: Reply


class TransactionDropped(NamedTuple):
    """RSET, or EHLO inside a transaction. Not answered."""


class SaslBegins(NamedTuple):
    """AUTH with an offered mechanism. `initial` None: there was none. Answer: a Reply, or `challenge`."""

    mechanism: str
    initial: bytes | None


class SaslResponse(NamedTuple):
    """What the client said to the last challenge, base64 removed. Answer: a Reply, or `challenge`."""

    octets: bytes


class SaslDropped(NamedTuple):
    """The client cancelled with "*" or sent bad base64 (501 was said). Not answered."""


class TlsBegins(NamedTuple):
    """220 was said: send it, do the handshake, then call `tls_started`. The machine is paused until then."""


class Ended(NamedTuple):
    """Send what is left and close."""

    reason: Literal[
        "quit", "refused", "errors", "transactions", "syntax", "content", "shutdown", "lost", "service"
    ]


Event = (
    Connected
    | Hello
    | MailFrom
    | RcptTo
    | ContentBegins
    | ContentChunk
    | ContentEnds
    | ContentRefused
    | LimitReached
    | TransactionDropped
    | SaslBegins
    | SaslResponse
    | SaslDropped
    | TlsBegins
    | Ended
)
