"""A scene file → `Scene`, or the full list of what is wrong with it. Pure but for reading the file."""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from sekisho.config.explain import TEXTS, schema_problem, syntax_problem
from sekisho.config.lines import line_of, scan_lines
from sekisho.config.load import parse
from sekisho.config.problems import ConfigError, Problem
from sekisho.config.write import inline_table
from sekisho.lab.scene import Actor, Scene, SceneStep
from sekisho.testing.zones import Zone, ZoneTextError

SCENE_TEXTS: Mapping[str, tuple[str, str]] = {
    **TEXTS,
    "missing": ("This is required.", "docs/lab/format.md explains it."),
    "domain": ("{value} is no name that the DNS could have.", 'Write for example "shop.example".'),
    "too_short": ("Nothing is in this list.", "Write at least one."),
    "duration": ("{value} is not a duration.", 'Write for example "30s", "10m", "1h30m" or "21d".'),
    "instant": (
        "{value} is not a date and time with its zone.",
        'Write for example "2027-01-18T09:00:00+09:00".',
    ),
    "scene_format": ("This program reads scenes of format 1.", "Write: format = 1"),
    "string_pattern_mismatch": ("{value} is not a name.", "Names are small letters, digits and hyphens."),
    "string_too_long": ("{value} is too long.", ""),
    "tuple_type": (
        "{value} is not a list.",
        "Write it in square brackets; tables of a list have a header such as [[step]].",
    ),
}
_ALWAYS = {"do", "side", "name", "title", "title_ja", "at", "after", "expect"}
_MANY = {"count", "full_count", "every", "jitter", "days", "hours", "together", "per_connection"}
_MESSAGE = {
    "to",
    "people",
    "pick",
    "take",
    "each",
    "sender",
    "author",
    "author_name",
    "reply_to",
    "subject",
    "style",
    "writing",
    "text",
    "headers",
    "attach",
    "octets",
    "thread",
}
# What each kind of step understands.
USED: Mapping[str, set[str]] = {
    "mail": _ALWAYS | _MANY | _MESSAGE | {"actor", "sign", "via"},
    "submit": _ALWAYS | _MANY | _MESSAGE | {"actor"},
    "dialog": _ALWAYS | {"actor", "lines", "port", "to", "count", "every"},
    "login": _ALWAYS | _MANY | {"actor", "service"},
    "guess": _ALWAYS
    | {
        "actor",
        "service",
        "count",
        "full_count",
        "networks",
        "full_networks",
        "accounts",
        "passwords",
        "together",
        "full_together",
        "meanwhile",
    },
    "move": _ALWAYS | {"actor", "messages", "folder"},
    "command": _ALWAYS | {"args", "stdin", "letters", "style", "writing", "author"},
    "look": _ALWAYS | {"actor", "to", "subject", "folder"},
    "dns": {"do", "name", "title", "title_ja", "at", "after", "zones", "answers"},
    "wait": {"do", "name", "title", "title_ja", "at", "after"},
}
_NEEDS_ACCOUNT = ("submit", "move", "look")


def read_scene(path: Path, full: bool = False) -> Scene:
    """Raises ConfigError with all problems."""
    try:
        text = path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise ConfigError(
            [Problem(path="", text="The file is not UTF-8 text.", advice="Save it as UTF-8.")], path
        ) from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(
            [
                Problem(
                    path="", text="The scene cannot be read: {reason}.", advice="", values={"reason": reason}
                )
            ],
            path,
        ) from error
    try:
        return parse_scene(text, full)
    except ConfigError as error:
        raise ConfigError(error.problems, path) from error


