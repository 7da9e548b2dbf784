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


def _citations(pattern: str) -> dict[str, str]:
    """What the pattern's first group finds in source and tests, and where it was first found."""
    found: dict[str, str] = {}
    for path in sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "tests").rglob("*.py")]):
        for match in re.findall(pattern, path.read_text("utf-8")):
            found.setdefault(match, str(path.relative_to(ROOT)))
    return found


def test_cited_design_is_in_the_house() -> None:
    page = (ROOT / "docs/design/DESIGN.md").read_text("utf-8")
    sections, laws = set(re.findall(r"^## §(\d+)", page, re.M)), set(re.findall(r"\*\*law (\d+)\.\*\*", page))
    topics = set(re.findall(r"^- \*\*([^*]+)\.\*\*", page, re.M))
    cited = _citations(r"DESIGN §(\d+)")
    assert cited and not {section: where for section, where in cited.items() if section not in sections}
    cited = _citations(r"(?:DESIGN (?:§2 )?|\()law (\d+)")
    assert cited and not {law: where for law, where in cited.items() if law not in laws}
    cited = _citations(r"DESIGN §4,? ([A-Z][A-Za-z= -]*[A-Za-z])")
    assert cited and not {topic: where for topic, where in cited.items() if topic not in topics}


def test_cited_threats_and_rules_are_in_the_house() -> None:
    rows = {
        name: set(
            re.findall(r"^\| ([A-Z]-\d+|\d+) \|", (ROOT / f"docs/design/{name}.md").read_text("utf-8"), re.M)
        )
        for name in _PAPERS
    }
    for name, known in rows.items():
        cited = _citations(rf"{name} §?((?:[A-Z]-)?\d+)")
        assert cited and not {row: where for row, where in cited.items() if row not in known}, name


_PAPERS = ("THREATS", "STANDARDS")
