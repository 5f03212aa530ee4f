#!/usr/bin/env python3
"""The tables in docs/races.md against `anybind race`; --write puts those of single scenarios there, one for each kernel, and
--write-pairs that of pairs, which takes half an hour. Without --pairs, which takes as long, pairs are drawn by chance.

Prints one "ok"/"not ok" line for each mechanism, and one for each thing the command promises.
"""

import argparse
import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile

DOC = pathlib.Path(__file__).resolve().parents[2] / "docs" / "races.md"
KERNELS = ("3.14", "6.12", "7.3")
WHOLE = "6.12"  # the one that is written with its legend, and that pairs are of
BEGIN, END = "<!-- table {}: written by tests/race/table_test.py --write -->\n", "<!-- end of table -->\n"
BEGIN_POLICY, END_POLICY = "<!-- policy: written by tests/race/table_test.py --write -->\n", "<!-- end of policy -->\n"
BEGIN_PAIRS, END_PAIRS = "<!-- pairs: written by tests/race/table_test.py --write-pairs -->\n", "<!-- end of pairs -->\n"
NAMES = re.compile(r"^  (\S{3})  (\S+)", re.MULTILINE)  # of the scenarios, with their heads
POLICY = "policy"
SLOW = ("replace", "second-same", "host-module", "second-other", "held-group")  # of policy: more than a second; searched with --pairs
SAMPLE = 30  # orderings of a setting of each pair


