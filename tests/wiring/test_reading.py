"""What the supervisor reads at a reload: what is bad among it does not spoil the rest, and what must wait for
a restart is named."""

from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
import trustme

from sekisho.adapters.process.plan import ReloadRefused
from sekisho.faces.cli.handle import CommandError
from sekisho.wiring.reading import SetupReader, read_setup
from sekisho.wiring.setup import Setup

NAMES = ("mx", "mail")


class Desk:
    """A configuration file with two certificates, and who reads it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "sekisho.toml"
        self.authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        self.authority.cert_pem.write_to_path(folder / "people.pem")
        for name in NAMES:
            self.renew(name)
        self.write()
        self.told: list[tuple[str, Mapping[str, str | int]]] = []
        self.reader = SetupReader(
            self.file, read_setup(self.file), lambda kind, fields: self.told.append((kind, fields))
        )
        self.first = self.reader.latest

    def renew(self, name: str) -> None:
        leaf = self.authority.issue_cert(f"{name}.example.test", key_type=trustme.KeyType.ECDSA)
        (self.folder / f"{name}.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(self.folder / f"{name}.key")
        (self.folder / f"{name}.key").chmod(0o600)

    def write(self, top: str = "", more: str = "", port: int = 0, names: tuple[str, ...] = NAMES) -> None:
        certificates = "".join(
            f'[[certificates]]\ncert_file = "{name}.pem"\nkey_file = "{name}.key"\n' for name in names
        )
        self.file.write_text(
            f'hostname = "mx.example.test"\ndata_dir = "{self.folder}"\n{top}\n'
            '[roles]\npostmaster = "taro@example.test"\nabuse = "taro@example.test"\n'
            f'[[listeners]]\nkind = "imaps"\naddress = "127.0.0.1"\nport = {port}\nclient_ca = '
            f'"people.pem"\n{certificates}{more}'
        )

    def reload(self) -> Setup:
        payload = self.reader.reload()
        assert msgspec.msgpack.decode(payload, type=Setup) == self.reader.latest
        return self.reader.latest

    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.told]


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


def test_renewed_certificates_are_taken_over(desk: Desk) -> None:
    desk.renew("mx")
    setup = desk.reload()
    assert (
        setup.certificates[0] != desk.first.certificates[0]
        and setup.certificates[1] == desk.first.certificates[1]
    )
    assert desk.kinds().count("tls.certificate_kept") == 0


@pytest.mark.parametrize("damage", ["half", "other key", "gone", "garbage", "empty"])
def test_a_certificate_that_is_not_fit_keeps_the_one_before_it_and_the_rest_is_followed(
    desk: Desk, damage: str
) -> None:
    for name in NAMES:
        desk.renew(name)
    chain, key = desk.folder / "mail.pem", desk.folder / "mail.key"
    match damage:
        case "half":
            chain.write_bytes(chain.read_bytes()[:-100])
        case "other key":
            key.write_bytes((desk.folder / "mx.key").read_bytes())
        case "gone":
            chain.unlink()
        case "garbage":
            key.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
        case "empty":
            chain.write_bytes(b"")
    desk.write('language = "ja"')
    setup = desk.reload()
    assert setup.certificates[1] == desk.first.certificates[1], "the old one stays"
    assert setup.certificates[0] != desk.first.certificates[0] and setup.config.language == "ja"
    ((_, fields),) = [each for each in desk.told if each[0] == "tls.certificate_kept"]
    assert str(fields["problem"]).startswith("certificates[1]: ") and fields["alarm"]
    with pytest.raises(ReloadRefused, match=r"certificates\[1\]"):
        desk.reader.check()  # a new self would have nothing to keep
    desk.renew("mail")
    assert desk.reload().certificates[1] != desk.first.certificates[1]
    desk.reader.check()


def test_a_new_certificate_that_is_not_fit_refuses_the_reload(desk: Desk) -> None:
    (desk.folder / "third.pem").write_bytes(b"no certificate")
    (desk.folder / "third.key").write_bytes(b"no key")
    desk.write(names=(*NAMES, "third"))
    with pytest.raises(ReloadRefused, match=r"certificates\[2\]"):
        desk.reload()
    assert desk.reader.latest is desk.first
    with pytest.raises(ReloadRefused):
        desk.reader.check()


def test_authorities_of_clients_are_kept_likewise(desk: Desk) -> None:
    people = desk.folder / "people.pem"
    before = people.read_bytes()
    people.write_bytes(before[:300])
    assert desk.reload().client_authorities == {str(people): before}
    assert [kind for kind in desk.kinds() if kind == "tls.certificate_kept"] == ["tls.certificate_kept"]


def test_what_wants_a_restart_is_named_until_there_is_one(desk: Desk) -> None:
    changed = 'workers = 3\nlanguage = "ja"'
    desk.write(changed, "[metrics]\nport = 9125\n[limits]\nrecipients = 200\n", port=7)
    for _ in range(2):
        desk.told.clear()
        config = desk.reload().config
        assert ("config.restart_needed", {"settings": "workers metrics.port listeners"}) in desk.told
        assert (config.workers, config.metrics.port, config.listeners[0].port) == (0, None, 0), "as it runs"
        assert (config.language, config.limits.recipients) == ("ja", 200)
    desk.write('language = "ja"')
    desk.told.clear()
    desk.reload()
    assert "config.restart_needed" not in desk.kinds()


def test_listeners_keep_their_places_and_take_the_rest(desk: Desk) -> None:
    more = '[[listeners]]\nkind = "smtp"\naddress = "127.0.0.1"\nport = 0\nproxy_from = ["192.0.2.0/24"]\n'
    desk.file.write_text(
        desk.file.read_text().replace('client_ca = "people.pem"\n', 'proxy_from = ["198.51.100.0/24"]\n')
        + more
    )
    config = desk.reload().config
    assert [listener.kind for listener in config.listeners] == ["imaps"], "the new one waits for a restart"
    assert config.listeners[0].client_ca is None and [str(net) for net in config.listeners[0].proxy_from] == [
        "198.51.100.0/24"
    ]
    assert ("config.restart_needed", {"settings": "listeners"}) in desk.told


def test_a_start_is_strict(desk: Desk) -> None:
    chain = desk.folder / "mail.pem"
    chain.write_bytes(chain.read_bytes() + b"-----BEGIN CERTIFICATE-----\nMIIB")
    with pytest.raises(CommandError, match="not whole"):
        read_setup(desk.file)


def test_errors_elsewhere_refuse_it_all(desk: Desk) -> None:
    desk.renew("mx")
    desk.write("languaje = 1")
    with pytest.raises(ReloadRefused, match="languaje"):
        desk.reload()
    assert desk.reader.latest is desk.first and desk.told == []
