"""Scene files: what is read, and what is told about broken ones."""

import re
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.config.problems import ConfigError
from sekisho.lab.durations import parse_duration, show_duration
from sekisho.lab.reader import USED, parse_scene, read_scene
from sekisho.lab.rehearse import chosen_files, scene_name, shipped_scenes
from sekisho.lab.scene import (
    Actor,
    Dnsbl,
    Expectation,
    House,
    Outside,
    People,
    Scene,
    SceneAccount,
    SceneStep,
    Total,
)
from sekisho.lab.script import write_script
from sekisho.lab.world import build_world
from sekisho.ports.lab import Rehearsal, RehearsalFailed

DOCS = Path(__file__).parents[2] / "docs" / "lab"
HEAD = 'format = 1\ntitle = "x"\n'
SHOP = '[[actor]]\nname = "shop"\naddress = "198.51.100.10"\ndomain = "shop.example"\n'
STEP = '[[step]]\nactor = "shop"\nto = "hanako"\n'


@pytest.mark.parametrize("file", shipped_scenes(), ids=scene_name)
def test_shipped_scenes_have_no_errors_and_speak_japanese(file: Path) -> None:
    scene = read_scene(file)
    assert scene.title and re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", scene.title_ja)
    assert all(actor.title_ja for actor in scene.actor if actor.title)
    assert all(
        step.expect is not None
        for step in scene.step
        if step.do in ("mail", "submit", "dialog") and not _is_counted(scene, step)
    )


def _is_counted(scene: Scene, step: SceneStep) -> bool:
    return any(step.name in total.steps or step.actor in total.steps for total in scene.total)


@pytest.mark.parametrize("page", [DOCS / "format.md", DOCS / "ja" / "format.md"], ids=["en", "ja"])
def test_the_format_page_names_everything_and_its_example_is_a_scene(page: Path) -> None:
    text = page.read_text("utf-8")
    scene = parse_scene(re.findall(r"^```toml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)[0])
    assert [step.name for step in scene.step] == ["shop", "forger"]
    fields = {
        name
        for model in (
            Scene,
            House,
            SceneAccount,
            Actor,
            SceneStep,
            Expectation,
            Total,
            Dnsbl,
            People,
            Outside,
        )
        for name in model.model_fields
    }
    tables = {"house", "account", "dnsbl", "people", "outside", "actor", "step", "total"}
    assert sorted(name for name in fields - tables if not re.search(rf"`{name}\b", text)) == []
    assert all(f'"{doing}"' in text for doing in USED)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("format = 1\n", "title: This is required."),
        ('format = 2\ntitle = "x"\n' + SHOP + STEP, "line 1: format: This program reads scenes of format 1."),
        ("format = ", "This is not TOML"),
        (
            HEAD + SHOP + '[[step]]\nactor = "shopp"\nto = "hanako"\n',
            "line 8: step[0].actor: There is no shopp here. Known are: shop.",
        ),
        (
            HEAD + SHOP + '[[step]]\nactor = "shop"\nto = "nobody"\n',
            "step[0].to: nobody is no account of the house.",
        ),
        (HEAD + SHOP + '[[step]]\nactor = "shop"\n', "line 7: step[0]: To whom?"),
        (
            HEAD + SHOP + STEP + 'every = "10 minutes"\n',
            'line 10: step[0].every: "10 minutes" is not a duration. Write for example "30s"',
        ),
        (
            HEAD + SHOP + STEP + "expcet = 1\n",
            "line 10: step[0].expcet: There is no such setting. Did you mean expect",
        ),
        (
            HEAD + SHOP + STEP + 'expect = { to = "inbocks" }\n',
            'step[0].expect.to[0]: "inbocks" is none of the possible values.',
        ),
        (
            HEAD + SHOP + STEP + 'folder = "junk"\n',
            "step[0].folder: A step that does 'mail' does not use this. It uses: actor",
        ),
        (
            HEAD + SHOP + '[[step]]\ndo = "submit"\nactor = "shop"\nto = "a@b.example"\n',
            "shop has no account at the house",
        ),
        (
            HEAD + SHOP.replace("198.51.100.10", "198.51.100.300") + STEP,
            'actor[0].address[0]: "198.51.100.300" is not an IP network.',
        ),
        (HEAD + SHOP + SHOP + STEP, "line 8: actor[1].name: The name shop is there twice."),
        (
            HEAD + '[[actor]]\nname = "x"\naddress = "198.51.100.10"\n' + STEP,
            "actor[0]: An actor needs a domain",
        ),
        (HEAD + 'zone = "a BOGUS 1"\n' + SHOP + STEP, "line 3: zone: cannot read the zone line"),
        (
            HEAD + 'begin = "tomorrow"\n' + SHOP + STEP,
            'line 3: begin: "tomorrow" is not a date and time with its zone.',
        ),
        (
            HEAD + SHOP + STEP + '[[step]]\nactor = "shop"\nto = "hanako"\nthread = "later"\n',
            "step[1].thread: There is no later here.",
        ),
        (
            HEAD + SHOP.replace("shop.example", "shop..example") + STEP,
            'line 6: actor[0].domain: "shop..example" is no name that the DNS',
        ),
        (
            HEAD + '[[people]]\nname = "p"\ncount = 3\ndomains = []\n' + SHOP + STEP,
            "line 6: people[0].domains: Nothing is in this list.",
        ),
        (HEAD + SHOP + '[[step]]\ndo = "dialog"\nactor = "shop"\n', "step[0].lines: A dialog needs lines."),
        (
            HEAD + "[house.settings.door]\nown_domain = 1\n" + SHOP + STEP,
            (
                "line 4: house.settings.door.own_domain: There is no such setting. Did you mean own_domains, "
                "sender_domain?"
            ),
        ),
    ],
)
def test_what_is_wrong_is_told_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_scene(text)
    assert any(sentence in str(problem) for problem in caught.value.problems), [
        str(problem) for problem in caught.value.problems
    ]


