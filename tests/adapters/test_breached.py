import hashlib
from pathlib import Path

import pytest

from sekisho.adapters.breached import BreachedFile


def digest(password: str) -> str:
    return hashlib.sha1(password.encode()).hexdigest().upper()


def write(
    path: Path, passwords: list[str], *, digits: int = 40, end: str = "\r\n", last: bool = True
) -> BreachedFile:
    lines = sorted(f"{digest(p)[:digits]}:{number + 1}" for number, p in enumerate(passwords))
    path.write_text(end.join(lines) + end * last, newline="")
    return BreachedFile(path)


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
@pytest.mark.parametrize("size", [1, 2, 3, 100, 1001])
def test_each_of_the_list_is_found_and_no_other(tmp_path: Path, size: int, last: bool, end: str) -> None:
    known = [f"leaked {n}" for n in range(size)]
    leaked = write(tmp_path / "list", known, end=end, last=last)
    assert [leaked.count(password) for password in known] == list(range(1, size + 1))
    assert not any(leaked.count(f"secret {n}") for n in range(200))


def test_fronts_of_digests_are_enough(tmp_path: Path) -> None:
    leaked = write(tmp_path / "list", [f"leaked {n}" for n in range(50)], digits=20)
    assert leaked.count("leaked 31") == 32 and leaked.count("secret") == 0


def test_digests_may_stand_alone_and_in_small_letters(tmp_path: Path) -> None:
    (tmp_path / "list").write_text("\n".join(sorted(digest(f"leaked {n}").lower() for n in range(9))))
    assert BreachedFile(tmp_path / "list").count("leaked 4") == 1


def test_an_empty_list_knows_nothing(tmp_path: Path) -> None:
    assert write(tmp_path / "list", [], last=False).count("anything") == 0


@pytest.mark.parametrize("text", ["hello\nworld\n", "x" * 10_000, "0123456789:5\n", digest("a") + ":many\n"])
def test_other_files_are_told_apart(tmp_path: Path, text: str) -> None:
    (tmp_path / "list").write_text(text)
    with pytest.raises(ValueError, match="octet"):
        BreachedFile(tmp_path / "list").count("anything")


def test_a_missing_list_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        BreachedFile(tmp_path / "none").count("anything")
