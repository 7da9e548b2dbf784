#!/usr/bin/env python3
"""The way of a message, a verdict, a password and a reload through the files: who calls whom, in order.

    scripts/ways.py                     this checkout
    scripts/ways.py --at b841e45        beside another commit, in numbers
    scripts/ways.py --way verdict       one way, stay by stay

A conversation of the tests, which runs in one process, is watched call by call. A stay is a run of calls in
one file, or one folder; what goes on after a pause is none. A turn back is a stay where the way was before.
Counted are files that decide (services, probes, wiring, the rules of policy): machines, records and stores
are called from everywhere.
"""

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from io import BytesIO
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
RECEPTION = "tests/services/reception"
WAYS = {
    "message": f"{RECEPTION}/test_reception.py::test_a_mailbox_copy_carries_one_return_path_and_our_received",
    "verdict": f"{RECEPTION}/test_inspector.py::test_a_changed_body_is_refused_by_name_and_id",
    "password": "tests/services/authentication/test_authenticator.py::test_a_good_login_is_answered_at_once",
    "reload": "tests/wiring/test_reload.py::test_other_resolvers_are_asked_after_a_reload",
}
ONLY = {"reload": "_reload"}  # the part of it within this function; another commit may have no such thing
DECIDING = ("services/", "probes/", "wiring/", "core/policy/")
# Loaded by pytest in the tree that is looked at; writes what it saw where SEKISHO_WAYS says.
WATCHER = '''
import dis, inspect, json, os, sys
import pytest

SEEN, INSIDE, KNOWN = [], "/src/sekisho/", {}
ONLY, WITHIN = os.environ.get("SEKISHO_WAYS_ONLY"), []
PAUSES = inspect.CO_COROUTINE | inspect.CO_GENERATOR | inspect.CO_ASYNC_GENERATOR

def about(code):
    """Its file, and the place up to which it has only begun: going on after a pause is no call."""
    name = code.co_filename.partition(INSIDE)[2]
    if not name or not code.co_flags & PAUSES:
        return name, 1 << 30
    begun = (step.offset for step in dis.get_instructions(code) if step.opname == "RESUME")
    return name, next(begun, 1 << 30)

def watch(frame, event, argument):
    code = frame.f_code
    if ONLY and code.co_name == ONLY and INSIDE in code.co_filename and event in ("call", "return"):
        (WITHIN.append if event == "call" else WITHIN.remove)(frame)
    if event == "call" and (WITHIN or not ONLY):
        known = KNOWN.get(code)
        if known is None:
            known = KNOWN[code] = about(code)
        name, begun = known
        if name and frame.f_lasti <= begun and (not SEEN or SEEN[-1] != name):
            SEEN.append(name)

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    sys.setprofile(watch)
    yield
    sys.setprofile(None)

def pytest_sessionfinish(session, exitstatus):
    with open(os.environ["SEKISHO_WAYS"], "w") as out:
        json.dump(SEEN, out)
'''


def tree_of(revision: str, folder: Path) -> Path:
    """The files of another commit. Raises CalledProcessError for one that git does not know."""
    archive = subprocess.run(["git", "archive", revision], cwd=ROOT, capture_output=True, check=True).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        tar.extractall(folder, filter="data")
    return folder


def stays(tree: Path, way: str, folder: Path) -> list[str]:
    """The files in which the way stays, in order; none if the conversation is not there, or fails."""
    test = WAYS[way]
    if not (tree / test.partition("::")[0]).exists():
        return []
    (folder / "ways_watcher.py").write_text(WATCHER, "utf-8")
    seen = folder / "seen.json"
    seen.unlink(missing_ok=True)
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-x", "-p", "ways_watcher", "-m", "not slow", test],
        cwd=tree,
        env={
            **os.environ,
            "PYTHONPATH": str(folder),
            "SEKISHO_WAYS": str(seen),
            "SEKISHO_WAYS_ONLY": ONLY.get(way, ""),
        },
        capture_output=True,
        text=True,
    )
    if run.returncode != 0:
        print(f"{test}: {run.stdout[-2000:]}", file=sys.stderr)
        return []
    found: list[str] = []
    for name in json.loads(seen.read_text("utf-8")):
        if name.startswith(DECIDING) and (not found or found[-1] != name):
            found.append(name)
    return found


def counted(way: list[str]) -> tuple[int, int, int]:
    """Files, stays, turns back."""
    return len(set(way)), len(way), len(way) - len(set(way))


def rooms(way: list[str]) -> list[str]:
    """The same way by folders: a step to the next file of one folder is no further stay."""
    folders = [name.rpartition("/")[0] for name in way]
    return [name for at, name in enumerate(folders) if not at or folders[at - 1] != name]


def row(name: str, numbers: list[tuple[int, int, int]]) -> str:
    columns = ("   ".join(f"{number:6}" if any(one) else "     –" for number in one) for one in numbers)
    return f"{name:10}" + "     ".join(columns)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--at", metavar="REVISION", help="another commit to stand beside this checkout")
    parser.add_argument("--way", choices=WAYS, help="only this one, and its stays in order")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    names = [arguments.way] if arguments.way else list(WAYS)
    with tempfile.TemporaryDirectory() as given:
        folder = Path(given)
        trees = {"now": ROOT}
        try:
            if arguments.at:
                trees[arguments.at] = tree_of(arguments.at, folder / "tree")
        except subprocess.CalledProcessError as error:
            print(f"git: {error.stderr.decode(errors='replace')}".strip(), file=sys.stderr)
            return 2
        ways = {name: {place: stays(tree, name, folder) for place, tree in trees.items()} for name in names}
    if arguments.json:
        print(json.dumps(ways))
        return 0
    print(f"{'':10}" + "     ".join(f"{place:^24}" for place in trees))
    print(f"{'':10}" + "     ".join(" files    stays    turns" for _ in trees))
    for name, places in ways.items():
        print(row(name, [counted(way) for way in places.values()]))
        print(row("  folders", [counted(rooms(way)) for way in places.values()]))
    if arguments.way:
        for place, way in ways[arguments.way].items():
            print(f"\n{arguments.way}, {place}:")
            print("\n".join(f"{number:4} {name}" for number, name in enumerate(way, 1)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
