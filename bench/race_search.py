"""RACE: how fast the explorer is, and what its reduction saves."""

import json
import subprocess
import time
from pathlib import Path

from measure import MeasureError, Table

YEAR = 365.25 * 86_400


def race(anybind: str, *options: str) -> tuple[dict, float]:
    start = time.monotonic()
    done = subprocess.run([anybind, "race", *options, "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        raise MeasureError(f"anybind race {' '.join(options)}: {done.stderr.strip()}")
    return json.loads(done.stdout), time.monotonic() - start


def total(cells: list[dict], what: str) -> float:
    return sum(cell[what] for cell in cells)


def span(seconds: float) -> str:
    return f"{seconds:.3g} s" if seconds < 3_600 else f"{seconds / YEAR:.3g} years"


def row(label: str, cells: list[dict], seconds: float, one_by_one: float) -> list[str]:
    orderings = total(cells, "orderings")
    return [label, str(len(cells)), f"{orderings:.3g}", f"{total(cells, 'points'):.0f}", f"{total(cells, 'steps'):.0f}",
            f"{seconds:.3g}", f"{orderings / seconds:.3g}", span(orderings / one_by_one)]


def bench_race(anybind: Path, quick: bool, pairs: bool) -> None:
    exe = str(anybind)
    some = ["--mechanism", "new_id,anybind", "--scenario", "same-id,unplug"] if quick else []
    drawn, seconds = race(exe, *some, "--random", "20" if quick else "200")
    one_by_one = total(drawn["cells"], "orderings") / seconds
    table = Table("RACE: every ordering, both cores",
                  ["", "cells", "orderings", "points", "steps taken", "seconds", "orderings/s", "one by one"])
    found, seconds = race(exe, *some)
    table.rows.append(row("the table", found["cells"], seconds, one_by_one))
    per_step = seconds / total(found["cells"], "steps") * 1e6
    single = [cell for cell in found["cells"] if cell["mechanism"] == "anybind"]
    points = {cell["scenarios"][0]: cell["points"] for cell in single}
    if pairs:
        both, seconds = race(exe, "--pairs")
        table.rows.append(row("all pairs", both["pairs"], seconds, one_by_one))
        cut = sum(not cell["exhausted"] for cell in both["pairs"])
        table.notes.append(f"pairs that met the bound: {cut}; their seconds hold the table's")
    table.notes += [f"one by one: without the reduction, at the {one_by_one:.3g} orderings/s of --random in this run",
                    f"{per_step:.3g} us a step, with the way back to where a run goes on included"]
    if "alone" in points and "same-id" in points:
        table.notes.append(f"points with one more actor (anybind, one hot-added card): {points['same-id']} in place of "
                           f"{points['alone']}")
    print(table.text(), flush=True)
