"""How much spam the classifier finds and how much ham it loses, by cross validation over a corpus, and what a
message costs.

    bench/classifier.py [CORPUS] [--against OTHER] [--splits 10] [--json]

CORPUS: a folder or archive of folders named "…ham…" and "…spam…", one message a file (default: the vectors'
half of the SpamAssassin corpus). Each split trains on one random half and tests on the other, both ways; then
every source of ham and spam is left out in turn. `--against` trains on all of CORPUS and tests on OTHER. The
threshold is the server's default, set before any of this is run.
"""

import argparse
import json
import random
import sys
import tarfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from tests.vectors import ROOT as VECTORS  # noqa: E402

from sekisho.core.policy.classifier.features import Features, features_of  # noqa: E402
from sekisho.core.policy.classifier.fitting import fit  # noqa: E402
from sekisho.core.policy.classifier.knowledge import JUNK_SCORE, Knowledge, Lesson  # noqa: E402
from sekisho.core.policy.classifier.reading import read_message  # noqa: E402

CORPUS = VECTORS / "spam" / "spamassassin-half-A.tar.xz"


@dataclass(slots=True)
class Mail:
    source: str
    is_spam: bool
    features: Features
    seconds: float  # CPU from octets to features


@dataclass(slots=True)
class Outcome:
    """`highest_ham`: the score of the ham that looks most like spam; `scores`: (score, is spam) of all that
    was asked."""

    name: str
    trained_ham: int
    trained_spam: int
    ham: int
    spam: int
    lost: int
    caught: int
    highest_ham: float
    fit_seconds: float
    scores: list[tuple[float, bool]]


def read_corpus(path: Path) -> Iterator[tuple[str, bytes]]:
    """(name of the folder, message)."""
    if path.is_dir():
        for file in sorted(each for each in path.rglob("*") if each.is_file()):
            yield file.parent.name, file.read_bytes()
        return
    with tarfile.open(path) as archive:
        for member in archive:
            if member.isfile():
                stream = archive.extractfile(member)
                assert stream is not None
                yield Path(member.name).parent.name, stream.read()


def digest(path: Path) -> list[Mail]:
    mails = []
    for source, octets in read_corpus(path):
        if octets.startswith(b"From "):  # of the mbox it was kept in
            octets = octets.partition(b"\n")[2]
        octets = octets.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        start = time.thread_time()
        features = features_of(read_message(octets))
        mails.append(Mail(source, "spam" in source, features, time.thread_time() - start))
    return mails


def try_out(name: str, learned: Sequence[Mail], asked: Sequence[Mail]) -> Outcome:
    start = time.thread_time()
    known = fit([Lesson(mail.features, mail.is_spam) for mail in learned])
    fitted = time.thread_time() - start
    scores = [(known.score(mail.features), mail.is_spam) for mail in asked]
    ham = [score for score, is_spam in scores if not is_spam]
    spam = [score for score, is_spam in scores if is_spam]
    spams = sum(mail.is_spam for mail in learned)
    return Outcome(
        name=name,
        trained_ham=len(learned) - spams,
        trained_spam=spams,
        ham=len(ham),
        spam=len(spam),
        lost=sum(score >= JUNK_SCORE for score in ham),
        caught=sum(score >= JUNK_SCORE for score in spam),
        highest_ham=max(ham, default=0.0),
        fit_seconds=fitted,
        scores=scores,
    )


def halves(mails: Sequence[Mail], splits: int) -> Iterator[Outcome]:
    for number in range(splits):
        dice = random.Random(number)
        side = [dice.random() < 0.5 for _ in mails]
        one = [mail for mail, is_one in zip(mails, side, strict=True) if is_one]
        other = [mail for mail, is_one in zip(mails, side, strict=True) if not is_one]
        yield try_out(f"half {number}a", one, other)
        yield try_out(f"half {number}b", other, one)


def tenths(mails: Sequence[Mail]) -> Iterator[Outcome]:
    """Nine tenths learned, one asked: what a filter that has learned more does."""
    dice = random.Random(0)
    part = [dice.randrange(10) for _ in mails]
    for number in range(10):
        learned = [mail for mail, its in zip(mails, part, strict=True) if its != number]
        yield try_out(
            f"tenth {number}", learned, [mail for mail, its in zip(mails, part, strict=True) if its == number]
        )


