"""The lab's DNS, and mail that is signed by its keys."""

import email
import email.policy
from ipaddress import ip_address

import pytest

from sekisho.core.mailauth.arc.verify import verify_chain_now
from sekisho.core.mailauth.dkim.verify import verify_message_now
from sekisho.core.mailauth.iprev.check import check_iprev_now
from sekisho.core.mailauth.spf.check import check_message_now
from sekisho.core.mailauth.spf.terms import SpfClient
from sekisho.core.terms.dns import DnsStatus, Mx
from sekisho.lab.post import Parcel, Post, rewritten
from sekisho.lab.reader import parse_scene
from sekisho.lab.script import Act, write_script
from sekisho.lab.world import World, build_world, question
from sekisho.testing.zones import ZoneResolver

NOW_US = 1_800_230_400_000_000
SCENE = """
format = 1
title = "x"
zone = '''
extra.example A 192.0.2.200
$SERVFAIL broken.example
'''

[[dnsbl]]
name = "good.example"
lists = ["192.0.2.66", "203.0.113.0/24"]

[[dnsbl]]
name = "refusing.example"
state = "refusing"

[[dnsbl]]
name = "wild.example"
state = "wildcard"

[[dnsbl]]
name = "silent.example"
state = "silent"

[[dnsbl]]
name = "names.example"
domains = ["bad.example"]

[[actor]]
name = "shop"
address = ["198.51.100.10", "2001:db8:10::1"]
domain = "shop.example"
dmarc = "p=reject"

[[actor]]
name = "bot"
address = "203.0.113.0/24"
rotate = "message"
ptr = "{dashed}.dyn.isp.example"
forward = false
domain = "bot.example"
spf = "none"
dkim = "none"
mx = false

[[actor]]
name = "nameless"
address = "192.0.2.66"
ptr = ""
domain = "nameless.example"
dkim = "rsa"

[[actor]]
name = "forwarder"
role = "forwarder"
srs = true
arc = true
address = "198.51.100.30"
domain = "alumni.example"

[[actor]]
name = "members"
role = "list"
address = "198.51.100.40"
domain = "lists.example"

[[step]]
actor = "shop"
to = ["hanako", "friend@outside.example"]
text = "Grüße, {recipient}"
attach = [{ name = "a.txt", type = "text/plain", text = "attached" }]

[[step]]
actor = "bot"
to = "hanako"
count = 3

[[step]]
actor = "nameless"
to = "hanako"
writing = "ja"

[[step]]
name = "forwarded"
actor = "shop"
via = "forwarder"
to = "hanako"

[[step]]
name = "listed"
actor = "shop"
via = "members"
to = "hanako"
writing = "ja"
"""


@pytest.fixture(scope="module")
def world() -> World:
    scene = parse_scene(SCENE)
    return build_world(scene, write_script(scene, 1), ip_address("127.1.2.3"))


def the_post(world: World) -> Post:
    return Post(parse_scene(SCENE), world)


def acts(step: str) -> list[Act]:
    return [act for act in write_script(parse_scene(SCENE), 1).acts if act.step.name == step]


def parcel(world: World, step: str) -> Parcel:
    scene, act = parse_scene(SCENE), acts(step)[0]
    return the_post(world).parcel(act, scene.find_actor(act.step.actor), NOW_US)


def test_a_proper_sender_has_all_its_papers(world: World) -> None:
    resolver = ZoneResolver(world.zone)
    address = ip_address("198.51.100.10")
    assert check_iprev_now(resolver, address).result == "pass"
    evidence = check_message_now(resolver, SpfClient(address, helo="mail.shop.example"), "shop@shop.example")
    assert (evidence.mailfrom.result, world.zone.answer("_dmarc.shop.example", "TXT").records) == (
        "pass",
        (b"v=DMARC1; p=reject",),
    )


def test_names_that_do_not_lead_back_and_names_that_are_not_there(world: World) -> None:
    resolver = ZoneResolver(world.zone)
    address = acts("bot")[0].address
    assert address is not None
    assert world.zone.answer(address.reverse_pointer, "PTR").records == (
        f"{str(address).replace('.', '-')}.dyn.isp.example",
    )
    assert check_iprev_now(resolver, address).result == "fail"
    assert world.zone.answer("66.2.0.192.in-addr.arpa", "PTR").status is DnsStatus.NXDOMAIN
    assert world.zone.answer("bot.example", "MX").status is not DnsStatus.NOERROR


