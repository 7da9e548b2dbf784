"""systemctl for one unit, for a machine without a running systemd: what systemd 252 does with the lines that
our unit has.

The types it knows, `!` before a command, User= and Group=, the folders it makes and owns, read-only
everything else, the bounding set of capabilities, no new privileges, no writable and executable memory, the
mask, READY=1. Not: SystemCallFilter=, other namespaces.
"""

import ctypes
import os
import pwd
import resource
import select
import shlex
import signal
import socket
import subprocess
import sys
from pathlib import Path

KNOWN_TYPES = (
    "simple",
    "exec",
    "forking",
    "oneshot",
    "dbus",
    "notify",
    "idle",
)  # notify-reload came with 253
NOTIFY = Path("/run/notify.sock")
SECONDS = 60
PR_SET_MDWE = 65

Unit = dict[str, list[str]]


def main(arguments: list[str]) -> int:
    options = [word for word in arguments if word.startswith("-")]
    words = [word for word in arguments if not word.startswith("-")]
    if words[0] == "kill":
        _, number, name = words  # kill -s USR2 sekisho
        return kill(name, signal.Signals[f"SIG{number}"])
    verb, name = words
    unit = read(name)
    match verb:
        case "enable":
            return start(name, unit) if "--now" in options else 0
        case "start":
            return start(name, unit)
        case "stop":
            return stop(name)
        case "restart":
            return stop(name) or start(name, unit)
        case "reload":
            return reload(name, unit)
        case "is-active":
            return 0 if main_pid(name) else 3
    return fail(f"Unknown command verb {verb}.", 1)


def fail(sentence: str, code: int) -> int:
    print(sentence, file=sys.stderr)
    return code


def read(name: str) -> Unit:
    file = Path(f"/etc/systemd/system/{name.removesuffix('.service')}.service")
    if not file.exists():
        sys.exit(fail(f"Unit {name}.service not found.", 5))
    unit: Unit = {}
    for line in file.read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            unit.setdefault(key, []).append(value)
    return unit


def words_of(unit: Unit, key: str) -> list[str]:
    return " ".join(unit.get(key, [])).split()