def test_steps_get_names_of_their_own() -> None:
    scene = parse_scene(
        HEAD + SHOP + STEP + STEP + '[[step]]\nname = "shop-3"\nactor = "shop"\nto = "taro"\n'
    )
    assert [step.name for step in scene.step] == ["shop", "shop-2", "shop-3"]


def test_an_expectation_may_be_a_word_a_list_or_a_table() -> None:
    scene = parse_scene(
        HEAD
        + SHOP
        + "".join(STEP + f"expect = {e}\n" for e in ('"inbox"', '["inbox", "junk"]', '{ to = "junk" }'))
    )
    assert [step.expect.to for step in scene.step if step.expect] == [
        ("inbox",),
        ("inbox", "junk"),
        ("junk",),
    ]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read") as caught:
        read_scene(tmp_path / "none.toml")
    assert caught.value.file == tmp_path / "none.toml"


def test_scenes_are_chosen_by_name_and_file() -> None:
    assert chosen_files(Rehearsal()) == shipped_scenes()
    assert [
        scene_name(file) for file in chosen_files(Rehearsal(names=("door",), files=(Path("/x/mine.toml"),)))
    ] == ["door", "mine"]
    with pytest.raises(RehearsalFailed, match=r"There is no scene windows; there are: .*door"):
        chosen_files(Rehearsal(names=("windows",)))


@pytest.mark.parametrize(
    ("text", "seconds"), [("30s", 30), ("1h30m", 5400), ("21d", 1_814_400), ("0.5s", 0.5), ("1h 5m", 3900)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "10", "m", "1w", "-1s", "1.2.3s", "１s"])
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError):
        parse_duration(text)


def test_durations_for_people() -> None:
    assert [show_duration(s) for s in (0.01, 2.34, 95, 3600, 93_784)] == [
        "0s",
        "2.3s",
        "1m 35s",
        "1h",
        "1d 2h",
    ]


EXAMPLES = [file.read_text("utf-8") for file in shipped_scenes()]
SMALL_EXAMPLES = [text for text in EXAMPLES if len(text) < 15_000]
WORDS = st.sampled_from(
    [
        "true",
        "-1",
        "1e400",
        '""',
        "[]",
        "{}",
        "[[]]",
        '"a"',
        "nan",
        "2027-01-18",
        "07:00:00",
        '"\\u0000"',
        '["10m"]',
        '{ to = "inbox" }',
        "'''x'''",
    ]
)


@given(text=st.sampled_from(SMALL_EXAMPLES), data=st.data())
def test_a_damaged_scene_is_read_or_refused(text: str, data: st.DataObject) -> None:
    """Lines that are gone, twice there, elsewhere or garbled: never a traceback, and what is wrong has a
    sentence."""
    lines = text.split("\n")
    for _ in range(data.draw(st.integers(1, 4))):
        number, other = (data.draw(st.integers(0, len(lines) - 1)) for _ in range(2))
        match data.draw(st.sampled_from(("drop", "double", "swap", "garble"))):
            case "drop":
                lines[number] = ""
            case "double":
                lines[other] = lines[number]
            case "swap":
                lines[number], lines[other] = lines[other], lines[number]
            case _:
                place = data.draw(st.integers(0, len(lines[number])))
                lines[number] = (
                    lines[number][:place] + data.draw(st.text(max_size=3)) + lines[number][place + 1 :]
                )
    try:
        scene = parse_scene("\n".join(lines))
    except ConfigError as error:
        sentences = list(map(str, error.problems))
    else:
        sentences = ["none"]
        build_world(scene, write_script(scene, 1), IPv4Address("127.0.0.1"))
    assert sentences and all(sentences)


@given(text=st.sampled_from(EXAMPLES), data=st.data())
def test_any_value_anywhere_is_read_or_refused(text: str, data: st.DataObject) -> None:
    lines = [number for number, line in enumerate(text.split("\n")) if re.match(r"[a-z_]+ = ", line)]
    number = data.draw(st.sampled_from(lines))
    changed = text.split("\n")
    changed[number] = changed[number].partition("=")[0] + "= " + data.draw(WORDS)
    try:
        scene = parse_scene("\n".join(changed))
    except ConfigError as error:
        problems = list(map(str, error.problems))
    else:
        problems = []
        write_script(scene, 1)
    assert all(problems)
