"""Clients that send: strangers' mail servers and people's mail programs."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field

from sekisho.lab.script import IpAddress
from sekisho.lab.wire import CONNECTION_ENDED, Door, SmtpReply, Wire


@dataclass(frozen=True, slots=True)
class LabSending:
    """One transaction. `content` with CRLF line ends, dots not yet doubled."""

    reverse_path: str
    recipients: Sequence[str]
    content: bytes


@dataclass(slots=True)
class LabSent:
    """The reply that decided, for each recipient. A connection that ended gives code 0."""

    replies: dict[str, SmtpReply] = field(default_factory=dict)

    def conclude(self, recipients: Sequence[str], reply: SmtpReply) -> "LabSent":
        """The same reply for all that have none yet."""
        for recipient in recipients:
            self.replies.setdefault(recipient, reply)
        return self


class Sender:
    """A connection over which several messages may go. `tls`: use STARTTLS if it is offered."""

    def __init__(self, door: Door, client: IpAddress, hello: str, *, tls: bool = True) -> None:
        self._wire = Wire(door, client)
        self._hello = hello
        self._tls = tls
        self.is_open = False
        self.trouble = CONNECTION_ENDED  # what the server said when it would not have us

    async def open(
        self, port: int, *, implicit_tls: bool = False, login: tuple[str, str] | None = None
    ) -> bool:
        """Connect, greet, secure, log in. False: `trouble` says why not. Raises OSError when nobody
        listens."""
        await self._wire.connect(port, tls=implicit_tls)
        self.trouble = await self._wire.reply()
        if self.trouble.code != 220:
            return False
        self.trouble = await self._wire.command(f"EHLO {self._hello}")
        if self.trouble.code != 250:
            return False
        if self._tls and not implicit_tls and "STARTTLS" in self.trouble.text:
            self.trouble = await self._wire.command("STARTTLS")
            if self.trouble.code != 220:
                return False
            await self._wire.start_tls()
            self.trouble = await self._wire.command(f"EHLO {self._hello}")
        if login is not None:
            words = base64.b64encode("\0".join(("", *login)).encode()).decode()
            self.trouble = await self._wire.command(f"AUTH PLAIN {words}")
            if self.trouble.code != 235:
                return False
        self.is_open = True
        return True

    async def send(self, sending: LabSending) -> LabSent:
        """MAIL, RCPT, DATA; a refusal of one recipient does not stop the others."""
        sent, wire = LabSent(), self._wire
        # SMTPUTF8 is asked for only where it is needed, as careful clients do.
        extra = "" if (sending.reverse_path + "".join(sending.recipients)).isascii() else " SMTPUTF8"
        reply = await wire.command(f"MAIL FROM:<{sending.reverse_path}>{extra}")
        if reply.code != 250:
            return self._ended(sent.conclude(sending.recipients, reply), reply)
        await wire.write(
            b"".join(f"RCPT TO:<{recipient}>\r\n".encode() for recipient in sending.recipients)
        )  # RFC 2920 §3.1
        taken = []
        for recipient in sending.recipients:
            reply = await wire.reply()
            if reply.code in (250, 251):
                taken.append(recipient)
            else:
                sent.replies[recipient] = reply
                if not reply.code or reply.code == 421:
                    return self._ended(sent.conclude(sending.recipients, reply), reply)
        if not taken:
            await wire.command("RSET")
            return sent
        reply = await wire.command("DATA")
        if reply.code == 354:
            await wire.write((b"\r\n" + sending.content).replace(b"\r\n.", b"\r\n..")[2:] + b".\r\n")
            reply = await wire.reply()
        return self._ended(sent.conclude(sending.recipients, reply), reply)

    def _ended(self, sent: LabSent, reply: SmtpReply) -> LabSent:
        if not reply.code or reply.code == 421:
            self.is_open = False
        return sent

    async def close(self) -> None:
        if self.is_open:
            await self._wire.command("QUIT")
        self.is_open = False
        await self._wire.close()
