"""One attempt to log in, as a person or a guesser makes it: over IMAP, POP3 or submission, with TLS from the
first octet."""

import base64
import re
from collections.abc import Mapping

from sekisho.lab.script import IpAddress
from sekisho.lab.wire import Door, Wire

SERVICES = ("imap", "pop3", "submission")
_PORTS = {"imap": "imaps", "pop3": "pop3s", "submission": "submissions"}
_CAPABILITIES = re.compile(r"\[CAPABILITY [^\]]*\] ")


def service_of(service: str, number: int) -> str:
    """What the login of this number uses: "any" takes turns."""
    return SERVICES[number % len(SERVICES)] if service == "any" else service


async def try_login(
    door: Door, client: IpAddress, ports: Mapping[str, int], service: str, login: tuple[str, str]
) -> tuple[bool, str]:
    """`login`: address and password. Gives (did it succeed, what the server said). Raises OSError."""
    wire = Wire(door, client)
    await wire.connect(ports[_PORTS[service]], tls=True)
    try:
        await wire.line()  # the greeting
        return await {"imap": _imap, "pop3": _pop3, "submission": _submission}[service](wire, *login)
    finally:
        await wire.close()


async def _imap(wire: Wire, address: str, password: str) -> tuple[bool, str]:
    await wire.write(f'L1 LOGIN "{address}" "{password}"\r\n'.encode())
    while line := (await wire.line()).decode("utf-8", "replace"):
        if line.startswith("L1 "):
            return line.startswith("L1 OK"), _CAPABILITIES.sub("", line[3:])
        if line.startswith("* BYE"):
            return False, line[2:]
    return False, "the connection ended"


async def _pop3(wire: Wire, address: str, password: str) -> tuple[bool, str]:
    await wire.write(f"USER {address}\r\n".encode())
    await wire.line()
    await wire.write(f"PASS {password}\r\n".encode())
    line = (await wire.line()).decode("utf-8", "replace")
    return line.startswith("+OK"), line or "the connection ended"


async def _submission(wire: Wire, address: str, password: str) -> tuple[bool, str]:
    await wire.command("EHLO [192.0.2.1]")
    words = base64.b64encode(f"\0{address}\0{password}".encode()).decode()
    reply = await wire.command(f"AUTH PLAIN {words}")
    return reply.code == 235, str(reply)
