"""The lab's front door: which scenes there are, and how they went."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from sekisho.lab.journal import read_faults
from sekisho.lab.outcomes import SECOND_US, Book, OutcomeCase, measure, percentile, rates_of
from sekisho.lab.reader import read_scene
from sekisho.lab.runner import Runner
from sekisho.lab.scene import Scene
from sekisho.lab.script import write_script
from sekisho.lab.stage import set_stage
from sekisho.ports.lab import Rehearsal, RehearsalFailed, SceneInfo, SceneResult, StartServer, Watcher

SCENES = Path(__file__).with_name("scenes")


def shipped_scenes() -> list[Path]:
    """In the order in which they are played."""
    return sorted(SCENES.glob("*.toml"))


def scene_name(file: Path) -> str:
    """ "10-hijack.toml" -> "hijack" """
    number, _, rest = file.stem.partition("-")
    return rest if number.isdigit() and rest else file.stem


def scene_info(file: Path, language: str) -> SceneInfo:
    """Raises ConfigError."""
    scene = read_scene(file)
    about = scene.about_ja if language == "ja" and scene.about_ja else scene.about
    return SceneInfo(
        name=scene_name(file),
        title=scene.heading(language),
        about=about,
        steps=len(scene.step),
        file=str(file),
    )


def chosen_files(asked: Rehearsal) -> list[Path]:
    """Raises RehearsalFailed for a name that no shipped scene has."""
    by_name = {scene_name(file): file for file in shipped_scenes()}
    for name in asked.names:
        if name not in by_name:
            raise RehearsalFailed(
                "There is no scene {name}; there are: {names}", name=name, names=", ".join(by_name)
            )
    chosen = [by_name[name] for name in asked.names] + list(asked.files)
    return chosen or list(by_name.values())


def rehearse(asked: Rehearsal, start: StartServer, watcher: Watcher) -> list[SceneResult]:
    """Play the scenes one after the other. Raises ConfigError (a broken scene; nothing was played then),
    RehearsalFailed, OSError."""
    files = chosen_files(asked)
    scenes = [read_scene(file, asked.full) for file in files]
    return [
        asyncio.run(_play(file, scene, asked, start, watcher))
        for file, scene in zip(files, scenes, strict=True)
    ]


async def _play(
    file: Path, scene: Scene, asked: Rehearsal, start: StartServer, watcher: Watcher
) -> SceneResult:
    began = time.monotonic()
    watcher.scene_begins(scene_info(file, asked.language))
    book = Book(scene, asked.language)
    folder = asked.keep.absolute() / scene_name(file) if asked.keep is not None else None
    script = write_script(scene, asked.seed, asked.full)
    async with set_stage(scene, script, start, folder, asked.language) as stage:

        def notice(case: OutcomeCase) -> None:
            watcher.fate(book.fate(case), stage.now_us())

        runner = Runner(stage, book, asked.seed, notice)
        await runner.run()
        lab_seconds = (stage.now_us() - stage.begin_us) / SECOND_US
        faults = read_faults(stage.server.journal_file)
    fates = [book.fate(case) for case in book.cases]
    totals = []
    for total in scene.total:
        cases = {case.number for case in book.of_steps(total.steps)}
        logins = [seconds for step in total.steps for seconds in runner.login_seconds.get(step, [])]
        totals.append(
            measure(total, [fate for fate in fates if fate.number in cases], logins, asked.language)
        )
    result = SceneResult(
        scene=scene_name(file),
        title=scene.heading(asked.language),
        seed=asked.seed,
        ok=not faults and all(fate.ok for fate in fates) and all(total.ok for total in totals),
        fates=fates,
        totals=totals,
        rates=rates_of(fates),
        faults=faults,
        numbers=_numbers(runner.login_seconds),
        seconds=round(time.monotonic() - began, 2),
        lab_seconds=round(lab_seconds, 1),
    )
    watcher.scene_ends(result)
    return result


def _numbers(login_seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    numbers: dict[str, float] = {}
    for step, seconds in login_seconds.items():
        if len(seconds) > 1:
            numbers[f"{step}: logins"] = len(seconds)
            for name, share in (("p50", 0.5), ("p99", 0.99), ("slowest", 1.0)):
                numbers[f"{step}: seconds, {name}"] = round(percentile(seconds, share), 3)
    return numbers
