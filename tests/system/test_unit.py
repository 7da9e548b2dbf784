"""The systemd unit: systemd of Debian 12 understands every line, and what it shuts in is shut in well."""

import re
from pathlib import Path

import pytest
from tests.peers.debian import peer
from tests.system.machine import ROOT

UNITS = ROOT / "docs/operating/systemd"
EXPOSURE = 20  # tenths


@pytest.mark.peers
def test_every_line_is_understood(tmp_path: Path) -> None:
    for name in ("sekisho.service", "sekisho.socket"):
        (tmp_path / name).write_text(
            (UNITS / name).read_text().replace("/opt/sekisho/bin/sekisho", "/bin/true")
        )  # it must be there
    done = peer("systemd").run(
        "systemd-analyze",
        "verify",
        "--man=no",
        str(tmp_path / "sekisho.service"),
        str(tmp_path / "sekisho.socket"),
    )
    told = done.stderr.decode()
    assert done.returncode == 0 and str(tmp_path) not in told and "sekisho" not in told, told


@pytest.mark.peers
def test_little_is_exposed() -> None:
    unit = str(UNITS / "sekisho.service")
    done = peer("systemd").run(
        "systemd-analyze", "security", "--offline=yes", "--no-pager", f"--threshold={EXPOSURE}", unit
    )
    told = done.stdout.decode()
    assert done.returncode == 0, told
    found = re.search(r"Overall exposure level for sekisho.service: ([0-9.]+)", told)
    assert found is not None and float(found[1]) <= EXPOSURE / 10
    for page in ("install.md", "ja/install.md"):  # the pages say how much
        assert found[1] in (UNITS.parent / page).read_text("utf-8")


def test_reload_works_before_systemd_253() -> None:
    text = (UNITS / "sekisho.service").read_text()
    assert "\nType=notify\n" in text and re.search(r"^ExecReload=.*kill -HUP \$MAINPID$", text, re.M)
