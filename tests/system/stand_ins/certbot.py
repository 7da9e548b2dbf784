"""certbot: the files it leaves, with their modes, and the deploy hook; the certificates come from a CA of its
own."""

import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from sekisho.adapters.certificates import write_certificates

HOME = Path("/etc/letsencrypt")


def main(arguments: list[str]) -> int:
    renewal = HOME / "renewal"
    if arguments == ["renew"]:
        for file in renewal.iterdir():
            issue(file.name, file.read_text())
        return 0
    name = arguments[arguments.index("-d") + 1]
    hook = arguments[arguments.index("--deploy-hook") + 1] if "--deploy-hook" in arguments else ""
    renewal.mkdir(parents=True, exist_ok=True)
    (renewal / name).write_text(hook)
    issue(name, hook)
    return 0


def issue(name: str, hook: str) -> None:
    archive, live = HOME / "archive" / name, HOME / "live" / name
    for folder in (archive, live):
        folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o755, exist_ok=True)
    number = len(list(archive.glob("privkey*"))) + 1
    with tempfile.TemporaryDirectory() as made:
        ca, chain, key = write_certificates(Path(made), [name], datetime.now(UTC))
        for kind, file, mode in (("privkey", key, 0o600), ("fullchain", chain, 0o644), ("chain", ca, 0o644)):
            copy = archive / f"{kind}{number}.pem"
            copy.touch(mode=0o600)
            copy.write_bytes(file.read_bytes())
            copy.chmod(mode)
            new = live / ".new"
            new.symlink_to(Path("../../archive") / name / copy.name)
            new.rename(live / f"{kind}.pem")
    if hook and (done := subprocess.run(["sh", "-c", hook], check=False)).returncode:
        print(
            f"Hook 'deploy-hook' reported error code {done.returncode}", file=sys.stderr
        )  # certbot goes on all the same


sys.exit(main(sys.argv[1:]))
