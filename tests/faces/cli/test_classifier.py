"""`sekisho classifier`: files in, sentences out."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from sekisho.faces.cli import exits
from sekisho.faces.cli.mailfiles import files, messages

HAM = [
    "meeting",
    "agenda",
    "patch",
    "compile",
    "kernel",
    "thanks",
    "attached",
    "tomorrow",
    "lunch",
    "review",
    "draft",
    "minutes",
    "会議",
    "資料",
]
SPAM = [
    "casino",
    "winner",
    "jackpot",
    "claim",
    "prize",
    "bonus",
    "viagra",
    "refinance",
    "mortgage",
    "guaranteed",
    "cash",
    "当選",
    "無料",
]


def mail(number: int, words: list[str]) -> str:
    dice = random.Random(number)
    text = " ".join(dice.sample(words, 8) + [f"x{dice.randrange(999)}y" for _ in range(5)])
    return (
        f"From: a{number}@{words[0]}.example\nSubject: {dice.choice(words)}\nMessage-ID: "
        f"<{number}@{words[0]}.example>\n\n{text}\n"
    )


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    maildir = tmp_path / "Maildir" / ".Archive" / "cur"
    maildir.mkdir(parents=True)
    for number in range(120):
        (maildir / f"{number}:2,S").write_text(mail(number, HAM))
    (maildir / ".index").write_text("no mail")
    parts = [f"From x@y Mon Jan  1 00:00:00 2024\n{mail(number, SPAM)}\n" for number in range(120)]
    (tmp_path / "spam.mbox").write_text("".join(parts))
    return tmp_path


def test_train_status_explain_forget(cli: Any, corpus: Path) -> None:
    code, out, err = cli("classifier", "status")
    assert (code, err) == (0, "") and "it judges once it knows 100" in out
    train = ("classifier", "train", "--ham", str(corpus / "Maildir"), "--spam", str(corpus / "spam.mbox"))
    sentence = (
        "Read 120 messages of ham and 120 of spam, 240 of them new. Known now: 120 of ham, 120 of spam.\n"
    )
    assert cli(*train) == (0, sentence, "")
    assert json.loads(cli(*train, "--json")[1])["read"] == {"ham": 120, "spam": 120, "changed": 0}
    assert cli("classifier", "status")[1].startswith("It knows 120 messages of ham and 120 of spam.\n")
    assert json.loads(cli("classifier", "status", "--json")[1])["accounts"][0]["ham"] == 120
    fresh = corpus / "new.eml"
    fresh.write_text(mail(999, SPAM))
    code, out, _ = cli("classifier", "explain", str(fresh))
    assert code == 0 and out.startswith("Junk: its score is ")
    fresh.write_text(mail(999, HAM))
    assert json.loads(cli("classifier", "explain", str(fresh), "--json")[1])["is_junk"] is False
    assert cli("classifier", "explain", str(fresh))[1].startswith("Not junk: its score is -")
    assert cli("classifier", "forget", "--everything", "--yes") == (0, "Forgot 240 lessons.\n", "")
    code, _, err = cli("classifier", "explain", str(fresh))
    assert code == exits.FAILED and "not learned enough" in err


def test_usage(cli: Any) -> None:
    assert cli("classifier", "train")[0] == exits.USAGE
    assert cli("classifier", "forget")[0] == exits.USAGE
    assert cli("classifier", "train", "--ham", "/nowhere")[0] == exits.USAGE
    assert "no account" in cli("classifier", "forget", "--account", "nobody@example.org")[2]


def test_files_of_other_programs(corpus: Path) -> None:
    found = files(corpus / "Maildir")
    assert len(found) == 120 and all(file.name[0] != "." for file in found)
    assert [octets.count(b"\r\n") for octets, _ in messages(found[0])] == [5]
    box = list(messages(corpus / "spam.mbox"))
    assert len(box) == 120
    assert all(octets.startswith(b"From: a") for octets, _ in box)
    assert sum(took for _, took in box) == (corpus / "spam.mbox").stat().st_size
    (corpus / "empty").write_bytes(b"")
    assert list(messages(corpus / "empty")) == []


def test_an_mbox_comes_by_standard_input(cli: Any, corpus: Path) -> None:
    mbox = (corpus / "spam.mbox").read_text()
    code, out, _ = cli("classifier", "train", "--spam", "-", stdin=mbox)
    assert code == 0 and out.startswith("Read 0 messages of ham and 120 of spam, 120 of them new.")
    assert (
        json.loads(cli("classifier", "train", "--spam", "-", "--json", stdin=mail(7, SPAM))[1])["read"][
            "spam"
        ]
        == 1
    )
    assert json.loads(cli("classifier", "train", "--ham", "-", "--json")[1])["read"]["ham"] == 0
