from pathlib import Path

import pytest

from sekisho.adapters.dns.servers import BadServer, ServerAddress, find_servers, read_resolv_conf


@pytest.mark.parametrize(
    ("text", "written", "loopback"),
    [
        ("127.0.0.1", "127.0.0.1:53", True),
        ("192.0.2.1:5353", "192.0.2.1:5353", False),
        ("::1", "[::1]:53", True),
        ("[2001:db8::1]:54", "[2001:db8::1]:54", False),
        ("[2001:db8::1]", "[2001:db8::1]:53", False),
    ],
)
def test_addresses(text: str, written: str, loopback: bool) -> None:
    server = ServerAddress.from_text(text)
    assert (str(server), server.is_loopback) == (written, loopback)


@pytest.mark.parametrize(
    "text",
    ["", "localhost", "192.0.2.1:", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.300", "[::1", "[::1]:x"],
)
def test_no_addresses(text: str) -> None:
    with pytest.raises(BadServer, match="resolver"):
        ServerAddress.from_text(text)


def test_resolv_conf() -> None:
    text = (
        "# x\nsearch example.com\nnameserver 192.0.2.1\n;nameserver 192.0.2.9\n nameserver\t2001:db8::1 # y\n"
    )
    text += "nameserver bad\noptions edns0\n"
    assert list(map(str, read_resolv_conf(text))) == ["192.0.2.1:53", "[2001:db8::1]:53"]
    assert len(read_resolv_conf("nameserver 192.0.2.1\n" * 9)) == 3
    assert list(map(str, read_resolv_conf("nameserver"))) == ["127.0.0.1:53"]


def test_settings_go_before_the_file(tmp_path: Path) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 192.0.2.1\n")
    assert list(map(str, find_servers((), conf))) == ["192.0.2.1:53"]
    assert list(map(str, find_servers(("192.0.2.2:54",), conf))) == ["192.0.2.2:54"]
    assert list(map(str, find_servers((), tmp_path / "absent"))) == ["127.0.0.1:53"]
