"""Every setting of sekisho.toml is put into force by a reload, or marked as wanting a restart."""

import asyncio
import copy
import functools
import hashlib
import json
import re
import ssl
import sys
import types
import typing
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AsyncExitStack
from enum import Enum
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, Literal

import pytest
import trustme
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from tests.wiring.inprocess import settings

from sekisho.adapters.journal import LineSink
from sekisho.adapters.net.tls import read_certificates
from sekisho.adapters.process.counts import SharedConnectionCounts
from sekisho.adapters.process.metrics import SharedMetrics
from sekisho.adapters.process.plan import ShutdownSignal, WorkerContext
from sekisho.adapters.process.rates import SharedRates
from sekisho.adapters.process.recent import SharedRecent
from sekisho.adapters.process.versions import SharedVersion
from sekisho.adapters.stores.sqlite.ledger_writer import LedgerWriter
from sekisho.config.reload import in_force, is_at_start
from sekisho.config.schema import Config
from sekisho.config.section import SettingsSection
from sekisho.core.policy.classifier.knowledge import Knowledge
from sekisho.faces.cli.reference import table_in
from sekisho.testing.clock import ManualClock
from sekisho.wiring import clocks
from sekisho.wiring.plant import Plant, Shared, open_plant
from sekisho.wiring.services import Services, adopt, build
from sekisho.wiring.setup import Setup

SOURCE = Path(__file__).parents[2] / "src" / "sekisho"
# Read from the configuration of the moment by a duty or at the reload itself, each time; and of a key the
# octets count, not the file.
AT_WORK = {
    "reputation.entries",
    "greylist.entries",
    "reports.entries",
    "reports.keep_days",
    "log.file",
    "certificates[].key_file",
    "login.breached_passwords",
}
# Asked for by services that hold their whole table. All others must show beside such tables: much that is
# under "limits" or "login" is the business of somebody else.
HELD = re.compile(
    r"(access|reception|relay|resolver|sieve|submission)\.|login\.(?!notices_per_day|hashing_threads|cache_"
    r"seconds|sprayed|window_seconds|issuers)"
    r"|limits\.(message_octets|recipients|header_octets|header_fields|received_fields|errors_per_session|tr"
    r"ansactions_per_session)"
    r"|login\.issuers\[\]\.|queue\.notice_lifetime|ledger\.subjects"
)


def every_setting(model: type[BaseModel] = Config, path: str = "") -> Iterator[tuple[str, FieldInfo]]:
    for name, field in model.model_fields.items():
        inner = table_in(field.annotation)
        if inner is None:
            yield f"{path}{name}", field
        else:
            is_list = typing.get_origin(field.annotation) is tuple
            yield from every_setting(inner, f"{path}{name}{'[]' if is_list else ''}.")


SETTINGS = dict(every_setting())
RELOADED = sorted(path for path, field in SETTINGS.items() if not is_at_start(field))


