"""Operators' actions with the server down: over the store itself, by the settings of the file."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from sekisho.adapters.stores.sqlite.store import prepare
from sekisho.admin.accounts import AddAccount, SetPassword
from sekisho.admin.context import AdminRefused
from sekisho.admin.domains import AddDomain
from sekisho.admin.factor import FactorRequest
from sekisho.admin.operations import make_request, read_answer
from sekisho.config.schema import Config
from sekisho.wiring.alone import answer_alone

TARO = "taro@example.org"


def test_passwords_are_held_against_the_list_that_the_settings_name(tmp_path: Path) -> None:
    leaked = hashlib.sha1(b"himitsu no kotoba").hexdigest().upper()
    (tmp_path / "leaks").write_text(f"{'0' * 40}:1\n{leaked}:42\n{'F' * 40}:1\n")
    prepare(tmp_path)
    roles = {"postmaster": TARO, "abuse": TARO}
    settings = {
        "hostname": "mx.example.org",
        "data_dir": tmp_path,
        "roles": roles,
        "login": {"breached_passwords": tmp_path / "leaks"},
    }
    config = Config.model_validate(
        settings | {"limits": {"free_disk_octets": 0}, "log": {"file": tmp_path / "log"}}
    )

    def ask(operation: str, arguments: Any) -> Any:
        return read_answer(operation, answer_alone(config, make_request(operation, arguments)))

    ask("domain.add", AddDomain("example.org"))
    with pytest.raises(AdminRefused, match="leaked passwords, 42 times"):
        ask("account.add", AddAccount(address=TARO, password="himitsu no kotoba"))
    assert ask("account.add", AddAccount(address=TARO, password="himitsu no kotoba da")).address == TARO
    with pytest.raises(AdminRefused, match="leaked passwords, 42 times"):
        ask("account.passwd", SetPassword(TARO, "himitsu no kotoba"))
    assert (
        ask("account.passwd", SetPassword(TARO, "himitsu no kotoba", allow_weak=True)).credential_version == 2
    )
    assert (
        ask("factor.enable", FactorRequest(TARO)).secret
        and ask("factor.show", FactorRequest(TARO)).state == "begun"
    )
