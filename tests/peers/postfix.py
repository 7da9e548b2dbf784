"""A private Postfix as the other vendor's mail server: own mount namespace, own users, own everything, one
loopback address.

Needs root. Postfix is the unpacked Debian package laid over /usr inside the namespace; the machine sees
nothing of it.
"""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.peers.debian import IN_CI, Peer, peer

_START = r"""
set -eu
mount -t overlay overlay -o "lowerdir=$ROOT/usr:/usr" /usr
# The machine may have a Postfix of its own, with other numbers.
grep -Ev '^(postfix|vmail):' /etc/passwd > "$DIR/passwd"
grep -Ev '^(postfix|postdrop|vmail):' /etc/group > "$DIR/group"
echo 'postfix:x:5101:5101::/nonexistent:/usr/sbin/nologin' >> "$DIR/passwd"
echo 'vmail:x:5100:5100::/nonexistent:/usr/sbin/nologin' >> "$DIR/passwd"
printf 'postfix:x:5101:\npostdrop:x:5102:\nvmail:x:5100:\n' >> "$DIR/group"
mount --bind "$DIR/passwd" /etc/passwd
mount --bind "$DIR/group" /etc/group
printf 'nameserver %s\noptions timeout:2 attempts:2\n' "$DNS" > "$DIR/resolv.conf"
mount --bind "$DIR/resolv.conf" "$(readlink -f /etc/resolv.conf)"
mkdir -p "$DIR/spool" "$DIR/data" "$DIR/mail/new" "$DIR/mail/cur" "$DIR/mail/tmp"
chown 5101 "$DIR/data"
chown -R 5100:5100 "$DIR/mail"
mkdir -p /var/spool/postfix 2>/dev/null || true
exec /usr/sbin/postfix -c "$DIR/etc" start-fg
"""


class Postfix:
    """A running Postfix: mail for `domain` (any local part) lands in `mailbox/new`, one file a message."""

    def __init__(
        self, directory: Path, address: str, domain: str, process: "subprocess.Popen[bytes]", tools: Peer
    ) -> None:
        self.directory = directory
        self.address = address
        self.domain = domain
        self.mailbox = directory / "mail"
        self._process = process
        self._tools = tools

    @property
    def log(self) -> str:
        path = self.directory / "maillog"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    def messages(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted((self.mailbox / "new").iterdir())]

    def wait_for(self, count: int, seconds: float = 60) -> list[bytes]:
        """The messages, once there are `count`; fails with the log when they do not come."""
        deadline = time.monotonic() + seconds
        while len(found := self.messages()) < count:
            assert time.monotonic() < deadline, (
                f"only {len(found)} of {count} messages arrived\n{self.log[-4000:]}"
            )
            assert self._process.poll() is None, f"Postfix ended\n{self.log[-4000:]}"
            time.sleep(0.05)
        return found

    def command(self, program: str, *arguments: str, stdin: bytes = b"") -> bytes:
        """Run `sendmail`, `postqueue`, … inside Postfix' own namespace."""
        pid = str(self._process.pid)
        done = subprocess.run(
            ["nsenter", "-m", "-t", pid, "--", program, *arguments],
            input=stdin,
            capture_output=True,
            timeout=60,
            check=True,
        )
        return done.stdout

    def stop(self) -> None:
        """Returns when nothing of it is alive. The master leads a session of its own, apart from the one that
        started it."""
        try:
            groups = [int((self.directory / "spool/pid/master.pid").read_text()), self._process.pid]
        except (OSError, ValueError):  # it never came so far
            groups = [self._process.pid]
        for number in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + 20
            while _signal_group(groups, number) and time.monotonic() < deadline:
                self._process.poll()  # a zombie would count as alive
                time.sleep(0.02)
        self._process.wait(20)


def _signal_group(groups: list[int], number: int) -> bool:
    """Signal all processes of the groups; False if there are none left."""
    alive = False
    for group in groups:
        try:
            os.killpg(group, number)
            alive = True
        except ProcessLookupError:
            pass
    return alive