def test_blocklists_of_each_kind(world: World) -> None:
    def ask(address: str, blocklist: str) -> tuple[DnsStatus, list[str]]:
        answer = world.zone.answer(question(ip_address(address), blocklist), "A")
        return answer.status, [str(record) for record in answer.records]

    listed = (DnsStatus.NOERROR, ["127.0.0.2"])
    assert (
        ask("127.0.0.2", "good.example")
        == ask("192.0.2.66", "good.example")
        == ask("::ffff:7f00:2", "good.example")
        == listed
    )
    assert ask(str(acts("bot")[0].address), "good.example") == listed
    assert (
        ask("127.0.0.1", "good.example") == ask("198.51.100.10", "good.example") == (DnsStatus.NXDOMAIN, [])
    )
    assert ask("198.51.100.10", "refusing.example") == (DnsStatus.NOERROR, ["127.255.255.254"])
    assert ask("127.0.0.1", "wild.example") == listed
    assert ask("127.0.0.2", "silent.example") == (DnsStatus.TIMEOUT, [])
    assert [str(r) for r in world.zone.answer("bad.example.names.example", "A").records] == ["127.0.0.2"]
    assert world.zone.answer("test.names.example", "A").status is DnsStatus.NOERROR
    assert world.zone.answer("invalid.names.example", "A").status is DnsStatus.NXDOMAIN


def test_zone_text_of_a_scene_counts_too(world: World) -> None:
    assert world.zone.answer("extra.example", "A").status is DnsStatus.NOERROR
    assert world.zone.answer("broken.example", "A").status is DnsStatus.SERVFAIL


def test_mail_to_the_world_finds_the_sink(world: World) -> None:
    (record,) = world.zone.answer("outside.example", "MX").records
    assert isinstance(record, Mx)
    assert [str(r) for r in world.zone.answer(record.host, "A").records] == ["127.1.2.3"]


@pytest.mark.parametrize(
    ("step", "domain"),
    [
        ("shop", "shop.example"),
        ("nameless", "nameless.example"),
        ("forwarded", "shop.example"),
        ("listed", "lists.example"),
    ],
)
def test_messages_are_whole_and_signed(world: World, step: str, domain: str) -> None:
    sent = parcel(world, step)
    content = sent.sending.content
    assert sent.message_id.encode() in content and b"\n" not in content.replace(b"\r\n", b"")
    assert max(map(len, content.split(b"\r\n"))) <= 998
    found = verify_message_now(content, ZoneResolver(world.zone), NOW_US // 1_000_000)
    assert [one.domain for one in found if one.result == "pass"] == [domain]


def test_a_forwarder_rewrites_and_seals(world: World) -> None:
    sent = parcel(world, "forwarded")
    assert sent.sending.reverse_path == rewritten("shop@shop.example", "alumni.example")
    assert sent.sending.reverse_path.endswith("=AA=shop.example=shop@alumni.example")
    assert str(sent.client) == "198.51.100.30" and sent.carrier.name == "forwarder"
    assert (
        verify_chain_now(sent.sending.content, ZoneResolver(world.zone), NOW_US // 1_000_000).result == "pass"
    )


def test_a_list_speaks_for_itself(world: World) -> None:
    sent = parcel(world, "listed")
    assert sent.sending.reverse_path == "members-bounces@lists.example"
    assert b"\r\nList-Id: <members.lists.example>\r\n" in sent.sending.content
    found = verify_message_now(sent.sending.content, ZoneResolver(world.zone), NOW_US // 1_000_000)
    assert {one.domain: one.result for one in found} == {"lists.example": "pass", "shop.example": "fail"}


def test_attachments_and_places_in_texts(world: World) -> None:
    message = email.message_from_bytes(parcel(world, "shop").sending.content, policy=email.policy.default)
    text, attached = message.iter_parts()  # type: ignore[attr-defined]
    assert text.get_content() == "Grüße, hanako@club.example\n"
    assert (attached.get_filename(), attached.get_content()) == ("a.txt", "attached")
