"""Certificates, keys, folders and users that a configuration names."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from tests.stores.opened import OpenStore

from sekisho.adapters.certificates import write_certificates
from sekisho.config.files import check_files
from sekisho.config.owners import check_role_owners
from sekisho.config.schema import (
    Certificate,
    Config,
    ListenerSettings,
    LogSettings,
    RoleOwners,
    SubmissionSettings,
)

NOW = datetime.now(UTC)


@pytest.fixture
def config(tmp_path: Path) -> Config:
    write_certificates(tmp_path, ["mx.example.test", "*.example.org"], NOW)
    return Config(
        hostname="mx.example.test",
        data_dir=tmp_path / "data",
        user=None,
        roles=RoleOwners(postmaster="taro@example.org", abuse="taro@example.org"),
        listeners=(ListenerSettings(kind="smtp", address="127.0.0.1", port=0),),
        certificates=(Certificate(cert_file=tmp_path / "cert.pem", key_file=tmp_path / "key.pem"),),
    )


def found(config: Config, now: datetime = NOW) -> list[str]:
    problems = [problem for problem in check_files(config, now) if problem.path != "user"]
    return [f"{problem.severity} {problem.path} {problem}" for problem in problems]


def test_good_files(config: Config) -> None:
    assert found(config) == []


@pytest.mark.parametrize(
    ("days", "word"),
    [(0, None), (380, None), (390, "expires"), (398, "expired"), (-3, "valid only from")],
    ids=["now", "380", "390", "398", "-3"],
)
def test_dates_of_certificates_warn(config: Config, days: int, word: str | None) -> None:
    problems = found(config, NOW + timedelta(days=days))
    assert [
        word in problem and problem.startswith("warning certificates[0].cert_file")
        for problem in problems
        if word
    ] == ([True] if word else [])
    assert len(problems) == (1 if word else 0)


@pytest.mark.parametrize(
    ("name", "fits"), [("mx.example.org", True), ("example.org", False), ("a.b.example.org", False)]
)
def test_the_certificate_should_be_for_the_host_name(config: Config, name: str, fits: bool) -> None:
    problems = found(config.model_copy(update={"hostname": name}))
    assert [problem.startswith("warning certificates") for problem in problems] == ([] if fits else [True])


def test_a_key_of_another_certificate(config: Config, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write_certificates(other, ["mx.example.test"], NOW)
    (tmp_path / "key.pem").write_bytes((other / "key.pem").read_bytes())
    (problem,) = found(config)
    assert problem.startswith("error certificates[0].key_file") and "does not belong" in problem


@pytest.mark.parametrize(("name", "field"), [("cert.pem", "cert_file"), ("key.pem", "key_file")])
def test_files_that_hold_something_else(config: Config, tmp_path: Path, name: str, field: str) -> None:
    (tmp_path / name).write_text("not PEM\n")
    (problem,) = found(config)
    assert problem.startswith(f"error certificates[0].{field}") and "PEM" in problem
    (tmp_path / name).unlink()
    (problem,) = found(config)
    assert "No such file" in problem


def test_a_key_with_a_passphrase(config: Config, tmp_path: Path) -> None:
    key = load_pem_private_key((tmp_path / "key.pem").read_bytes(), None)
    (tmp_path / "key.pem").write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x"))
    )
    (problem,) = found(config)
    assert "without a passphrase" in problem


def test_a_key_that_everybody_can_read(config: Config, tmp_path: Path) -> None:
    (tmp_path / "key.pem").chmod(0o644)
    (problem,) = found(config)
    assert problem.startswith("warning certificates[0].key_file") and "chmod 600" in problem


def test_a_short_rsa_key(config: Config, tmp_path: Path) -> None:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    key = rsa.generate_private_key(65537, 1024)
    name = x509.Name([])
    builder = x509.CertificateBuilder(
        name, name, key.public_key(), 7, NOW - timedelta(1), NOW + timedelta(99)
    )
    builder = builder.add_extension(
        x509.SubjectAlternativeName([x509.DNSName("mx.example.test")]), critical=True
    )
    (tmp_path / "cert.pem").write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (problem,) = found(config)
    assert problem.startswith("error") and "1024 bits" in problem


def test_folders(config: Config, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    assert "not a folder" in found(config.model_copy(update={"data_dir": tmp_path / "file"}))[0]
    assert "neither does" in found(config.model_copy(update={"data_dir": tmp_path / "a" / "b"}))[0]
    inside = SubmissionSettings(local_socket=tmp_path / "data" / "run" / "s.sock")
    assert found(config.model_copy(update={"submission": inside})) == []
    outside = {
        "submission": SubmissionSettings(local_socket=tmp_path / "no" / "s.sock"),
        "log": LogSettings(file=tmp_path / "no" / "log"),
    }
    assert [problem.split()[:2] for problem in found(config.model_copy(update=outside))] == [
        ["error", "log.file"],
        ["warning", "submission.local_socket"],
    ]


def test_users(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    def problems(user: str | None, uid: int) -> list[str]:
        monkeypatch.setattr(os, "geteuid", lambda: uid)
        return [f"{p.severity} {p}" for p in check_files(config.model_copy(update={"user": user}), NOW)]

    assert problems(None, 1000) == []
    assert "warning" in problems(None, 0)[0]
    assert problems("root", 0) == []
    assert "Only root" in problems("root", 1000)[0]
    assert "useradd" in problems("no-such-user", 0)[0]


async def test_role_owners_are_looked_up() -> None:
    from sekisho.core.terms.address import Address
    from sekisho.ports.directory import Domain
    from sekisho.testing.clock import ManualClock, SeededDice

    directory = OpenStore(ManualClock(), SeededDice()).directory
    roles = RoleOwners(postmaster="taro@example.org", abuse="TARO@example.org")
    assert len(await check_role_owners(roles, directory)) == 2
    await directory.add_domain(Domain("example.org", 0))
    account = await directory.add_account(Address.from_text("taro@example.org"), "", "")
    assert await check_role_owners(roles, directory) == []
    await directory.set_state(account.id, "deleted")
    assert [problem.path for problem in await check_role_owners(roles, directory)] == [
        "roles.postmaster",
        "roles.abuse",
    ]


def test_a_list_of_leaked_passwords(config: Config, tmp_path: Path) -> None:
    def said(file: Path) -> list[str]:
        login = config.login.model_copy(update={"breached_passwords": file})
        return found(config.model_copy(update={"login": login}))

    (tmp_path / "good").write_text("000000005AD76BD555C1D6D771DE417A4B87E4B4:10\r\n")
    (tmp_path / "bad").write_text("123456\npassword\n")
    before = found(config)
    assert said(tmp_path / "good") == before
    (wrong,) = set(said(tmp_path / "bad")) - set(before)
    assert wrong.startswith("error login.breached_passwords") and "is no list of leaked passwords" in wrong
    (missing,) = set(said(tmp_path / "none")) - set(before)
    assert "cannot be read: No such file" in missing
