"""The try-out folder: made once, used again, and good enough for `serve -c`."""

import json
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from sekisho.adapters.tryout import TryOutRefused, prepare
from sekisho.config.load import load

NOW = datetime.now(UTC)


def test_its_configuration_loads_without_errors(tmp_path: Path) -> None:
    tryout = prepare(tmp_path / "try", 20000)
    config = load(tryout.config_file).config
    assert config.hostname == "mx.example.test"
    assert {listener.kind: listener.port for listener in config.listeners} == tryout.ports
    assert tryout.ports["smtp"] == 20025 and tryout.ports["pop3s"] == 20995
    assert config.data_dir == tmp_path / "try" / "data"
    assert all(str(listener.address) == "127.0.0.1" for listener in config.listeners)


def test_second_start_finds_everything_again(tmp_path: Path) -> None:
    first = prepare(tmp_path, 0)
    with first.config_file.open("a") as file:
        file.write("# edited by hand\n")
    assert prepare(tmp_path) == first
    assert prepare(tmp_path, 0) == first
    assert "edited by hand" in first.config_file.read_text()


def test_other_ports_are_written_and_passwords_stay(tmp_path: Path) -> None:
    first = prepare(tmp_path, 20000)
    second = prepare(tmp_path, 30000)
    assert second.ports["imap"] == 30143
    assert second.passwords == first.passwords
    assert (
        load(second.config_file).config.listeners[0].port
        == second.ports[load(second.config_file).config.listeners[0].kind]
    )


def test_free_ports_are_all_different(tmp_path: Path) -> None:
    assert len(set(prepare(tmp_path, 0).ports.values())) == 8


def test_passwords_are_random_and_private(tmp_path: Path) -> None:
    one, two = prepare(tmp_path / "one"), prepare(tmp_path / "two")
    assert not set(one.passwords.values()) & set(two.passwords.values())
    assert set(one.passwords) == {"alice@example.test", "bob@example.test"}
    for name in ("tryout.json", "key.pem"):
        assert (tmp_path / "one" / name).stat().st_mode & 0o777 == 0o600


def test_certificate_is_good_for_every_name(tmp_path: Path) -> None:
    tryout = prepare(tmp_path)
    chain = x509.load_pem_x509_certificates((tmp_path / "cert.pem").read_bytes())
    store = Store(x509.load_pem_x509_certificates(tryout.ca_file.read_bytes()))
    for name in ("localhost", "mx.example.test", "example.test"):
        verifier = PolicyBuilder().store(store).time(NOW).build_server_verifier(x509.DNSName(name))
        assert verifier.verify(chain[0], chain[1:])[0] == chain[0]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert.pem", tmp_path / "key.pem")


def test_expired_certificate_is_made_anew(tmp_path: Path) -> None:
    prepare(tmp_path)
    old = (tmp_path / "cert.pem").read_bytes()
    prepare(tmp_path, now=NOW + timedelta(days=200))
    assert (tmp_path / "cert.pem").read_bytes() == old
    prepare(tmp_path, now=NOW + timedelta(days=400))
    assert (tmp_path / "cert.pem").read_bytes() != old


def test_a_strange_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(TryOutRefused, match="not empty"):
        prepare(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


@pytest.mark.parametrize("text", ["", "{", "[]", json.dumps({"ports": {}})])
def test_damaged_state_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "tryout.json").write_text(text)
    with pytest.raises(TryOutRefused, match="damaged"):
        prepare(tmp_path)


def test_a_base_port_too_high_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TryOutRefused, match="61345"):
        prepare(tmp_path, 64541)
