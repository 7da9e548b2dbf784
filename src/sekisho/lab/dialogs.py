"""Dialogs by the word: for those who do not speak as they should."""

import re

from sekisho.lab.scene import Actor
from sekisho.lab.script import Act
from sekisho.lab.stage import Stage
from sekisho.lab.wire import CONNECTION_ENDED, SmtpReply, Wire
from sekisho.ports.lab import Complaint

_ESCAPE = re.compile(r"\\(?:([rnt\\])|x([0-9a-fA-F]{2}))")
_PLAIN = {"r": b"\r", "n": b"\n", "t": b"\t", "\\": b"\\"}


def unescape(text: str) -> bytes:
    """\\r, \\n, \\t, \\\\ and \\xNN; other characters stand for their UTF-8 form."""
    out, position = [], 0
    for match in _ESCAPE.finditer(text):
        out.append(text[position : match.start()].encode())
        out.append(_PLAIN[match[1]] if match[1] else bytes([int(match[2], 16)]))
        position = match.end()
    return b"".join((*out, text[position:].encode()))


async def play(stage: Stage, act: Act, actor: Actor) -> tuple[SmtpReply, Complaint | None]:
    """The last reply, and what was not as the lines say. Raises OSError when nobody listens."""
    assert act.address is not None
    wire = Wire(stage.door, act.address)
    port = stage.server.ports[act.step.port]
    await wire.connect(port)
    places = {
        "token": act.token,
        "to": act.recipients[0] if act.recipients else "",
        "domain": stage.scene.house.domains[0],
    }
    reply, problem = CONNECTION_ENDED, None
    lines = act.step.lines
    if lines[0].send and not lines[0].early:  # who does not care for the greeting still waits for it
        await wire.reply()
    for line in lines:
        if line.send or line.raw:
            text = line.send
            for name, value in places.items():
                text = text.replace("{" + name + "}", value)
            if actor.tls == "stripped" and text.upper() == "STARTTLS":
                continue  # the one in between took the offer away: the client does not see it
            await wire.write(unescape(text) + (b"" if line.raw else b"\r\n"))
        if line.reply:
            reply = await wire.reply()
            if problem is None and not _fits(reply, line.reply):
                values = {"line": line.send[:60], "reply": str(reply)[:200], "wanted": line.reply}
                problem = Complaint("After {line} the reply was {reply} instead of {wanted}.", values)
        if line.tls:
            try:
                await wire.start_tls()
            except (OSError, TimeoutError):
                reply = CONNECTION_ENDED
                break
    await wire.close()
    return reply, problem


def _fits(reply: SmtpReply, wanted: str) -> bool:
    """`wanted`: how it must begin; "end" is a connection that ended; several are divided by |."""
    return any(
        (not reply.code) if word == "end" else str(reply).startswith(word) for word in wanted.split("|")
    )
