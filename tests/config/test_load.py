"""Broken configurations and every problem that they must be told of: the `#!` lines at the end of each file
in broken/."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.config.checks import parse_server
from sekisho.config.lines import scan_lines
from sekisho.config.load import load, parse
from sekisho.config.problems import ConfigError

BROKEN = sorted((Path(__file__).parent / "broken").glob("*.toml"))
GOOD = """\
hostname = "mx.example.test"
data_dir = "data"
roles = { postmaster = "taro@example.org", abuse = "taro@example.org" }
listeners = [{ kind = "smtp", address = "127.0.0.1", port = 0 }]
log.file = "/var/log/sekisho.log"
"""


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_every_problem_is_listed(path: Path) -> None:
    text = path.read_text("utf-8")
    toml, _, _ = text.partition("#! ")
    expected = [line[3:] for line in text.splitlines() if line.startswith("#! ")]
    found = parse(toml, Path("/etc/sekisho")).problems
    assert [str(p) if p.is_error else f"warning: {p}" for p in found] == expected
    assert any(problem.is_error for problem in found)


def test_relative_paths_count_from_the_folder() -> None:
    config = parse(GOOD, Path("/etc/sekisho")).config
    assert config is not None
    assert config.data_dir == Path("/etc/sekisho/data")
    assert config.log.file == Path("/var/log/sekisho.log")


def test_load_reads_what_the_file_names(tmp_path: Path) -> None:
    file = tmp_path / "sekisho.toml"
    certificate = '[[certificates]]\ncert_file = "no.pem"\nkey_file = "no.key"\n'
    file.write_text(GOOD.replace('"data"', '"a/b"').replace("/var/log/", "/no/such/folder/") + certificate)
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert [(p.path, p.line) for p in caught.value.problems if p.is_error] == [
        ("data_dir", 2),
        ("log.file", 5),
        ("certificates[0].cert_file", 7),
        ("certificates[0].key_file", 8),
    ]


def test_faults_of_files_are_found_beside_faults_of_the_text(tmp_path: Path) -> None:
    file = tmp_path / "sekisho.toml"
    file.write_text(GOOD.replace('"data"', '"a/b"').replace("port = 0", 'port = "0"'))
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert {"data_dir", "listeners[0].port"} <= {p.path for p in caught.value.problems if p.is_error}


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "missing.toml")
    with pytest.raises(ConfigError, match="Is a directory"):
        load(tmp_path)
    (tmp_path / "latin1.toml").write_bytes(b'hostname = "m\xfc.example"\n')
    with pytest.raises(ConfigError, match="UTF-8"):
        load(tmp_path / "latin1.toml")


@given(st.text(alphabet="[]{}\".=#ab\n'1 \\", max_size=80))
def test_any_text_gives_a_configuration_or_problems(text: str) -> None:
    parsed = parse(text, Path("/"))
    assert parsed.config is not None or any(problem.is_error for problem in parsed.problems)


@given(st.text(alphabet="[]{}\".=#ab\n'1 \\", max_size=80))
def test_any_text_gives_line_numbers_inside_it(text: str) -> None:
    assert all(1 <= line <= text.count("\n") + 1 for line in scan_lines(text).values())


def test_lines_of_nested_tables() -> None:
    text = '[a]\nx = """\n[b]\ny = 1\n"""\nz.w = 1\n[[c]]\n[[c]]\nk = 1\n[c.d]\n"e f" = 2\n[[c.g]]\nh = 1\n'
    lines = scan_lines(text)
    assert lines[("a", "x")] == 2 and ("b",) not in lines
    assert lines[("a", "z", "w")] == 6
    assert lines[("c", 1, "k")] == 9
    assert lines[("c", 1, "d", "e f")] == 11
    assert lines[("c", 1, "g", 0, "h")] == 13


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("192.0.2.53", 53),
        ("192.0.2.53:5353", 5353),
        ("::1", 53),
        ("[::1]", 53),
        ("[::1]:5353", 5353),
        ("192.0.2:53", None),
    ],
)
def test_addresses_of_resolvers(text: str, port: int | None) -> None:
    parsed = parse_server(text)
    assert (parsed[1] if parsed else None) == port
