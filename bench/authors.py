"""What the reading of From costs honest mail: of a corpus, which messages have no author that can be told,
and which show further names.

    bench/authors.py [CORPUS …]

CORPUS: a folder or archive of messages, one a file (default: the ham of the vectors' half of the SpamAssassin
corpus). The worst is assumed of every name that is shown: that its domain asks for rejection, and that
nothing speaks for it.
"""

import argparse
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT / "src"), str(ROOT)]

from tests.vectors import ROOT as VECTORS  # noqa: E402

from sekisho.admin.check.message import with_line_ends  # noqa: E402
from sekisho.core.message.authorship import read_authorship  # noqa: E402
from sekisho.core.message.header import HeaderSection  # noqa: E402

CORPUS = VECTORS / "spam" / "spamassassin-half-A.tar.xz"


def messages(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and octets of each; of an archive with folders of spam, those of the others."""
    if path.is_dir():
        yield from ((str(each), each.read_bytes()) for each in sorted(path.rglob("*")) if each.is_file())
        return
    with tarfile.open(path) as archive:
        for member in archive:
            stream = (
                archive.extractfile(member)
                if member.isfile() and "spam-" not in member.name.replace("spamassassin", "")
                else None
            )
            if stream is not None:
                yield member.name, stream.read()


def consequence(octets: bytes) -> tuple[str, str, float]:
    """ "refused", "marked" or "taken", why, and the seconds that the reading took."""
    header = HeaderSection(with_line_ends(octets))
    started = time.process_time()
    found = read_authorship(header)
    spent = time.process_time() - started
    if found.problem:
        return "refused", f"{found.problem}: {(header.first(b'from') or b'')[:100]!r}", spent
    shown = [name for name in found.shown if "." in name]  # a name without a dot has no policy
    return (
        ("marked", f"shows {', '.join(shown)}: {header.first(b'from')!r}", spent)
        if shown
        else ("taken", "", spent)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpora", nargs="*", type=Path, default=[CORPUS], metavar="CORPUS")
    counts: Counter[str] = Counter()
    seconds = 0.0
    for corpus in parser.parse_args().corpora:
        for name, octets in messages(corpus):
            what, why, spent = consequence(octets)
            counts[what] += 1
            seconds += spent
            if why:
                print(f"{what}\t{Path(name).name}\t{why}")
    total = counts.total()
    print(
        f"{total} messages: {counts['refused']} refused, {counts['marked']} marked; "
        f"{seconds / max(1, total) * 1e6:.0f} µs of CPU each"
    )


if __name__ == "__main__":
    main()
