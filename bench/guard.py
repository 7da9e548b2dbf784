"""How much spam of hijacked accounts gets out, and how much honest mail is held: both error rates of the
takeover guard, by scene.

    python bench/guard.py [--seeds 50] [--first 0] [--scene burst] [--verbose]

Played over core/policy/takeover alone, on a clock of its own: two days take a fraction of a second.
"""

import argparse
import statistics
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1])]

from tests.core.policy.takeover.rehearsal import ATTACKS, HONEST, Ending, rehearse  # noqa: E402


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0


def print_attack(scene: str, endings: list[Ending]) -> None:
    reached = [float(ending.spam.reached) for ending in endings]
    sent = sum(ending.spam.sent for ending in endings)
    hours = [ending.spam.held_at / 3.6e9 for ending in endings if ending.spam.because]
    missed = sum(not ending.spam.because for ending in endings)
    print(
        f"{scene:16} {sent // len(endings):8} {statistics.median(reached):8.0f} "
        f"{percentile(reached, 0.9):6.0f} {max(reached):6.0f} "
        f"{100 * sum(reached) / sent:8.2f} % {missed:8} {statistics.median(hours) if hours else 0:10.2f}"
    )


def print_honest(scene: str, endings: list[Ending]) -> None:
    messages = sum(len(ending.honest.waits) + ending.honest.held_messages for ending in endings)
    held = sum(ending.honest.held_messages for ending in endings)
    waits = [wait for ending in endings for wait in ending.honest.waits]
    slowed = sum(wait > 0 for wait in waits)
    scenes = sum(bool(ending.honest.held_messages) for ending in endings)
    share, most = 100 * slowed / max(1, len(waits)), max(waits, default=0)
    print(
        f"{scene:16} {messages:8} {held:8} {100 * held / messages:8.3f} % {scenes:8} {share:10.1f} % "
        f"{most:8.0f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--scene")
    parser.add_argument("--verbose", action="store_true", help="one line for each seed")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    print(
        f"{'attack':16} {'spam':>8} {'reached':>8} {'p90':>6} {'most':>6} {'missed':>10} {'unseen':>8} "
        f"{'held at, h':>10}"
    )
    for scenes, show in ((ATTACKS, print_attack), (HONEST, print_honest)):
        for scene in scenes:
            if arguments.scene in (None, scene):
                endings = [rehearse(scene, seed) for seed in seeds]
                show(scene, endings)
                for ending in endings if arguments.verbose else ():
                    print(
                        "   ",
                        ending.seed,
                        ending.spam.reached,
                        ending.honest.held_messages,
                        ending.spam.because or ending.honest.because,
                    )
        if scenes is ATTACKS:
            print(
                f"\n{'honest':16} {'messages':>8} {'held':>8} {'held':>10} {'scenes':>8} {'waited':>12} "
                f"{'at most':>10}"
            )


if __name__ == "__main__":
    main()