def run(anybind: str, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([anybind, "race", *args], capture_output=True, text=True, check=False)


def cells(text: str) -> tuple[list[str], dict[str, dict[str, str]]]:
    lines = text.splitlines()
    heads = lines[0].split()
    rows = {}
    for line in lines[1:]:
        if not line.strip():
            break
        name, *values = line.split()
        rows[name] = dict(zip(heads, values, strict=True))
    return heads, rows


class Checks:
    failed = 0

    def say(self, good: bool, what: str) -> None:
        print(f"{'ok' if good else 'not ok'} - {what}")
        self.failed += not good


def written_table(kernel: str = WHOLE) -> str:
    return DOC.read_text().split(BEGIN.format(kernel))[1].split(END)[0].replace("```\n", "")


def found_rows(anybind: str, kernel: str, slow: bool) -> tuple[str, dict[str, str]]:
    """The table without the row policy, and the cells of that row: without those that take long, unless `slow`."""
    names = [one["name"] for one in json.loads(run(anybind, "--kernel", kernel, "--scenario", "alone", "--json").stdout)["mechanisms"]]
    table = run(anybind, "--kernel", kernel, "--mechanism", ",".join(name for name in names if name != POLICY)).stdout
    if POLICY not in names:
        return table, {}
    known = [name for _, name in NAMES.findall(run(anybind, "--mechanism", "new_id", "--scenario", "alone").stdout + table)]
    some = [name for name in dict.fromkeys(known) if slow or name not in SLOW]
    return table, cells(run(anybind, "--kernel", kernel, "--mechanism", POLICY, "--scenario", ",".join(some)).stdout)[1][POLICY]


def found_table(anybind: str, kernel: str) -> str:
    """As `anybind race` prints it, but for the legend of all kernels but one."""
    table, policy = found_rows(anybind, kernel, slow=True)
    rows, *legend = table.split("\n\n")
    if policy:
        rows += "\n" + (f"{POLICY:<20}" + "".join(f" {cell:<3}" for cell in policy.values())).rstrip()
    return "\n\n".join([rows, *legend]) if kernel == WHOLE else rows + "\n"


def check_table(anybind: str, checks: Checks, slow: bool) -> None:
    names = NAMES.findall(written_table())
    for kernel in KERNELS:
        heads, rows = cells(written_table(kernel))
        table, policy = found_rows(anybind, kernel, slow)
        found = cells(table)[1] | ({POLICY: policy} if policy else {})
        checks.say(len(names) == len(heads) and set(found) == set(rows), f"docs/races.md has every row and column for Linux {kernel}")
        for name, row in found.items():
            wrong = {head: (rows.get(name, {}).get(head), cell) for head, cell in row.items()
                     if rows.get(name, {}).get(head) != cell}
            checks.say(not wrong, f"{name} on Linux {kernel} as in docs/races.md" + (f": {wrong} (written, found)" if wrong else ""))


def counterexample(anybind: str) -> tuple[str, str]:
    """The shortest run in which a driver of the host is asked for a card of a rule, where no bus can be held: its token, and it told."""
    table = json.loads(run(anybind, "--mechanism", "policy", "--scenario", "alone", "--kernel", "6.12", "--json").stdout)
    token = table["cells"][0]["promises"]["J"]["token"]
    return token, "".join(line.rstrip() + "\n" for line in run(anybind, "replay", token).stdout.splitlines())


def check_policy(anybind: str, checks: Checks) -> None:
    row = cells(written_table("7.3"))[1]["policy"]
    # Not where the card of another is exchanged for the rule's between a look and a write to drivers_probe, which takes a name.
    checks.say({head for head, cell in row.items() if cell.startswith("J")} == {"rep", "sam"}, f"before-probe is kept on 7.3: {row}")
    found = json.loads(run(anybind, "--mechanism", "policy", "--scenario", "alone,same-id,deferred,kill-recover", "--kernel", "7.3",
                           "--json").stdout)["cells"]
    checks.say(all(cell["exhausted"] and cell["promises"]["J"]["broken"] == 0 and cell["promises"]["J"]["danger_met"] > 0 for cell in found),
               "in every ordering, and cards came in some")
    token, story = counterexample(anybind)
    doc = DOC.read_text()
    checks.say(f"race replay {token}`" in doc and doc.split(BEGIN_POLICY)[1].split(END_POLICY)[0] == f"```\n{story}```\n",
               f"and its counterexample on 6.12, {token}, is that of docs/races.md")


def check_command(anybind: str, checks: Checks) -> None:
    some = ["--mechanism", "new_id,anybind", "--scenario", "same-id,kill"]
    one, two = run(anybind, *some, "--json"), run(anybind, *some, "--json", "--threads", "1")
    checks.say(one.returncode == 0 and one.stdout == two.stdout, "the same bytes with one thread and with two")
    table = json.loads(one.stdout)
    tokens = [promise["token"] for cell in table["cells"] for promise in cell["promises"].values() if "token" in promise]
    told = [run(anybind, "replay", token) for token in tokens]
    checks.say(bool(told) and all(t.returncode == 0 and "broken: " in t.stdout for t in told),
               f"{len(tokens)} tokens tell a run that breaks a promise")
    script = run(anybind, "replay", "--script", tokens[0]).stdout
    syntax = subprocess.run(["sh", "-n"], input=script, text=True, check=False)
    checks.say(syntax.returncode == 0 and "# >>> now: hot-add" in script, "a shell script with its hot-plug marked")
    by_chance = [run(anybind, *some, "--random", "50", "--seed", "3", "--json").stdout for _ in range(2)]
    checks.say(by_chance[0] == by_chance[1] != one.stdout, "orderings by chance are those of the seed")
    newest = json.loads(run(anybind, *some, "--kernel", "linux-7.3", "--json").stdout)
    tokens = [promise["token"] for cell in newest["cells"] for promise in cell["promises"].values() if "token" in promise]
    told = [run(anybind, "replay", token) for token in tokens]
    checks.say(bool(told) and all("@7.3:" in token for token in tokens) and
               all(t.returncode == 0 and "linux-7.3; " in t.stdout and "broken: " in t.stdout for t in told),
               "tokens of another kernel say which")
    bad = [run(anybind, "replay", "anybind/alone/0:zz"), run(anybind, "--scenario", "nothing"), run(anybind, "what"),
           run(anybind, "--kernel", "2.6"), run(anybind, "--kernel", "7.99"), run(anybind, "--kernel", "vfio-bind"),
           run(anybind, "--kernel", "3.14", "--mechanism", "override-first"),
           run(anybind, "replay", "anybind/alone/0:a5", "--kernel", "7.3")]
    checks.say(all(b.returncode == 2 and "Traceback" not in b.stderr for b in bad), "what is not understood exits with 2")
    with tempfile.TemporaryDirectory() as directory:
        page = pathlib.Path(directory) / "race.html"
        run(anybind, *some, "--html", str(page))
        html = page.read_text()
        checks.say("<table" in html and "the administrator" in html and not re.search(r"(src|href)=\"(?!#)", html),
                   "a page that needs nothing else")
    pairs = json.loads(run(anybind, "--mechanism", "anybind", "--scenario", "same-id,deferred", "--pairs", "--json").stdout)
    checks.say([cell["verdict"] for cell in pairs["pairs"]] == ["safe"], "anybind keeps its promises in a pair of scenarios")


def survived(row: dict[str, str]) -> list[str]:
    """The scenarios that a mechanism survives singly, but for the one in which nothing happens."""
    names = dict(NAMES.findall(written_table()))
    return [names[head] for head, cell in row.items() if cell in ("ok", "ok*", "-") and head != "nil"]


def broken_pairs(pairs: list[dict]) -> dict[str, str]:
    """What is broken, with the steps it takes: {"unplug + second-other": "B9"}."""
    found = {" + ".join(pair["scenarios"]): " ".join(f"{letter}{promise['steps']}" for letter, promise in pair["promises"].items()
                                                    if "token" in promise)
             for pair in pairs}
    return {pair: promises for pair, promises in found.items() if promises}


def text_of(name: str, pairs: list[dict]) -> list[str]:
    found = broken_pairs(pairs)
    return [f"{name:<21}{len(pairs) - len(found)} of {len(pairs)} kept in every ordering",
            *(f"  {pair:<33}{promises}" for pair, promises in found.items())]


def settle(anybind: str, name: str) -> list[dict]:
    pairs = json.loads(run(anybind, "--mechanism", name, "--pairs", "--json").stdout)["pairs"]
    cut = [pair["scenarios"] for pair in pairs if not pair["exhausted"]]
    if cut:
        sys.exit(f"{name}: not exhausted: {cut}")
    return pairs


def written_pairs() -> dict[str, list[str]]:
    """The lines of each row."""
    rows: dict[str, list[str]] = {}
    for line in DOC.read_text().split(BEGIN_PAIRS)[1].split(END_PAIRS)[0].replace("```\n", "").splitlines():
        if not line.startswith(" "):
            name = line.split()[0]
            rows[name] = []
        rows[name].append(line)
    return rows


def check_all_pairs(anybind: str, checks: Checks) -> None:
    for name, lines in written_pairs().items():
        checks.say(text_of(name, settle(anybind, name)) == lines, f"{name}'s pairs as in docs/races.md")


def letters(promises: str) -> set[str]:
    return {promise[0] for promise in promises.split()}


def check_some_pairs(anybind: str, checks: Checks) -> None:
    """Orderings by chance cannot find more than there is."""
    seed = random.randrange(1_000_000)
    written = written_pairs()
    for name, row in cells(written_table())[1].items():
        if name == "policy":
            continue
        if len(survived(row)) < 2:
            checks.say(written[name] == text_of(name, []), f"{name} survives no two scenarios")
            continue
        drawn = json.loads(run(anybind, "--mechanism", name, "--scenario", ",".join(survived(row)), "--pairs", "--json",
                               "--random", str(SAMPLE), "--seed", str(seed)).stdout)["pairs"]
        head, *lines = written[name]
        known = {line[:35].strip(): letters(line[35:]) for line in lines}
        more = {pair: promises for pair, promises in broken_pairs(drawn).items()
                if not letters(promises) <= known.get(pair, set())}
        checks.say(not more and f" of {len(drawn)} " in head,
                   f"{name} breaks no more in {len(drawn)} pairs than docs/races.md says ({SAMPLE} orderings of each "
                   f"setting, --seed {seed})" + (f": {more}" if more else ""))


def write(anybind: str) -> None:
    for kernel in KERNELS:
        begin = BEGIN.format(kernel)
        before, rest = DOC.read_text().split(begin)
        after = rest.split(END, 1)[1]
        DOC.write_text(f"{before}{begin}```\n{found_table(anybind, kernel)}```\n{END}{after}")
    before, rest = DOC.read_text().split(BEGIN_POLICY)
    token, story = counterexample(anybind)
    before = re.sub(r"race replay policy/alone/[^`]*`", f"race replay {token}`", before)
    DOC.write_text(f"{before}{BEGIN_POLICY}```\n{story}```\n{END_POLICY}{rest.split(END_POLICY)[1]}")


def write_pairs(anybind: str) -> None:
    lines = [line for name in cells(written_table())[1] if name != "policy" for line in text_of(name, settle(anybind, name))]
    before, rest = DOC.read_text().split(BEGIN_PAIRS)
    table = "\n".join(lines)
    DOC.write_text(f"{before}{BEGIN_PAIRS}```\n{table}\n```\n{END_PAIRS}{rest.split(END_PAIRS)[1]}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anybind", required=True)
    parser.add_argument("--pairs", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--write-pairs", action="store_true")
    args = parser.parse_args()
    if args.write:
        write(args.anybind)
        return 0
    if args.write_pairs:
        write_pairs(args.anybind)
        return 0
    checks = Checks()
    check_table(args.anybind, checks, args.pairs)
    check_policy(args.anybind, checks)
    (check_all_pairs if args.pairs else check_some_pairs)(args.anybind, checks)
    check_command(args.anybind, checks)
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
