"""Each RFC cited in the source stands in docs/standards.toml, and each clause is written `RFC 5321 §4.1`."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_cited_rfc_is_listed() -> None:
    listed = tomllib.loads((ROOT / "docs/standards.toml").read_text("utf-8"))["rfc"]
    cited: dict[str, str] = {}
    for path in sorted((ROOT / "src").rglob("*.py")):
        for number in re.findall(r"RFC (\d{3,5})", path.read_text("utf-8")):
            cited.setdefault(number, str(path.relative_to(ROOT)))
    missing = {number: where for number, where in cited.items() if number not in listed}
    assert not missing, f"add these to docs/standards.toml: {missing}"


def test_states_are_known_words() -> None:
    listed = tomllib.loads((ROOT / "docs/standards.toml").read_text("utf-8"))["rfc"]
    assert {entry["state"] for entry in listed.values()} <= {"yes", "partly", "planned", "no", "background"}
