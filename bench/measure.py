"""What all benchmarks share: commands, their times, and the tables made of them."""

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

@dataclass(frozen=True)
class Run:
    """Microseconds."""

    wall: float
    busy: float  # of processor time


Times = dict[str, list[Run]]  # label -> its runs, in order


@dataclass
class Command:
    """One command to time; see timerun.c for the words."""

    label: str
    words: list[str]
    runs: int = 11
    warmups: int = 1
    prepare: str = ""
    check: str = ""
    any_code: bool = False
    note: str = ""  # printed after its row

    def timerun_words(self) -> list[str]:
        words = ["-l", self.label, "-n", str(self.runs), "-w", str(self.warmups)]
        if self.prepare:
            words += ["-p", self.prepare]
        if self.check:
            words += ["-c", self.check]
        if self.any_code:
            words.append("-x")
        return words + self.words


def timerun_line(timerun: str, commands: Sequence[Command]) -> list[str]:
    """The command line that times all of them, taking turns."""
    line = [timerun, "-r"]
    for index, command in enumerate(commands):
        line += ([":::"] if index else []) + command.timerun_words()
    return line


def parse_times(output: str) -> Times:
    times: Times = {}
    for line in output.splitlines():
        label, _, wall, busy = line.split("\t")
        times.setdefault(label, []).append(Run(float(wall), float(busy)))
    return times


class MeasureError(Exception):
    """A command that was to be timed did not run, or did not do its work."""


def measure(timerun: Path, commands: Sequence[Command], within: Sequence[str] = ()) -> Times:
    """Times `commands`; `within` are the words of a program that runs its arguments elsewhere."""
    line = [*within, *timerun_line(str(timerun), commands)]
    done = subprocess.run(line, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    if done.returncode != 0:
        raise MeasureError(done.stderr.strip() or f"timerun: exit code {done.returncode}")
    return parse_times(done.stdout)


def median_wall(runs: Sequence[Run]) -> float:
    return median(run.wall for run in runs)


@dataclass
class Table:
    """Rows of text under a title, in aligned columns; the first column to the left, numbers to the right."""

    title: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def text(self) -> str:
        lines = [self.columns, *self.rows]
        widths = [max(len(line[i]) for line in lines) for i in range(len(self.columns))]
        out = ["", self.title, ""]
        for line in lines:
            cells = [line[0].ljust(widths[0])] + [cell.rjust(width) for cell, width in zip(line[1:], widths[1:])]
            out.append("  " + "  ".join(cells).rstrip())
        return "\n".join(out + [f"  {note}" for note in self.notes])


def ms(us: float) -> str:
    return f"{us / 1000:.3g}" if us < 999_500 else f"{us / 1000:.0f}"


def times_table(title: str, commands: Sequence[Command], times: Times, to: Sequence[str], devices: int = 0) -> Table:
    """A row a command: milliseconds, per device when there are devices, and its ratio to each of `to`."""
    columns = ["", "runs", "min ms", "median ms", "max ms", "CPU ms"]
    columns += ["us/device"] if devices else []
    table = Table(title, columns + [f"x {label}" for label in to])
    for command in commands:
        took = times[command.label]
        walls = [run.wall for run in took]
        row = [command.label, str(len(took)), ms(min(walls)), ms(median(walls)), ms(max(walls))]
        row.append(ms(median(run.busy for run in took)))
        row += [f"{median(walls) / devices:.3g}"] if devices else []
        table.rows.append(row + [f"{median(walls) / median_wall(times[label]):.3g}" for label in to])
        if command.note:
            table.notes.append(f"{command.label}: {command.note}")
    return table
