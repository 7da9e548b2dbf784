"""Secrets of the configuration: nobody is shown them, and every one is known to be one."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from sekisho.app import App
from sekisho.config.load import parse
from sekisho.config.schema import Config
from sekisho.config.secrets import MASK, masked, secret_settings
from sekisho.config.section import SecretMark
from sekisho.faces.cli.main import run
from sekisho.faces.cli.reference import table_in

SETTINGS = """\
hostname = "mx.example.org"
data_dir = "data"
roles = { postmaster = "taro@example.org", abuse = "taro@example.org" }
[[listeners]]
kind = "smtp"
address = "127.0.0.1"
port = 0
[content]
rspamd_password = "xyzzy"
"""
# "breached_passwords" names a file, "username_claim" a field of a token: the last word says what a setting
# holds.
HUSHED = re.compile(r"(password|passphrase|secret|token|credential|key)\Z")


def settings(model: type[BaseModel]) -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        inner = table_in(field.annotation)
        if inner is None:
            yield name, field
        else:
            yield from settings(inner)


def test_what_is_called_a_secret_is_marked() -> None:
    marked = {
        name
        for name, field in settings(Config)
        if any(isinstance(mark, SecretMark) for mark in field.metadata)
    }
    assert {name for name, _ in settings(Config) if HUSHED.search(name)} == marked == {"rspamd_password"}


def test_config_show_prints_none(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "sekisho.toml").write_text(SETTINGS)
    assert run(App(), ["sekisho", "config", "show", "-c", str(tmp_path / "sekisho.toml")]) == 0
    out = capsys.readouterr().out
    assert json.loads(out)["content"]["rspamd_password"] == MASK and "xyzzy" not in out
    config = parse(SETTINGS.replace("xyzzy", ""), tmp_path).config
    assert config is not None
    assert masked(config)["content"]["rspamd_password"] == "" and secret_settings(config) == []


def test_one_of_the_wrong_type_is_not_shown_either(tmp_path: Path) -> None:
    problems = parse(SETTINGS.replace('"xyzzy"', "31337"), tmp_path).problems
    problem = next(one for one in problems if one.path == "content.rspamd_password")
    assert "31337" not in str(problem) and MASK in str(problem)


@pytest.mark.parametrize(("mode", "is_told"), [(0o644, True), (0o640, False), (0o600, False), (0o602, True)])
def test_a_file_with_a_secret_that_all_can_read_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], mode: int, is_told: bool
) -> None:
    file = tmp_path / "sekisho.toml"
    file.write_text(SETTINGS)
    file.chmod(mode)
    assert run(App(), ["sekisho", "config", "check", "--offline", "-c", str(file)]) == 0
    assert ("which holds a secret" in capsys.readouterr().err) is is_told
