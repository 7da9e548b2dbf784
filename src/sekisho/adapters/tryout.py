"""The folder of a try-out server: its certificates, sekisho.toml and the passwords of its two accounts.

Everything is made once; a second start finds and uses it again.
"""

import json
import os
import secrets
import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sekisho.adapters.certificates import still_valid, write_certificates, write_private
from sekisho.config.write import USUAL_PORTS, Starter, render

DOMAIN = "example.test"
HOSTNAME = "mx.example.test"
LOCAL_PARTS = ("alice", "bob")
DEFAULT_BASE_PORT = 10000
CERTIFICATE_NAMES = ("localhost", HOSTNAME, DOMAIN, "127.0.0.1", "::1")
_HIGHEST = max(USUAL_PORTS.values())
_TOO_HIGH = 65535 - _HIGHEST


class TryOutRefused(Exception):
    """The folder cannot be used. `text` is an English sentence with `{name}` places, `values` fills them."""

    def __init__(self, text: str, /, **values: object) -> None:
        super().__init__(text.format(**values))
        self.text = text
        self.values = values


@dataclass(frozen=True, slots=True, kw_only=True)
class TryOut:
    """What was prepared. `passwords`: address -> password; the caller makes the domain and those accounts
    that do not exist yet."""

    folder: Path
    config_file: Path
    ca_file: Path
    ports: dict[str, int]  # by kind of listener
    passwords: dict[str, str]


def prepare(folder: Path, base_port: int | None = None, now: datetime | None = None) -> TryOut:
    """Make the folder, or use it again.

    Each port is `base_port` plus the usual one (10000: 10025, 10143, …); 0 takes free ports; None keeps those
    of the first start, or takes DEFAULT_BASE_PORT. sekisho.toml is written anew only when the ports change,
    so that a person's edits survive. Raises TryOutRefused, OSError.
    """
    folder = folder.absolute()
    now = now or datetime.now(UTC)
    if base_port is not None and not 0 <= base_port <= _TOO_HIGH:
        raise TryOutRefused(
            "The base port must be at most {limit}: the highest port is {highest} above it.",
            limit=_TOO_HIGH,
            highest=_HIGHEST,
        )
    folder.mkdir(parents=True, exist_ok=True)
    state_file = folder / "tryout.json"
    state = _read_state(state_file)
    if state is None:
        if any(folder.iterdir()):
            raise TryOutRefused(
                "{folder} is not empty and was not made by a try-out; name another folder with --dir.",
                folder=folder,
            )
        folder.chmod(0o755)
    passwords = state["passwords"] if state else {f"{name}@{DOMAIN}": _new_password() for name in LOCAL_PARTS}
    ports = (
        state["ports"]
        if state and (base_port is None or base_port == state["base_port"])
        else _choose_ports(base_port)
    )
    ca_file, cert_file, key_file = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
    if not (still_valid(cert_file, now) and ca_file.exists() and key_file.exists()):
        write_certificates(folder, CERTIFICATE_NAMES, now)
    config_file = folder / "sekisho.toml"
    if state is None or state["ports"] != ports or not config_file.exists():
        config_file.write_text(render(_starter(ports)), "utf-8")
        config_file.chmod(0o644)  # another user of the machine may hand in mail by it, and trust the CA
        base = DEFAULT_BASE_PORT if base_port is None else base_port
        write_private(
            state_file,
            json.dumps({"base_port": base, "ports": ports, "passwords": passwords}, indent=2).encode(),
        )
    return TryOut(folder=folder, config_file=config_file, ca_file=ca_file, ports=ports, passwords=passwords)


def _read_state(file: Path) -> dict[str, Any] | None:
    try:
        state = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise TryOutRefused("{file} is damaged; remove the folder and start again.", file=file) from error
    if not isinstance(state, dict) or not {"base_port", "ports", "passwords"} <= state.keys():
        raise TryOutRefused("{file} is damaged; remove the folder and start again.", file=file)
    return state


def _starter(ports: dict[str, int]) -> Starter:
    return Starter(
        hostname=HOSTNAME,
        data_dir=Path("data"),
        postmaster=f"{LOCAL_PARTS[0]}@{DOMAIN}",
        abuse=f"{LOCAL_PARTS[0]}@{DOMAIN}",
        addresses=("127.0.0.1",),
        ports=ports,
        cert_file=Path("cert.pem"),
        key_file=Path("key.pem"),
        workers=min(2, os.cpu_count() or 1),
        log_format="text",
        unchecked_networks=(
            "127.0.0.0/8",
        ),  # only this machine can connect, and the DNS knows nothing of example.test
    )


def _choose_ports(base_port: int | None) -> dict[str, int]:
    if base_port != 0:
        base = DEFAULT_BASE_PORT if base_port is None else base_port
        return {kind: base + usual for kind, usual in USUAL_PORTS.items()}
    # Held open together so that no port is given twice; somebody else could still take one before the server
    # binds it.
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in USUAL_PORTS]
    try:
        return {kind: held.getsockname()[1] for kind, held in zip(USUAL_PORTS, sockets, strict=True)}
    finally:
        for held in sockets:
            held.close()


def _new_password() -> str:
    return secrets.token_urlsafe(12)