def _configure(
    directory: Path,
    tools: Peer,
    address: str,
    domain: str,
    certificate: tuple[Path, Path],
    extra: dict[str, str],
) -> None:
    etc = directory / "etc"
    shutil.copytree(tools.root / "etc/postfix", etc, symlinks=True)
    settings = {
        "compatibility_level": "3.6",
        "myhostname": f"mx.{domain}",
        "mydomain": domain,
        "myorigin": domain,
        "mydestination": "",
        # an address of the interface itself; the listener below is what counts
        "inet_interfaces": "127.0.0.1",
        "proxy_interfaces": address,
        "inet_protocols": "ipv4",
        "smtp_bind_address": address,
        "queue_directory": f"{directory}/spool",
        "data_directory": f"{directory}/data",
        "meta_directory": str(etc),
        "maillog_file_prefixes": str(directory),
        "maillog_file": f"{directory}/maillog",
        "mynetworks": f"{address}/32",
        "alias_maps": "",
        "alias_database": "",
        "virtual_mailbox_domains": domain,
        "virtual_mailbox_base": str(directory),
        "virtual_mailbox_maps": "static:mail/",
        "virtual_minimum_uid": "1000",
        "virtual_uid_maps": "static:5100",
        "virtual_gid_maps": "static:5100",
        "virtual_mailbox_limit": "0",
        "smtpd_tls_cert_file": str(certificate[0]),
        "smtpd_tls_key_file": str(certificate[1]),
        "smtpd_tls_security_level": "may",
        "smtp_tls_security_level": "may",
        "smtp_tls_loglevel": "1",
        "smtpd_tls_loglevel": "1",
        "smtpd_forbid_bare_newline": "yes",
        "message_size_limit": "60000000",
        "smtpd_relay_restrictions": "permit_mynetworks, reject_unauth_destination",
        "minimal_backoff_time": "5s",
        "maximal_backoff_time": "10s",
        "queue_run_delay": "5s",
        **extra,
    }
    (etc / "main.cf").write_text("".join(f"{key} = {value}\n" for key, value in settings.items()))
    lines = []
    for line in (tools.root / "usr/share/postfix/master.cf.dist").read_text().splitlines():
        words = line.split()
        if line[:1].isalpha() and len(words) > 7:
            if words[:2] == ["smtp", "inet"]:
                words[0] = f"{address}:smtp"
            words[4] = "n"  # no chroot
            line = " ".join(words)
        lines.append(line)
    (etc / "master.cf").write_text("\n".join(lines) + "\n")


@contextmanager
def running_postfix(
    directory: Path, address: str, domain: str, dns: str, certificate: tuple[Path, Path], **extra: str
) -> Iterator[Postfix]:
    """Start one on `address` port 25, with the resolver at `dns` port 53. `directory` must be readable for
    everybody."""
    if os.geteuid() != 0:
        if IN_CI:
            pytest.fail("Postfix needs root")
        pytest.skip("SKIPPED PEER: Postfix needs root")
    tools = peer("postfix")
    directory.mkdir(parents=True)
    _configure(
        directory=directory, tools=tools, address=address, domain=domain, certificate=certificate, extra=extra
    )
    process = subprocess.Popen(
        ["unshare", "-m", "--propagation", "private", "sh", "-c", _START],
        env=os.environ | {"ROOT": str(tools.root), "DIR": str(directory), "DNS": dns},
        stdin=subprocess.DEVNULL,
        stdout=(directory / "start.log").open("wb"),
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    postfix = Postfix(directory, address, domain, process, tools)
    try:
        _wait_for_port(postfix, process)
        yield postfix
    finally:
        postfix.stop()


def _wait_for_port(postfix: Postfix, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection((postfix.address, 25), 1).close()
            return
        except OSError:
            started = (postfix.directory / "start.log").read_text()
            assert process.poll() is None, f"Postfix did not start\n{started}\n{postfix.log[-3000:]}"
            assert time.monotonic() < deadline, f"Postfix does not listen\n{started}\n{postfix.log[-3000:]}"
            time.sleep(0.05)
