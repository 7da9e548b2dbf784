"""The glossary has the same terms in both languages, and what people read uses them: no word that the
glossary replaced."""

import re
import tomllib
from pathlib import Path

import pytest

from sekisho.faces.cli.reference import configuration_reference
from sekisho.faces.i18n.catalogue import catalogue

ROOT = Path(__file__).parents[2]
SCENES = sorted((ROOT / "src/sekisho/lab/scenes").glob("*.toml"))
ENGLISH = [
    ROOT / "README.md",
    *(ROOT / "docs/operating").glob("*.md"),
    *(ROOT / "docs/en").glob("*.md"),
    *(ROOT / "docs/lab").glob("*.md"),
]
JAPANESE = [
    ROOT / "README.ja.md",
    *(ROOT / "docs/operating/ja").glob("*.md"),
    *(ROOT / "docs/ja").glob("*.md"),
    *(ROOT / "docs/lab/ja").glob("*.md"),
]
# What the word is in the glossary, and what must not stand for it.
BANNED = {
    "authentication results": r"\bpapers?\b|shows no paper",
    "EHLO": r"\bhello\b",
    "guard": r"\btake-?overs?\b|\bhijack(ing|ed)? (rule|watch|feature|verdict)s?\b|watch over "
    r"hijacked|guard of hijacked",
    "connection policy": r"\bvisits?\b|\bvisitors?\b",
    "refusal id": r"\breference (id|number)\b|\bthe reference of (a|the) refusal\b",
    "background duty": r"\bchores?\b",
}
BANNED_JA = {
    "サーバー": "サーバ(?!ー)",
    "ユーザー": "ユーザ(?!ー)",
    "ワーカー": "ワーカ(?!ー)",
    "ヘッダー": "ヘッダ(?!ー)",
    "認証結果": "書類",
    "認証情報": "資格情報",
}
# The story of the name, not of mail.
STORY = ("nobody passed without papers",)


def _rows(path: str) -> list[list[str]]:
    lines = (ROOT / path).read_text("utf-8").splitlines()
    return [
        [cell.strip() for cell in line.strip("|").split(" | ")] for line in lines if line.startswith("| ")
    ][1:]


def _told(language: str) -> dict[str, str]:
    """What is read in this language, by where it stands."""
    is_english = language == "en"
    told = {
        str(path.relative_to(ROOT)): path.read_text("utf-8") for path in (ENGLISH if is_english else JAPANESE)
    }
    told["the configuration reference"] = configuration_reference(catalogue("en" if is_english else "ja"))
    entries = re.findall(
        r'^msgid "(.*)"\nmsgstr "(.*)"$',
        (ROOT / "src/sekisho/faces/i18n/ja.po").read_text("utf-8"),
        re.MULTILINE,
    )
    assert len(entries) > 1000
    told["ja.po"] = "\n".join(pair[0 if is_english else 1] for pair in entries)
    for path in SCENES:
        scene = tomllib.loads(path.read_text("utf-8"))
        tables = [scene, *(table for kind in ("actor", "step", "total") for table in scene.get(kind, []))]
        names = ("title", "about") if is_english else ("title_ja", "about_ja")
        told[path.name] = "\n".join(str(table.get(name, "")) for table in tables for name in names)
    return told


def _found(language: str, banned: dict[str, str]) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    for place, text in _told(language).items():
        for better, pattern in banned.items():
            # Places such as {hello} are names in the code, and code spans are names too.
            plain = re.sub("|".join([r"\{\w+\}|`[^`\n]*`", *map(re.escape, STORY)]), "", text)
            found += [
                (place, plain[max(0, match.start() - 40) : match.end() + 40], better)
                for match in re.finditer(pattern, plain, re.IGNORECASE)
            ]
    return found


def test_both_languages_have_the_same_terms() -> None:
    english, japanese = _rows("docs/operating/glossary.md"), _rows("docs/operating/ja/glossary.md")
    assert len(english) > 40
    assert [row[:2] for row in english] == [[row[1], row[0]] for row in japanese]
    assert [row[0] for row in english] == sorted((row[0] for row in english), key=str.lower)
    assert all(len(row) == 3 and row[2].endswith((".", "。", ")")) for row in (*english, *japanese))


def test_japanese_terms_are_those_that_the_program_uses() -> None:
    program = (ROOT / "src/sekisho/faces/i18n/ja.po").read_text("utf-8")
    terms = {row[1]: row[0] for row in _rows("docs/operating/ja/glossary.md")}
    for term in (
        "account",
        "alias",
        "app password",
        "credential",
        "guard",
        "hold",
        "freeze",
        "ledger",
        "queue",
        "scene",
        "message",
        "operator",
    ):
        assert terms[term] in program, term


@pytest.mark.parametrize(("language", "banned"), [("en", BANNED), ("ja", BANNED_JA)], ids=("en", "ja"))
def test_words_that_the_glossary_replaced_are_gone(language: str, banned: dict[str, str]) -> None:
    assert _found(language, banned) == []
