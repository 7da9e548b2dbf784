"""Other people's mail programs, from Debian, unpacked into .cache/peers: nothing is installed into the
system.

Each program gets a root of its own, because the packages conflict with each other. APT works on state of its
own too (.cache/apt), so that neither root nor an earlier `apt-get update` is needed.
"""

import fcntl
import functools
import os
import shutil
import subprocess
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"
IN_CI = os.environ.get("CI") == "true"

# program -> Debian packages. What the machine has already is not unpacked again, but for the first one.
PACKAGES: dict[str, tuple[str, ...]] = {
    "swaks": (
        "swaks",
        "libnet-ssleay-perl",
        "libio-socket-ssl-perl",
        "libauthen-sasl-perl",
        "libnet-dns-perl",
    ),
    "msmtp": ("msmtp",),
    "neomutt": ("neomutt",),
    "mbsync": ("isync",),
    "mbsync-sasl": ("isync", "libsasl2-modules"),
    "gsasl": ("gsasl",),
    "mutt": ("mutt",),
    "getmail": ("getmail6",),
    "fetchmail": ("fetchmail",),
    "curl": ("curl",),
    "openssl": ("openssl",),
    "postfix": ("postfix",),
    "unbound": ("unbound",),
    "clamd": ("clamav-daemon", "clamav-base"),
    "rspamd": ("rspamd",),
    "doveadm": ("dovecot-core",),
    "mkpasswd": ("whois",),
    "oathtool": ("oathtool",),
    "systemd": ("systemd", "libsystemd-shared"),
    "xmllint": ("libxml2-utils", "libxml2"),
    "opendkim": ("opendkim", "opendkim-tools"),
}


@dataclass(frozen=True)
class Peer:
    """An unpacked program: `run("--version")`, or `argv(...)` and `environment` for one's own subprocess."""

    name: str
    root: Path
    environment: dict[str, str] = field(default_factory=dict)

    def path(self, program: str) -> str:
        for folder in ("usr/bin", "usr/sbin", "bin", "sbin"):
            if (self.root / folder / program).exists():
                return str(self.root / folder / program)
        found = shutil.which(program)
        assert found, f"{self.name}: no program {program} in {self.root}"
        return found

    def run(
        self, program: str, *arguments: str, stdin: bytes = b"", timeout: float = 60, **more: str
    ) -> "subprocess.CompletedProcess[bytes]":
        """Run to the end; stdout and stderr are kept. `more` goes into the environment."""
        return subprocess.run(
            [self.path(program), *arguments],
            input=stdin,
            capture_output=True,
            timeout=timeout,
            env=os.environ | self.environment | more,
            check=False,
        )


def peer(name: str) -> Peer:
    """The program, unpacked on first use; skips the test with a loud line where that is impossible, fails
    under CI."""
    try:
        return _unpack(name)
    except (OSError, subprocess.SubprocessError) as error:
        detail = getattr(error, "stderr", b"") or b""
        reason = f"{name} cannot be unpacked from Debian: {error} {detail[-300:]!r}"
        if IN_CI:
            pytest.fail(reason)
        warnings.warn(f"SKIPPED PEER: {reason}", stacklevel=2)
        pytest.skip(reason)


@functools.cache
def _unpack(name: str) -> Peer:
    root = CACHE / "peers" / name
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "peers.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (root / ".done").exists():
            _download_into(root, PACKAGES[name])
            (root / ".done").touch()
    library = [
        str(root / "usr/lib/x86_64-linux-gnu"),
        str(root / "lib/x86_64-linux-gnu"),
        *map(str, root.glob("usr/lib/*-linux-gnu")),
    ]
    library += map(str, root.glob("usr/lib/*-linux-gnu/systemd"))
    library.append(str(root / "usr/lib"))
    perl = [
        str(p)
        for pattern in ("usr/share/perl5", "usr/lib/*/perl5/5.*", "usr/share/perl/5.*", "usr/lib/*/perl/5.*")
        for p in root.glob(pattern)
    ]
    environment = {"LD_LIBRARY_PATH": ":".join(dict.fromkeys(library))}
    if perl:
        environment["PERL5LIB"] = ":".join(perl)
    return Peer(name, root, environment)


def _apt(*arguments: str, cwd: Path | None = None) -> str:
    state = CACHE / "apt"
    for folder in ("lists/partial", "cache/archives/partial"):
        (state / folder).mkdir(parents=True, exist_ok=True)
    options = [
        "-o", f"Dir::State::Lists={state}/lists",
        "-o", f"Dir::Cache={state}/cache",
        "-o", "Debug::NoLocking=1",
        "-o", "Acquire::Retries=3",
        *(["-o", "APT::Sandbox::User=root"] if os.geteuid() == 0 else []),
    ]  # fmt: skip
    done = subprocess.run(
        ["apt-get", *options, *arguments], capture_output=True, timeout=300, check=True, cwd=cwd
    )
    return done.stdout.decode()


def _download_into(root: Path, packages: tuple[str, ...]) -> None:
    if not any((CACHE / "apt/lists").glob("*Packages*")):
        _apt("-qq", "update")
    shutil.rmtree(root, ignore_errors=True)
    downloads = root / ".downloads"
    downloads.mkdir(parents=True)
    # Everything that an installation would bring beyond what the machine has; the first package in any case.
    plan = _apt("-y", "--print-uris", "--no-install-recommends", "install", *packages)
    names = {line.split()[1].split("_")[0] for line in plan.splitlines() if line.startswith("'")} | {
        packages[0]
    }
    _apt("-qq", "download", *sorted(names), cwd=downloads)
    for package in sorted(downloads.glob("*.deb")):
        subprocess.run(
            ["dpkg-deb", "-x", str(package), str(root)], check=True, capture_output=True, timeout=120
        )
    shutil.rmtree(downloads)