def parse_scene(text: str, full: bool = False) -> Scene:
    """`full`: with as many accounts as it has at --full. Raises ConfigError with all problems."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError([syntax_problem(error, text)]) from error
    lines = scan_lines(text)
    try:
        # Strict validation of JSON keeps "25" from being a number. TOML's own dates are texts then.
        scene = Scene.model_validate_json(json.dumps(raw, default=str), strict=True)
    except ValidationError as error:
        problems = [
            schema_problem(Scene, details, lines, SCENE_TEXTS) for details in error.errors(include_url=False)
        ]
        raise ConfigError(sorted(problems, key=lambda problem: problem.line or 0)) from error
    scene = named(scene, full)
    found = [replace(problem, line=_line(problem.path, lines)) for problem in _check(scene)]
    if found:
        raise ConfigError(sorted(found, key=lambda problem: problem.line or 0))
    return scene


def named(scene: Scene, full: bool) -> Scene:
    """Every step gets a name: its own, or its actor's, numbered when that is taken; accounts that stand for
    many become many."""
    accounts = [
        account if account.count == 1 else account.model_copy(update={"name": f"{account.name}{number:03d}"})
        for account in scene.account
        for number in range(1, (account.full_count if full and account.full_count else account.count) + 1)
    ]
    taken = {step.name for step in scene.step if step.name}
    steps = []
    for index, step in enumerate(scene.step):
        name = step.name
        if not name:
            base = step.actor or step.do
            name = next(n for n in (base, *(f"{base}-{k}" for k in range(2, index + 3))) if n not in taken)
            taken.add(name)
        steps.append(step.model_copy(update={"name": name}))
    return scene.model_copy(update={"step": tuple(steps), "account": tuple(accounts)})


def _line(path: str, lines: Mapping[tuple[str | int, ...], int]) -> int | None:
    location: list[str | int] = []
    for part in path.split("."):
        name, *numbers = part.split("[")
        location += [name, *(int(number[:-1]) for number in numbers if number[:-1].isdigit())]
    return line_of(lines, tuple(location))


def _check(scene: Scene) -> Iterator[Problem]:
    yield from _check_names(scene)
    for index, actor in enumerate(scene.actor):
        yield from _check_actor(scene, actor, f"actor[{index}]")
    for index, step in enumerate(scene.step):
        yield from _check_step(
            scene, step, f"step[{index}]", {earlier.name for earlier in scene.step[:index]}
        )
    names = {step.name for step in scene.step} | {step.actor for step in scene.step}
    for index, total in enumerate(scene.total):
        yield from _unknown(f"total[{index}].steps", total.steps, names)
    yield from _check_settings(scene)
    try:
        Zone.from_text(scene.zone)
    except ZoneTextError as error:
        yield Problem(path="zone", text="{reason}.", advice="", values={"reason": str(error)})


def _check_settings(scene: Scene) -> Iterator[Problem]:
    """What `[house.settings]` says, as the server would see it in its own file."""
    settings = scene.house.settings
    text = "".join(f"{json.dumps(name)} = {inline_table(value)}\n" for name, value in settings.items())
    for problem in parse(text, Path("/")).problems:
        if problem.is_error and re.split(r"[.\[]", problem.path)[0] in settings:
            yield replace(problem, path=f"house.settings.{problem.path}")


def _check_names(scene: Scene) -> Iterator[Problem]:
    named_things = {
        "actor": [actor.name for actor in scene.actor],
        "account": [account.name for account in scene.account],
        "people": [group.name for group in scene.people],
        "step": [step.name for step in scene.step],
    }
    for kind, names in named_things.items():
        for index, name in enumerate(names):
            if name and name in names[:index]:
                yield Problem(
                    path=f"{kind}[{index}].name",
                    text="The name {name} is there twice.",
                    advice="",
                    values={"name": name},
                )


def _check_actor(scene: Scene, actor: Actor, path: str) -> Iterator[Problem]:
    if actor.account:
        yield from _unknown(f"{path}.account", (actor.account,), {account.name for account in scene.account})
    elif not actor.domain:
        yield Problem(
            path=path,
            text="An actor needs a domain, or the account of the house that it uses.",
            advice='Add domain = "shop.example" or account.',
        )
    if not actor.address:
        yield Problem(
            path=f"{path}.address",
            text="At least one address is needed.",
            advice='Write for example "203.0.113.25".',
        )


def _check_step(scene: Scene, step: SceneStep, path: str, earlier: set[str]) -> Iterator[Problem]:
    for field in sorted(step.model_fields_set - USED[step.do]):
        used = ", ".join(sorted(USED[step.do] & set(SceneStep.model_fields)))
        yield Problem(
            path=f"{path}.{field}",
            text="A step that does {do} does not use this.",
            advice="It uses: {used}.",
            values={"do": repr(step.do), "used": used},
        )
    actors = {actor.name: actor for actor in scene.actor}
    if "actor" in USED[step.do]:
        if not step.actor:
            yield Problem(
                path=path,
                text="Who does this? The step has no actor.",
                advice="Name one of: {names}.",
                values={"names": ", ".join(sorted(actors)) or "–"},
            )
            return
        yield from _unknown(f"{path}.actor", (step.actor,), set(actors))
        actor = actors.get(step.actor)
        if actor is not None and step.do in _NEEDS_ACCOUNT and not actor.account:
            yield Problem(
                path=f"{path}.actor",
                text="{name} has no account at the house, and {do} needs one.",
                advice="",
                values={"name": actor.name, "do": repr(step.do)},
            )
    if step.do in ("mail", "submit"):
        yield from _check_message(scene, step, path, earlier)
    if step.do == "dialog" and not step.lines:
        yield Problem(
            path=f"{path}.lines", text="A dialog needs lines.", advice="docs/lab/format.md explains it."
        )
    if step.do == "move":
        yield from _unknown(f"{path}.messages", step.messages, earlier)
    if step.do == "command" and not step.args:
        yield Problem(
            path=f"{path}.args",
            text="Which command? args is empty.",
            advice='Write for example: args = ["queue", "list"]',
        )
    if step.do == "look" and not step.subject:
        yield Problem(
            path=f"{path}.subject", text="This is required.", advice="docs/lab/format.md explains it."
        )
    if step.do == "guess":
        yield from _unknown(f"{path}.accounts", step.accounts, {account.name for account in scene.account})
        if step.meanwhile:
            yield from _unknown(
                f"{path}.meanwhile",
                (step.meanwhile,),
                {other.name for other in scene.step if other.do == "login"},
            )


def _check_message(scene: Scene, step: SceneStep, path: str, earlier: set[str]) -> Iterator[Problem]:
    if not (step.to or step.people or step.thread):
        yield Problem(
            path=path,
            text="To whom? The step has neither to nor people nor thread.",
            advice='Add for example: to = "hanako"',
        )
    if step.people:
        yield from _unknown(f"{path}.people", (step.people,), {people.name for people in scene.people})
    if step.thread:
        yield from _unknown(f"{path}.thread", (step.thread,), earlier)
    if step.via:
        carriers = {actor.name for actor in scene.actor if actor.role != "sender"}
        yield from _unknown(f"{path}.via", (step.via,), carriers)
    accounts = {account.name for account in scene.account} | {
        alias for account in scene.account for alias in account.aliases
    }
    for address in step.to:
        if "@" not in address and "%" not in address and "!" not in address and address not in accounts:
            yield Problem(
                path=f"{path}.to",
                text="{name} is no account of the house.",
                advice="Write an account ({names}) or a whole address.",
                values={"name": address, "names": ", ".join(sorted(accounts))},
            )


def _unknown(path: str, names: tuple[str, ...], known: set[str]) -> Iterator[Problem]:
    for name in names:
        if name not in known:
            shown = ", ".join(sorted(filter(None, known))) or "–"
            yield Problem(
                path=path,
                text="There is no {name} here.",
                advice="Known are: {names}.",
                values={"name": name, "names": shown},
            )