class House:
    """A plant with services over it, and the files that its configuration names."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
        for name in ("one", "other"):
            leaf = authority.issue_cert(f"{name}.example.test", key_type=trustme.KeyType.ECDSA)
            leaf.cert_chain_pems[0].write_to_path(folder / f"{name}.pem")
            leaf.private_key_pem.write_to_path(folder / f"{name}.key")
            trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.write_to_path(folder / f"{name}-ca.pem")
            (folder / f"{name}.list").write_text("0" * 40 + ":1\n")
        (folder / "same.pem").write_bytes((folder / "one.pem").read_bytes())
        (folder / "same.key").write_bytes((folder / "one.key").read_bytes())
        self.base = json.loads(self._base().model_dump_json())

    def _base(self) -> Config:
        """With everything in it that a setting may be about."""
        folder = self.folder
        listed = {"zone": "bl.example.test.", "codes": {"127.0.0.2": "spam"}, "accepted_terms": True}
        issuer = {
            "issuer": "https://one.example.test",
            "audience": "mail",
            "ca_file": str(folder / "one-ca.pem"),
        }
        return settings(
            folder,
            listeners=[
                {"kind": "smtp", "address": "127.0.0.1", "port": 0, "proxy_from": ["192.0.2.0/24"]},
                {"kind": "imaps", "address": "127.0.0.1", "port": 0, "client_ca": str(folder / "one-ca.pem")},
            ],
            certificates=[
                {
                    "cert_file": str(folder / "one.pem"),
                    "key_file": str(folder / "one.key"),
                    "names": ["a.test"],
                }
            ],
            door={"blocklists": [listed]},
            content={"clamav": "127.0.0.1:8", "rspamd": "127.0.0.1:7", "rspamd_password": "x"},
            login={"issuers": [issuer], "breached_passwords": str(folder / "one.list")},
        )

    def config(self, path: str = "", value: Any = None) -> Config:
        raw = copy.deepcopy(self.base)
        if path:
            *above, last = path.split(".")
            table = raw
            for part in above:
                table = table[part.removesuffix("[]")]
                if part.endswith("[]"):
                    table = table[-1] if last == "client_ca" else table[0]
            table[last] = value
        return Config.model_validate_json(json.dumps(raw), strict=True)

    def setup(self, config: Config) -> Setup:
        authorities = {
            str(each.client_ca): each.client_ca.read_bytes() for each in config.listeners if each.client_ca
        }
        return Setup(config.model_dump_json(), list(read_certificates(config.certificates)), authorities)

    def changed(self, path: str) -> Config:
        """The base with another value there that is valid."""
        value = self.other(path, SETTINGS[path])
        for candidate in (value, value - 2 if isinstance(value, int) else None):
            try:
                config = self.config(path, candidate)
            except ValidationError:
                continue
            assert config != self.config(), path
            return config
        raise AssertionError(f"{path}: no other value found")

    def other(self, path: str, field: FieldInfo) -> Any:
        """Another value than the base has."""
        table: Any = self.base
        for part in path.split("."):
            table = table[part.removesuffix("[]")]
            if part.endswith("[]"):
                table = table[-1] if path.endswith("client_ca") else table[0]
        return OTHERS[path](self.folder) if path in OTHERS else _other(field.annotation, table)


OTHERS: Mapping[str, Any] = {
    "auth_socket.mode": lambda _: "0660",
    "certificates[].cert_file": lambda folder: str(folder / "same.pem"),
    "certificates[].key_file": lambda folder: str(folder / "same.key"),
    "door.blocklists[].codes": lambda _: {"127.0.0.3": "other"},
    "door.blocklists[].zone": lambda _: "other.example.test.",
    "listeners[].client_ca": lambda folder: str(folder / "other-ca.pem"),
    "login.breached_passwords": lambda folder: str(folder / "other.list"),
    "login.issuers[].algorithms": lambda _: ["RS256"],
    "login.issuers[].ca_file": lambda folder: str(folder / "other-ca.pem"),
    "login.issuers[].issuer": lambda _: "https://other.example.test",
    "content.clamav": lambda _: "127.0.0.1:6",
    "content.rspamd": lambda _: "127.0.0.1:6",
    "content.flagged": lambda _: ["program"],
    "resolver.servers": lambda _: ["127.0.0.1:10"],
    "reports.addresses": lambda _: ["reports@example.test"],
    "reports.sender": lambda _: "reports@example.test",
    "roles.abuse": lambda _: "hanako@example.test",
    "roles.postmaster": lambda _: "hanako@example.test",
}


def _other(annotation: Any, value: Any) -> Any:
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return _other(arguments[0], value)
    if origin in (typing.Union, types.UnionType):
        return _other(next(each for each in arguments if each is not type(None)), value)
    if origin is Literal:
        return next(each for each in arguments if each != value)
    if origin is tuple:
        inner = arguments[0]
        return [
            *(value or []),
            *(
                [7.0]
                if "float" in str(inner)
                else ["198.51.100.0/24"]
                if "Network" in str(inner)
                else ["more.example.test"]
            ),
        ]
    if origin is dict:
        return {**value, "more.example.test": "127.0.0.1:7"}
    if annotation is bool:
        return not value
    if annotation is int:
        return (value or 0) + 1
    if annotation is float:
        return value * 0.9 if value else 0.5
    if "Address" in str(annotation):
        return "192.0.2.77"
    return f"{value or ''}x"


_LEAVES = (
    int,
    float,
    str,
    bool,
    type(None),
    Path,
    type(ip_address("::1")),
    type(ip_address("0.0.0.0")),
    type(ip_network("::/0")),
    type(ip_network("0.0.0.0/0")),
)


# The whole configuration, what was learned, and what goes on by itself: a line of the log, a number.
UNRELATED = (Config, Knowledge, SharedMetrics, LineSink, LedgerWriter)


class Picture:
    """What can be reached from something, as text: the same text, the same settings. The configuration as a
    whole is left out."""

    def __init__(self, *, with_tables: bool) -> None:
        self._left_out: tuple[type, ...] = UNRELATED if with_tables else (*UNRELATED, SettingsSection)
        self.lines: list[str] = []
        self._seen: dict[int, Any] = {}

    def take(self, value: Any, place: str = "") -> None:
        if isinstance(value, Enum):
            self.lines.append(f"{place} {value}")
        elif isinstance(value, _LEAVES):
            self.lines.append(f"{place} {value!r}")
        elif isinstance(value, bytes):
            if value.startswith(b"-----BEGIN") or place.endswith("end_point"):  # others are dice
                self.lines.append(f"{place} {hashlib.sha256(value).hexdigest()}")
        elif id(value) in self._seen or isinstance(value, self._left_out):
            return
        else:
            if not isinstance(value, BaseModel | dict | tuple):  # equal ones may be one or two
                self._seen[id(value)] = value
            for name, inner in self._inside(value):
                self.take(inner, f"{place}.{name}")

    def _inside(self, value: Any) -> Iterator[tuple[str, Any]]:
        if isinstance(value, Mapping):
            yield from (
                (
                    str(key) if isinstance(key, _LEAVES) else hashlib.sha256(repr(key).encode()).hexdigest(),
                    each,
                )
                for key, each in value.items()
            )
        elif isinstance(value, set | frozenset):
            yield from (
                ("*", each)
                for each in sorted(
                    value, key=lambda each: repr(each) if isinstance(each, _LEAVES) else type(each).__name__
                )
            )
        elif isinstance(value, list | tuple | typing.Sequence) and not isinstance(value, memoryview):
            yield from ((str(number), each) for number, each in enumerate(value))
        elif isinstance(value, types.FunctionType):
            yield "name", value.__qualname__
            yield from (
                (f"cell{number}", cell.cell_contents) for number, cell in enumerate(value.__closure__ or ())
            )
        elif isinstance(value, types.MethodType):
            yield "name", value.__qualname__
            yield "self", value.__self__
        elif isinstance(value, functools.partial):
            yield from (("func", value.func), ("args", value.args), ("keywords", value.keywords))
        elif type(value).__module__.startswith("sekisho.") or isinstance(value, ssl.SSLContext):
            yield "class", type(value).__qualname__
            names = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
            fields = {
                **{
                    name: getattr(value, name, None)
                    for name in (*names, *getattr(type(value), "__struct_fields__", ()))
                },
                **getattr(value, "__dict__", {}),
            }
            yield from sorted((name, each) for name, each in fields.items() if not name.startswith("__"))


def picture(plant: Plant, services: Services, *, with_tables: bool = True) -> str:
    taken = Picture(with_tables=with_tables)
    taken.take((services, plant))
    return "\n".join(taken.lines)


@pytest.fixture
async def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[House, Plant]]:
    clocks.server_clock.cache_clear()
    monkeypatch.setattr(clocks, "SystemClock", ManualClock)
    house = House(tmp_path)
    (tmp_path / "data" / "run").mkdir(parents=True)
    context = WorkerContext(
        slot=0,
        incarnation=1,
        data_dir=tmp_path / "data",
        sockets={},
        shutdown=ShutdownSignal(),
        changes_socket=tmp_path / "data" / "run" / "changes-0.sock",
        sibling_sockets=(),
        reloads=asyncio.Queue(),
        ready=lambda: None,
    )
    async with AsyncExitStack() as stack:
        shared = Shared(
            counts=SharedConnectionCounts(1, 100, 50),
            metrics=SharedMetrics(1),
            rates=SharedRates(1, 60),
            recent=SharedRecent(1, 16),
            directory=SharedVersion(1),
            scripts=SharedVersion(1),
        )
        hook = sys.unraisablehook
        plant = open_plant(house.setup(house.config()), shared, context, stack)
        sys.unraisablehook = hook
        yield house, plant
    clocks.server_clock.cache_clear()


@pytest.mark.slow
async def test_each_setting_is_in_force_after_a_reload(house: tuple[House, Plant]) -> None:
    built, plant = house

    def reload(config: Config, before: Services | None) -> Services:
        services = build(plant, built.setup(config), before)
        adopt(plant, services)
        return services

    services = reload(built.config(), None)
    services = reload(built.config(), services)
    first, barely = picture(plant, services), picture(plant, services, with_tables=False)
    services = reload(built.config(), services)
    assert picture(plant, services) == first, "the same settings give the same picture"
    dead = []
    for path in RELOADED:
        config = built.changed(path)
        services = reload(config, services)
        if path in AT_WORK:
            assert services.config == config
        elif picture(plant, services) == first or (
            not HELD.match(path) and picture(plant, services, with_tables=False) == barely
        ):
            dead.append(path)
        services = reload(built.config(), services)
        assert picture(plant, services) == first, f"{path} leaves something behind"
    assert dead == [], "these are read again and change nothing"


async def test_what_outlives_the_settings_follows_them(house: tuple[House, Plant]) -> None:
    """Some of these would show elsewhere too."""
    built, plant = house
    raw = copy.deepcopy(built.base)
    raw["limits"] |= {
        "free_disk_octets": 11,
        "mailboxes_per_account": 12,
        "connections": 13,
        "connections_per_ip": 14,
    }
    raw["door"]["rates"]["window_seconds"] = 15
    raw["resolver"] |= {"servers": ["127.0.0.1:16"], "tries": 7}
    raw["guard"]["mode"] = "observe"
    raw["login"]["failures_per_network"] = 17
    config = Config.model_validate_json(json.dumps(raw), strict=True)
    services = build(plant, built.setup(config))
    before = plant.resolver.now
    assert plant.store.spool.free_disk_octets == 0 and before.settings.servers == ("127.0.0.1:9",), (
        "to build changes nothing"
    )
    adopt(plant, services)
    ledger, counts = plant.ledger.ledger, plant.shared.counts
    assert ledger is not None and plant.store.spool.free_disk_octets == ledger._writer.free_octets == 11
    assert plant.store._tree.most == 12 and (counts._cap, counts._cap_per_ip) == (13, 14)
    assert plant.shared.rates._window_us == 15_000_000
    assert (
        plant.resolver.now.settings.tries == 7
        and str(plant.resolver.now.servers[0].address) == "127.0.0.1:16"
    )
    assert (
        plant.store.guard._steps.judge.args[0].mode  # type: ignore[attr-defined]
        == "observe"  # of `judge_by`
        and plant.authenticator._settings.failures_per_network == 17
    )
    assert plant.queue._ports.courier is services.queue[1].courier
    adopt(plant, build(plant, built.setup(config), services))
    assert plant.resolver.now is services.resolver, "the same resolver keeps its answers"


async def test_each_other_setting_is_named_as_wanting_a_restart(house: tuple[House, Plant]) -> None:
    built, _ = house
    for path in sorted(SETTINGS.keys() - set(RELOADED)):
        running = built.config()
        config, left = in_force(running, built.changed(path))
        assert left == ("listeners" if path.startswith("listeners") else path,), path
        assert config == running, path


def test_each_setting_is_read_somewhere() -> None:
    """Services hold whole tables of settings; one of which nobody asks for is none."""
    source = "\n".join(
        file.read_text()
        for folder in ("adapters", "config", "core/policy/door", "services", "probes", "wiring")
        for file in (SOURCE / folder).rglob("*.py")
    )
    names = {path.rpartition(".")[2] for path in SETTINGS}
    assert {name for name in names if not re.search(rf"\.{name}\b", source)} == set()
