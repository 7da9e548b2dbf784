"""From a scene and a seed to acts."""

from ipaddress import ip_address, ip_network

from sekisho.lab.reader import parse_scene
from sekisho.lab.script import write_script

SCENE = """
format = 1
title = "x"
begin = "2027-01-18T12:00:00+09:00"

[[people]]
name = "friend"
count = 10
domains = ["a.example", "b.example"]

[[actor]]
name = "big"
address = ["203.0.113.0/24", "2001:db8::/64"]
rotate = "message"
domain = "big.example"

[[actor]]
name = "hanako"
account = "hanako"
address = "198.51.100.0/24"

[[step]]
actor = "big"
to = ["hanako", "taro@club.example"]
count = 40
full_count = 80
every = "1m"
jitter = 0.5

[[step]]
name = "ordinary"
do = "submit"
actor = "hanako"
people = "friend"
take = 2
count = 5
days = 3
hours = [8, 10]

[[step]]
name = "new"
do = "submit"
actor = "hanako"
people = "friend"
pick = "new"
take = 4
count = 4

[[step]]
name = "answer"
do = "submit"
actor = "hanako"
thread = "big"
count = 2

[[step]]
name = "probe"
actor = "big"
each = "recipient"
to = ["a%b@club.example", "@x.example:y@z.example"]
"""


def test_the_same_seed_gives_the_same_script() -> None:
    scene = parse_scene(SCENE)
    assert write_script(scene, 3).acts == write_script(scene, 3).acts
    assert [act.address for act in write_script(scene, 3).acts] != [
        act.address for act in write_script(scene, 4).acts
    ]


def test_acts_follow_in_time_and_their_texts_differ() -> None:
    acts = write_script(parse_scene(SCENE), 1).acts
    assert [act.at for act in acts] == sorted(act.at for act in acts)
    assert len({act.token for act in acts}) == len({act.seed for act in acts}) == len(acts)


def test_a_step_of_many() -> None:
    acts = [act for act in write_script(parse_scene(SCENE), 1).acts if act.step.name == "big"]
    assert len(acts) == 40 and len(write_script(parse_scene(SCENE), 1, full=True).acts) - 40 == len(
        write_script(parse_scene(SCENE), 1).acts
    )
    assert all(60 * n <= act.at <= 60 * n + 30 for n, act in enumerate(acts))
    assert all(act.recipients == ("hanako@club.example", "taro@club.example") for act in acts)
    networks = ip_network("203.0.113.0/24"), ip_network("2001:db8::/64")
    assert all(any(act.address in network for network in networks) for act in acts)
    assert len({act.address for act in acts}) > 10


def test_ordinary_days_have_hours() -> None:
    acts = [act for act in write_script(parse_scene(SCENE), 1).acts if act.step.name == "ordinary"]
    assert len(acts) == 10  # the first day's hours are over at noon
    assert all(8 * 3600 <= (act.at + 12 * 3600) % 86_400 <= 10 * 3600 for act in acts)
    assert len({act.address for act in acts}) == 1 and acts[0].address in ip_network("198.51.100.0/24")
    assert all(len(act.recipients) == 2 for act in acts)


def test_new_correspondents_are_used_up() -> None:
    acts = [act for act in write_script(parse_scene(SCENE), 1).acts if act.step.name == "new"]
    assert [len(act.recipients) for act in acts] == [4, 4, 2, 0]
    assert len({to for act in acts for to in act.recipients}) == 10


def test_threads_are_answered_to_their_authors() -> None:
    acts = [act for act in write_script(parse_scene(SCENE), 1).acts if act.step.name == "answer"]
    assert [(act.recipients, act.thread) for act in acts] == [
        (("big@big.example",), 0),
        (("big@big.example",), 1),
    ]


def test_odd_recipients_go_as_they_are_written() -> None:
    acts = [act for act in write_script(parse_scene(SCENE), 1).acts if act.step.name == "probe"]
    assert [act.recipients for act in acts] == [("a%b@club.example",), ("@x.example:y@z.example",)]
    assert acts[0].address != ip_address("203.0.113.0")
