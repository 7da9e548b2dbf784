"""A fresh machine: namespaces with their own /etc, /var, /opt, users, processes and network, over the
programs of this one.

What needs the outside is stood in for (`stand_ins/`): systemctl and journalctl (no systemd runs there),
certbot, and pip, which takes the packages of the tests' own environment instead of an index. Everything else
is what it is.
"""

import os
import pty
import re
import select
import shlex
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
STAND_INS = Path(__file__).with_name("stand_ins")
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
SECONDS = 100  # for one command on a loaded machine
PASSED_ON = ("PYTHONDONTWRITEBYTECODE",)

SETUP = r"""
set -e
root=$1; shift
mount -t tmpfs -o mode=755 machine "$root"
cd "$root"
mkdir -p dev proc sys etc var/lib var/log var/spool var/tmp run opt root home usr
mkdir -m 1777 tmp
mount --rbind /dev dev
mount -t proc proc proc
mount --rbind /sys sys
mount --rbind -o ro /usr usr
for each in bin sbin lib lib32 lib64 libx32; do
    if [ -L /$each ]; then cp -P /$each .
    elif [ -d /$each ]; then mkdir $each; mount --rbind /$each $each; fi
done
mkdir .local .etc
cp -a /usr/local/bin/. .local/ 2>/dev/null || true
mount --bind .local usr/local/bin
cp -a /etc/. etc/
rm -rf etc/sekisho etc/letsencrypt
for shared in "$@"; do
    mkdir -p ".$shared"
    mount --rbind "$shared" ".$shared"
done
ip link set lo up
exec chroot . sleep infinity
"""


@dataclass
class Done:
    status: int
    output: str


class Machine:
    """`run("sekisho domain list")`: a line of shell on that machine, in the checkout, as root or as
    `user`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        shared = sorted({str(ROOT), str((ROOT / ".venv").resolve()), sys.prefix, sys.base_prefix}, key=len)
        shared = [one for one in shared if not one.startswith("/usr/") and one != "/usr"]
        shared = [one for one in shared if not any(one.startswith(f"{other}/") for other in shared)]
        self._holder = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--ipc", "--uts", "--fork", "--kill-child",
            "--propagation", "private",
             "sh", "-c", SETUP, "machine", str(folder), *shared],
            stderr=subprocess.PIPE,
        )  # fmt: skip
        self._pid = self._inside()
        self._install_stand_ins()

    def _inside(self) -> int:
        """The first process of the namespaces, once it sleeps."""
        children = Path(f"/proc/{self._holder.pid}/task/{self._holder.pid}/children")
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline and self._holder.poll() is None:
            for pid in children.read_text().split():
                try:
                    if Path(f"/proc/{pid}/comm").read_text().strip() == "sleep":
                        return int(pid)
                except OSError:
                    pass
            select.select([], [], [], 0.02)
        self._holder.kill()
        raise OSError(f"no namespaces: {self._holder.communicate()[1].decode()}")

    @property
    def root(self) -> Path:
        """The machine's root folder, as this process can enter it."""
        return Path(f"/proc/{self._pid}/root")

    def path(self, name: str) -> Path:
        return self.root / name.lstrip("/")

    def _install_stand_ins(self) -> None:
        python, packages = sys.executable, next(path for path in sys.path if path.endswith("site-packages"))
        real = getattr(sys, "_base_executable", python)
        pip = f'#!/bin/sh\nexec $(dirname $0)/python3 {STAND_INS}/pip.py {packages} "$@"\n'
        scripts = {
            name: f'#!/bin/sh\nPYTHONPATH={ROOT}/src exec {python} {STAND_INS}/{name}.py "$@"\n'
            for name in ("certbot", "systemctl", "journalctl")
        }
        scripts["python3"] = (
            f'#!/bin/sh\n[ "$1 $2" = "-m venv" ] || exec {real} "$@"\n'
            f'{real} -m venv --without-pip "$3" && cp /usr/local/bin/.pip "$3/bin/pip"\n'
        )
        scripts[".pip"] = pip
        for name, script in scripts.items():
            file = self.path(f"/usr/local/bin/{name}")
            file.unlink(missing_ok=True)
            file.write_text(script)
            file.chmod(0o755)
        (self.path("/etc/hosts")).write_text("127.0.0.1 localhost mx.example.org\n::1 localhost\n")
        resolv = self.path("/etc/resolv.conf")
        resolv.unlink(missing_ok=True)
        resolv.write_text("nameserver 127.0.0.1\n")  # nobody answers there: this machine has no Internet

    def _argv(self, line: str, user: str) -> list[str]:
        become = ["setpriv", "--reuid", user, "--regid", user, "--init-groups"] if user != "root" else []
        kept = [f"{name}={os.environ[name]}" for name in PASSED_ON if name in os.environ]
        clean = ["env", "-i", f"PATH={PATH}", "LANG=C.UTF-8", "PYTHONDONTWRITEBYTECODE=1", *kept]
        inside = [
            "nsenter",
            f"--target={self._pid}",
            "--mount",
            "--net",
            "--pid",
            "--ipc",
            "--uts",
            "--root",
            f"--wd={self.root}{ROOT}",
        ]
        return [*inside, *clean, *become, "sh", "-c", f"umask 022\n{line}"]

    def run(self, line: str, *, user: str = "root", stdin: str = "", check: bool = True) -> Done:
        done = subprocess.run(
            self._argv(line, user),
            input=stdin.encode(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
        output = done.stdout.decode("utf-8", "replace")
        assert not check or done.returncode == 0, (
            f"{line!r} as {user} ended with {done.returncode}:\n{output}\n{self.journal()}"
        )
        return Done(done.returncode, output)

    def type(self, line: str, answer: str, *, user: str = "root") -> Done:
        """On a terminal; `answer` is typed at each prompt."""
        pid, terminal = pty.fork()
        if pid == 0:
            try:
                argv = self._argv(line, user)
                os.execvp(argv[0], argv)
            finally:
                os._exit(127)
        shown = b""
        answered = 0
        while select.select([terminal], [], [], SECONDS)[0]:
            try:
                more = os.read(terminal, 4096)
            except OSError:  # EIO: the other end is closed
                break
            shown += more
            prompts = len(re.findall(rb": ", shown))
            if more.endswith(b": ") and prompts > answered:
                answered = prompts
                os.write(terminal, answer.encode() + b"\n")
        os.close(terminal)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        output = shown.decode("utf-8", "replace")
        assert status == 0, f"{line!r} as {user} ended with {status}:\n{output}"
        return Done(status, output)

    def journal(self) -> str:
        file = self.path("/run/sekisho.journal")
        return file.read_text("utf-8", "replace") if file.exists() else ""

    def stop(self) -> None:
        self._holder.kill()
        self._holder.communicate()


@contextmanager
def fresh_machine(folder: Path) -> Iterator[Machine]:
    """Skips the test with a loud line where namespaces are not to be had, fails under CI."""
    reason = "only root can make a machine of namespaces" if os.geteuid() != 0 else ""
    missing = [
        name for name in ("unshare", "nsenter", "setpriv", "useradd", "ip") if shutil.which(name) is None
    ]
    reason = reason or (f"missing: {shlex.join(missing)} (util-linux, passwd, iproute2)" if missing else "")
    machine = None
    if not reason:
        folder.mkdir(exist_ok=True)
        try:
            machine = Machine(folder)
        except OSError as error:
            reason = str(error)
    if machine is None:
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        warnings.warn(f"SKIPPED MACHINE: {reason}", stacklevel=2)
        pytest.skip(reason)
    try:
        yield machine
    finally:
        machine.stop()