def main_pid(name: str) -> int:
    try:
        pid = int(Path(f"/run/{name}.pid").read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return 0
    return pid


def start(name: str, unit: Unit) -> int:
    kind = unit.get("Type", ["simple"])[0]
    (command,) = unit["ExecStart"]
    ready = listen()
    with open(f"/run/{name}.journal", "ab") as journal:
        process = subprocess.Popen(
            confined(unit, command),
            stdin=subprocess.DEVNULL,
            stdout=journal,
            stderr=journal,
            start_new_session=True,
            env={
                "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
                "LANG": "C.UTF-8",
                "NOTIFY_SOCKET": str(NOTIFY),
            },
            cwd="/",
        )
    Path(f"/run/{name}.pid").write_text(str(process.pid))
    if kind not in KNOWN_TYPES:
        return fail(f"Failed to parse service type, ignoring: {kind}", 0)
    while kind == "notify":
        try:
            if b"READY=1" in ready.recv(4096).split(b"\n"):
                break
        except TimeoutError:
            if process.poll() is not None:
                return fail(f"Job for {name}.service failed.\n" + Path(f"/run/{name}.journal").read_text(), 1)
    return 0


def listen() -> socket.socket:
    NOTIFY.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    sock.bind(str(NOTIFY))
    NOTIFY.chmod(0o777)
    sock.settimeout(0.5)
    return sock


def confined(unit: Unit, command: str) -> list[str]:
    """The command line that mounts, gives up rights and then runs `command`."""
    user = pwd.getpwnam(unit["User"][0]) if "User" in unit else pwd.getpwuid(0)
    writable = ["/dev", "/proc", "/tmp"]
    for key, above, mode in (("StateDirectory", "/var/lib", "0750"), ("RuntimeDirectory", "/run", "0755")):
        for word in words_of(unit, key):
            folder = Path(above, word)
            mode = unit.get(f"{key}Mode", [mode])[0]
            if not folder.exists() or folder.stat().st_uid != user.pw_uid:
                folder.mkdir(exist_ok=True)
                subprocess.run(["chown", "-R", f"{user.pw_uid}:{user.pw_gid}", str(folder)], check=True)
            folder.chmod(int(mode, 8))
            writable.append(str(folder))
    for word in words_of(unit, "ReadWritePaths"):
        path = Path(word.removeprefix("-"))
        if path.exists() or word[0] != "-":
            writable.append(str(path))
    script = ["set -e"]
    if unit.get("ProtectSystem") == ["strict"]:
        script += [f"mount --bind {path} {path}" for path in writable[2:]]
        ours = any(
            place.startswith("/tmp/") for place in (__file__, sys.prefix, sys.base_prefix)
        )  # it would hide the program itself
        script += ["mount -t tmpfs -o mode=1777 tmp /tmp"] * (unit.get("PrivateTmp") == ["yes"] and not ours)
        script += ["mount -o remount,bind,ro /", "mount -o remount,bind,ro /usr/local/bin"]
    most = min(int(unit.get("LimitNOFILE", ["1024"])[0]), resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    script += [f"umask {unit.get('UMask', ['0022'])[0]}", f"ulimit -n {most}"]
    argv = shlex.split(command.removeprefix("!"))
    rights = ["setpriv"]
    if unit.get("NoNewPrivileges") == ["yes"]:
        rights.append("--no-new-privs")
    capabilities = [
        f"+{word.removeprefix('CAP_').lower()}" for word in words_of(unit, "CapabilityBoundingSet")
    ]
    if capabilities:
        rights += ["--bounding-set", ",".join(["-all", *capabilities])]
    if not command.startswith("!") and user.pw_uid:
        rights += ["--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--init-groups"]
    if unit.get("MemoryDenyWriteExecute") == ["yes"]:
        # From here on, over every exec; older kernels do not know it.
        ctypes.CDLL(None).prctl(PR_SET_MDWE, 1, 0, 0, 0)
    script.append("exec " + shlex.join([*rights, *argv]))
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", "\n".join(script)]


def kill(name: str, number: signal.Signals) -> int:
    """Unlike the real one this waits for the end of an upgrade, so that nobody has to guess when that is."""
    told = listen()
    told.settimeout(SECONDS)
    os.kill(main_pid(name), number)
    while number == signal.SIGUSR2 and b"READY=1" not in told.recv(4096).split(b"\n"):
        pass
    return 0


def stop(name: str) -> int:
    pid = main_pid(name)
    if pid:
        os.kill(pid, signal.SIGTERM)
        waiting = os.pidfd_open(pid)
        if not select.select([waiting], [], [], SECONDS)[0]:
            return fail(f"{name}.service: it does not stop.", 1)
    return 0


def reload(name: str, unit: Unit) -> int:
    pid = main_pid(name)
    if not pid:
        return fail(f"{name}.service is not active, cannot reload.", 1)
    if "ExecReload" not in unit or unit["Type"][0] not in KNOWN_TYPES:
        return fail(
            f"Failed to reload {name}.service: Job type reload is not applicable for unit {name}.service.", 1
        )
    (command,) = unit["ExecReload"]
    told = listen()
    told.settimeout(SECONDS)
    user = unit.get("User", ["root"])[0]
    become = [] if command.startswith("!") else ["setpriv", "--reuid", user, "--clear-groups"]
    done = subprocess.run(
        [*become, *shlex.split(command.removeprefix("!").replace("$MAINPID", str(pid)))], check=False
    )
    while done.returncode == 0 and unit["Type"][0] == "notify":
        if b"READY=1" in told.recv(4096).split(b"\n"):
            break
    return done.returncode


sys.exit(main(sys.argv[1:]))
