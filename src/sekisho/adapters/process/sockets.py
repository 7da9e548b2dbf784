"""Bind what is listened on, or take over what systemd or an older self bound."""

import errno
import json
import os
import pwd
import socket
from collections.abc import Iterable, Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sekisho.adapters.process.plan import ListenSpec, StartRefused, UnixSpec
from sekisho.adapters.process.privileges import acting_as, folder_owner

INHERITED = "SEKISHO_SOCKETS"  # environment of an upgraded self: JSON, key → descriptor
FIRST_SYSTEMD_DESCRIPTOR = 3  # sd_listen_fds(3)
BACKLOG = 1024


@dataclass(slots=True)
class BoundSockets:
    """`by_slot[slot][name]`; a shared socket stands in each slot's table."""

    by_slot: list[dict[str, list[socket.socket]]]
    ports: dict[str, int] = field(default_factory=dict)
    keys: dict[str, socket.socket] = field(default_factory=dict)  # for the upgrade
    unix_paths: list[Path] = field(default_factory=list)

    def close(self) -> None:
        for sock in self.keys.values():
            sock.close()

    def close_others(self, slot: int) -> None:
        """In a worker: keep only what belongs to its slot."""
        mine = {sock.fileno() for socks in self.by_slot[slot].values() for sock in socks}
        for sock in self.keys.values():
            if sock.fileno() not in mine:
                sock.close()

    def hand_over(self) -> str:
        """Make them survive an exec; returns the value for INHERITED."""
        for sock in self.keys.values():
            sock.set_inheritable(True)
        return json.dumps({key: sock.fileno() for key, sock in self.keys.items()})


class _Heirloom:
    """Sockets that were bound before us."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        self.own: dict[str, socket.socket] = {}
        self.systemd: dict[tuple[str, int] | str, socket.socket] = {}
        for key, descriptor in json.loads(environment.pop(INHERITED, "{}")).items():
            self.own[key] = _adopt(descriptor)
        if environment.pop("LISTEN_PID", "") == str(os.getpid()):
            for number in range(int(environment.pop("LISTEN_FDS", "0"))):
                sock = _adopt(FIRST_SYSTEMD_DESCRIPTOR + number)
                name = sock.getsockname()
                self.systemd[name if isinstance(name, str) else (name[0], name[1])] = sock

    def close_rest(self) -> None:
        for sock in (*self.own.values(), *self.systemd.values()):
            sock.close()


def _adopt(descriptor: int) -> socket.socket:
    sock = socket.socket(fileno=descriptor)
    sock.set_inheritable(False)
    sock.setblocking(False)
    return sock


def bind_all(
    listeners: Sequence[ListenSpec],
    unix_sockets: Iterable[UnixSpec],
    slots: int,
    environment: MutableMapping[str, str] = os.environ,
    user: pwd.struct_passwd | None = None,
) -> BoundSockets:
    """Raises StartRefused with every problem; then nothing stays bound. `user` owns the data folder, if we
    are root."""
    try:
        heirloom = _Heirloom(environment)
    except (OSError, ValueError) as error:
        raise StartRefused(
            f"the sockets handed over by LISTEN_FDS or {INHERITED} cannot be used: {error}"
        ) from error
    bound = BoundSockets([{} for _ in range(slots)])
    problems: list[str] = []
    for spec in listeners:
        try:
            _bind_listener(spec, bound, heirloom)
        except OSError as error:
            problems.append(_bind_problem(spec, error))
    for unix in unix_sockets:
        try:
            with acting_as(folder_owner(unix.path.parent, user)):
                _bind_unix(unix, bound, heirloom)
        except OSError as error:
            problems.append(f"socket {unix.name}: {unix.path} cannot be bound: {error.strerror or error}")
    heirloom.close_rest()
    if problems:
        bound.close()
        raise StartRefused("\n".join(problems))
    return bound


def _bind_listener(spec: ListenSpec, bound: BoundSockets, heirloom: _Heirloom) -> None:
    port = spec.port
    first: socket.socket | None = None
    for slot, table in enumerate(bound.by_slot):
        key = f"{spec.name} {spec.address} {spec.port} {0 if spec.shared else slot}"
        if spec.shared and first is not None:
            sock = first
        elif (inherited := heirloom.own.pop(key, None)) is not None:
            sock = inherited
        elif slot == 0:
            given = heirloom.systemd.pop((str(spec.address), spec.port), None)
            sock = given or _bind_first(spec)
        else:
            sock = _bind_beside(spec, port, first)
        if first is None:
            first = sock
            port = sock.getsockname()[1]
            bound.ports.setdefault(spec.name, port)
        bound.keys.setdefault(key, sock)
        table.setdefault(spec.name, []).append(sock)


def _bind_first(spec: ListenSpec) -> socket.socket:
    """With SO_REUSEPORT a second server of ours would share the port in silence: so the first bind is tried
    without."""
    probe = _tcp_socket(spec, reuse_port=False)
    try:
        probe.bind((str(spec.address), spec.port))
    finally:
        probe.close()
    return _bind_shared(spec, spec.port)


def _bind_beside(spec: ListenSpec, port: int, first: socket.socket | None) -> socket.socket:
    """A further slot of the same port; where that is not allowed (systemd bound the first without ReusePort=)
    the first is shared."""
    try:
        return _bind_shared(spec, port)
    except OSError:
        if first is None:
            raise
        return first


def _bind_shared(spec: ListenSpec, port: int) -> socket.socket:
    sock = _tcp_socket(spec, reuse_port=True)
    try:
        sock.bind((str(spec.address), port))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    return sock


def _tcp_socket(spec: ListenSpec, *, reuse_port: bool) -> socket.socket:
    family = socket.AF_INET6 if spec.address.version == 6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if reuse_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    sock.setblocking(False)
    return sock


def _bind_unix(spec: UnixSpec, bound: BoundSockets, heirloom: _Heirloom) -> None:
    key = f"{spec.name} {spec.path}"
    sock = heirloom.own.pop(key, None) or heirloom.systemd.pop(str(spec.path), None)
    if sock is None:
        spec.path.unlink(
            missing_ok=True
        )  # the lock of the data directory says that nobody else listens there
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.setblocking(False)
        usual = os.umask(
            0o777 & ~spec.mode
        )  # so the mode is right from the first moment on, and by no name that could be exchanged
        try:
            sock.bind(str(spec.path))
        finally:
            os.umask(usual)
        sock.listen(BACKLOG)
    bound.keys[key] = sock
    bound.unix_paths.append(spec.path)
    for table in bound.by_slot:
        table.setdefault(spec.name, []).append(sock)


_BIND_REASONS: Mapping[int, str] = {
    errno.EADDRINUSE: "is in use by another program; stop it or choose another port",
    errno.EACCES: "may not be bound by this user; start as root, give the program CAP_NET_BIND_SERVICE, "
    "or choose a port above 1023",
    errno.EADDRNOTAVAIL: "cannot be bound: this machine has no such address",
}


def _bind_problem(spec: ListenSpec, error: OSError) -> str:
    reason = _BIND_REASONS.get(error.errno or 0, f"cannot be bound: {error.strerror or error}")
    return f"listener {spec.name}: {spec.address} port {spec.port} {reason}"