def by_source(mails: Sequence[Mail]) -> Iterator[Outcome]:
    """A whole source at a time that was never seen: other senders, other months, other hosts on the way."""
    for source in sorted({mail.source for mail in mails}):
        yield try_out(
            f"without {source}",
            [m for m in mails if m.source != source],
            [m for m in mails if m.source == source],
        )


def curve(outcomes: Sequence[Outcome]) -> dict[str, float]:
    """Spam found if the threshold were set, with hindsight, where so much ham is lost."""
    scores = [score for outcome in outcomes for score in outcome.scores]
    ham = sorted((score for score, is_spam in scores if not is_spam), reverse=True)
    spam = [score for score, is_spam in scores if is_spam]
    found = {}
    for rate in (0.0, 0.0002, 0.0005, 0.001, 0.002):
        limit = ham[int(rate * len(ham))]
        found[f"{rate:.2%}"] = sum(score > limit for score in spam) / len(spam)
    return found


def cost(mails: Sequence[Mail], known: Knowledge) -> dict[str, float]:
    """CPU-ms of a message: reading, hashing and scoring."""
    times = []
    for mail in mails:
        start = time.thread_time()
        known.score(mail.features)
        times.append(1000 * (mail.seconds + time.thread_time() - start))
    times.sort()
    return {
        "mean": sum(times) / len(times),
        "p50": times[len(times) // 2],
        "p99": times[int(0.99 * len(times))],
        "max": times[-1],
    }


def total(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    ham, spam = sum(o.ham for o in outcomes), sum(o.spam for o in outcomes)
    rates = [o.caught / o.spam for o in outcomes if o.spam]
    return {
        "spam": spam,
        "caught": sum(o.caught for o in outcomes) / spam if spam else None,
        "caught_worst": min(rates, default=None),
        "ham": ham,
        "lost": sum(o.lost for o in outcomes) / ham if ham else None,
    }


def show(title: str, outcomes: Sequence[Outcome]) -> None:
    print(f"\n{title} (threshold {JUNK_SCORE})")
    print(
        f"  {'':22} {'learned ham+spam':>17} {'spam':>5} {'caught':>8} {'ham':>5} {'lost':>5} "
        f"{'highest':>8} {'fit s':>6}"
    )
    for o in outcomes:
        caught = f"{o.caught / o.spam:.2%}" if o.spam else "-"
        highest = f"{o.highest_ham:.2f}" if o.ham else "-"
        learned = f"{o.trained_ham}+{o.trained_spam}"
        print(
            f"  {o.name:22} {learned:>17} {o.spam:5} {caught:>8} {o.ham:5} {o.lost:5} {highest:>8} "
            f"{o.fit_seconds:6.2f}"
        )
    if len(outcomes) > 1:
        whole = total(outcomes)
        caught = (
            "-"
            if whole["caught"] is None
            else f"{whole['caught']:.2%} of spam caught (worst {whole['caught_worst']:.2%})"
        )
        print(f"  all: {caught}, {whole['lost'] or 0:.3%} of ham lost")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", nargs="?", type=Path, default=CORPUS)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--splits", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not options.corpus.exists():
        sys.exit(f"{options.corpus} is not there; name a corpus")
    mails = digest(options.corpus)
    groups: dict[str, list[Outcome]] = {}
    asked = mails
    if options.against:
        asked = digest(options.against)
        groups["trained on all of the first, tested on the second"] = [try_out("second", mails, asked)]
    else:
        groups["halves at random"] = list(halves(mails, options.splits))
        groups["nine tenths learned"] = list(tenths(mails))
        groups["one source never seen"] = list(by_source(mails))
    first = next(iter(groups.values()))
    costs = cost(asked, fit([Lesson(mail.features, mail.is_spam) for mail in mails[: len(mails) // 2]]))
    if options.json:
        summary = {
            title: {"all": total(outcomes), "curve": curve(outcomes) if title == next(iter(groups)) else None}
            for title, outcomes in groups.items()
        }
        print(json.dumps({"groups": summary, "cpu_ms": costs}, indent=2))
        return
    for title, outcomes in groups.items():
        show(title, outcomes)
    print(
        "\nspam caught if so much ham were lost:",
        "  ".join(f"{rate}: {caught:.2%}" for rate, caught in curve(first).items()),
    )
    print(
        "CPU-ms a message, reading to score:",
        "  ".join(f"{name} {value:.2f}" for name, value in costs.items()),
    )


if __name__ == "__main__":
    main()
