"""What a person sees of a rehearsal: a table that grows while the scene is played, then the errors in both
directions."""

import re
import sys
from collections import Counter

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from sekisho.faces.cli.shell import printable
from sekisho.faces.i18n.catalogue import Catalogue
from sekisho.ports.lab import Fate, SceneInfo, SceneResult, TotalResult

_WIDTH = 118  # where there is no terminal
_COLOURS = {"honest": "green", "attack": "red", "house": "cyan"}
_DELAYED_SECONDS = 5.0
_REASON_CHARACTERS = 110
_ACCEPTED = re.compile(r" as [0-9a-f]{20,}")


class QuietView:
    """`ports.lab.Watcher` that says nothing."""

    def scene_begins(self, info: SceneInfo) -> None:
        pass

    def fate(self, fate: Fate, lab_us: int) -> None:
        pass

    def scene_ends(self, result: SceneResult) -> None:
        pass


class LabView:
    """`ports.lab.Watcher` on a terminal, or into a pipe, where only the finished tables come."""

    def __init__(self, say: Catalogue) -> None:
        self.say = say
        self._console = Console(width=None if sys.stdout.isatty() else _WIDTH, highlight=False)
        self._fates: dict[int, Fate] = {}
        self._live: Live | None = None
        self._begin_us = 0
        self._lab_us = 0

    def scene_begins(self, info: SceneInfo) -> None:
        self._fates, self._begin_us = {}, 0
        self._console.print()
        self._console.print(Text(f"{info.name}: {info.title}", style="bold"))
        if info.about:
            self._console.print(Text(info.about.strip(), style="dim"))
        if self._console.is_terminal:
            self._live = Live(
                console=self._console, refresh_per_second=6, get_renderable=self._table, transient=True
            )
            self._live.start()

    def fate(self, fate: Fate, lab_us: int) -> None:
        self._fates[fate.number] = fate
        self._begin_us = self._begin_us or fate.at_us
        self._lab_us = lab_us

    def scene_ends(self, result: SceneResult) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
        self._fates = {fate.number: fate for fate in result.fates}
        self._console.print(self._table())
        self._console.print(Group(*self._summary(result)))

    def _table(self) -> RenderableType:
        """One row for each step that began."""
        say = self.say
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption=self._time(), caption_justify="left")
        table.add_column("")
        table.add_column(say("who"), overflow="fold", ratio=3)
        table.add_column(say("what became of it"), overflow="fold", ratio=2)
        table.add_column(say("delay"), justify="right", no_wrap=True)
        table.add_column(say("why"), overflow="fold", ratio=5)
        steps: dict[str, list[Fate]] = {}
        for fate in self._fates.values():
            steps.setdefault(fate.step, []).append(fate)
        for fates in steps.values():
            table.add_row(*self._row(fates))
        return table

    def _time(self) -> str:
        if not self._live:
            return ""
        return self.say(
            "{time} of the lab's time have passed", time=duration((self._lab_us - self._begin_us) / 1_000_000)
        )

    def _row(self, fates: list[Fate]) -> tuple[Text, ...]:
        wrong = [fate for fate in fates if not fate.ok]
        last = _speaker(wrong or fates)
        counts = Counter(fate.outcome for fate in fates)
        many = len(fates) > 1
        became = ", ".join(
            f"{count} {self.say(word)}" if many else self.say(word) for word, count in counts.most_common()
        )
        if last.do == "guess":
            became = self.say("{count} guesses, {hits} accounts opened", count=last.count, hits=last.hits)
        delay = max(fate.delay_seconds for fate in fates)
        return (
            Text("✗", style="bold red") if wrong else Text("✓", style="green"),
            Text(printable(last.title), style=_COLOURS.get(last.side, "")),
            Text(became),
            Text(duration(delay) if delay > _DELAYED_SECONDS else "–"),
            self._reason(last),
        )

    def _reason(self, fate: Fate) -> Text:
        """The rule that spoke and the server's words, or what is wrong."""
        if fate.problem is not None:
            return Text(self._complaint(fate), style="bold red")
        because = self.say(fate.why.text, **fate.why.values) if fate.why is not None else fate.because
        parts = [
            f"[{fate.rule}]" if fate.rule else "",
            because or fate.authentication_results or _ACCEPTED.sub("", fate.reply),
        ]
        text = printable(" ".join(filter(None, parts)))
        return Text(text if len(text) <= _REASON_CHARACTERS else text[:_REASON_CHARACTERS] + "…", style="dim")

    def _summary(self, result: SceneResult) -> list[Text]:
        say, rates = self.say, result.rates
        lines = [self._total(total) for total in result.totals]
        if rates.honest:
            lines.append(
                Text(
                    say(
                        "Honest: {count} messages, {stopped} wrongly stopped ({share}), {junk} in Junk, "
                        "{delayed} delayed (up to {delay}).",
                        count=rates.honest,
                        stopped=rates.honest_stopped,
                        share=percent(rates.honest_stopped, rates.honest),
                        junk=rates.honest_junk,
                        delayed=rates.honest_delayed,
                        delay=duration(rates.longest_delay_seconds),
                    )
                )
            )
        if rates.attacks:
            lines.append(
                Text(
                    say(
                        "Attacks: {count} messages, {let_in} let in ({share}), {junk} in Junk.",
                        count=rates.attacks,
                        let_in=rates.attacks_let_in,
                        share=percent(rates.attacks_let_in, rates.attacks),
                        junk=rates.attacks_junk,
                    )
                )
            )
        lines += [Text(f"{name}: {value:g}", style="dim") for name, value in result.numbers.items()]
        lines += [
            Text(say("The server hit an error of its own: {fault}", fault=fault), style="bold red")
            for fault in result.faults
        ]
        lines += self._wrong(result)
        verdict = say("All as the scene says.") if result.ok else say("Not as the scene says.")
        times = say(
            "{lab} in the lab, {real} here, seed {seed}.",
            lab=duration(result.lab_seconds),
            real=duration(result.seconds),
            seed=result.seed,
        )
        lines.append(Text.assemble((verdict, "bold green" if result.ok else "bold red"), " ", (times, "dim")))
        return lines

    def _wrong(self, result: SceneResult) -> list[Text]:
        wrong = [fate for fate in result.fates if not fate.ok]
        shown = [
            Text(f"✗ {fate.step} → {printable(fate.recipient)}: {self._complaint(fate)}", style="red")
            for fate in wrong[:10]
        ]
        return shown + ([Text(f"… {len(wrong) - 10}", style="red")] if len(wrong) > 10 else [])

    def _complaint(self, fate: Fate) -> str:
        return (
            printable(self.say(fate.problem.text, **fate.problem.values)) if fate.problem is not None else ""
        )

    def _total(self, total: TotalResult) -> Text:
        limits = (("≤", total.at_most), ("≥", total.at_least))
        bounds = [f"{sign} {limit:g}" for sign, limit in limits if limit is not None]
        mark = ("✓ ", "green") if total.ok else ("✗ ", "bold red")
        bound = f" ({', '.join(bounds)})" if bounds else ""
        return Text.assemble(mark, f"{total.title or total.name}: {total.value:g}{bound}")


def _speaker(fates: list[Fate]) -> Fate:
    """The one that says why, for all in the row: of those with a reason, one that ended as most of them
    did."""
    told = (
        [fate for fate in fates if fate.why is not None]
        or [fate for fate in fates if fate.authentication_results]
        or fates
    )
    usual = Counter(fate.outcome for fate in told).most_common(1)[0][0]
    return [fate for fate in told if fate.outcome == usual][-1]


def percent(part: int, whole: int) -> str:
    """With two figures that say something: "0.012 %", "3.4 %", "100 %"."""
    share = 100 * part / whole if whole else 0.0
    return "–" if not whole else f"{share:.0f} %" if share >= 9.95 else f"{share:.2g} %"


def duration(seconds: float) -> str:
    """The two largest units."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 or seconds == int(seconds) else f"{seconds:.1f} s"
    parts, left = [], round(seconds)
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)):
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2])
