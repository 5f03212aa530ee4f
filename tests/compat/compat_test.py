#!/usr/bin/env python3
"""driverctl and dpdk-devbind.py beside anybind that is called by their names, in a lab: what they print, their exit codes, and what is
then bound and saved. What differs is named here by its row of the table in docs/from-driverctl-and-devbind.md, and must differ.
usage: compat_test.py ANYBIND"""

import dataclasses
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "lab"))
from lab_case import ANYBIND, LabCase, can_run_a_lab, main, needs  # noqa: E402  (it takes ANYBIND from the arguments)

PAGE = (ROOT / "docs" / "from-driverctl-and-devbind.md").read_text()
SUITES = ("bookworm", "trixie", "sid")  # driverctl 0.111, 0.115, 0.121; dpdk 22.11, 24.11, 25.11
REAL = ROOT / "build" / "compat"

# Runs a command, and tells what it gave and what is then bound and saved, with as few programs as can be.
PRELUDE = """
state() {
  for d in /sys/bus/pci/devices/* /sys/bus/platform/devices/*; do read -r o <$d/driver_override; echo "S ${d##*/} $o"; done
  stat -c 'S %%N' /sys/bus/pci/devices/*/driver /sys/bus/platform/devices/*/driver 2>/dev/null
  for f in /etc/driverctl.d/*; do [ ! -f "$f" ] || { o=; read -r o <"$f"; echo "S saved ${f##*/} $o"; }; done
}
each() { while IFS= read -r l || [ -n "$l" ]; do printf '%%s %%s\\n' "$1" "$l"; done; }
run() { "$@" >"$T/out" 2>"$T/err" </dev/null; echo "@ $?"; each O <"$T/out"; each E <"$T/err"; state; }
N=0000:06:00.0
""".replace("%%", "%")


@dataclasses.dataclass(frozen=True)
class Step:
    """One command of a scenario. `differs` is a row of the table; `since` the first suite whose program knows it; `only` is what is
    compared of it, where something else differs on purpose: some of the letters @ (exit code), O, E, S (state)."""
    command: str
    differs: str = ""
    since: str = "bookworm"
    only: str = "@OES"


def step(command: str, differs: str = "", since: str = "bookworm", only: str = "@OES") -> Step:
    return Step(command, differs, since, only)


def shell(command: str) -> Step:
    """Not the program's: a condition for what follows."""
    return Step("!" + command)


DRIVERCTL = {
    "lists": [
        *(step(f"list-devices {kind}") for kind in ("", "all", "network", "storage", "display", "serial", "bridge", "input", "communication")),
        step("list-devices nosuch"), step("list-overrides"), step("list-overrides nosuch"), step("-b platform list-devices"),
        step("-b platform list-devices network"), step("-b nosuch list-devices"), step("-b usb list-devices"),
        step("--bus pci --nosave --noprobe list-devices network"), step("list-persisted", since="trixie"),
        step("-v list-devices network", differs="descriptions"),
    ],
    "words": [
        step(""), step("-h"), step("--help list-devices"), step("nosuch"), step("set-override"), step("set-override $N"),
        step("set-override $N vfio-pci more"), step("list-devices network more"), step("list-devices --verbose network"),
        step("list-persisted more"), step("-b"), step("--nosuch list-devices", differs="unknown-option"), step("unset-override"),
        step("load-override"), step("-bpci list-devices", differs="unknown-option"),
    ],
    "set and unset": [
        step("set-override $N vfio-pci"), step("list-overrides"), step("list-devices network"), step("list-overrides storage"),
        step("list-persisted", since="trixie"), step("set-override $N vfio-pci"), step("set-override $N uio_pci_generic"),
        step("set-override $N nosuch"), step("--nosave set-override 0000:07:00.0 e1000e"), step("--nosave unset-override $N"),
        step("load-override $N"), step("unset-override $N"), step("unset-override $N"), step("set-override $N igb"),
        step("unset-override $N"), step("set-override 0000:03:00.0 vfio-pci"), step("set-override 0000:03:00.1 vfio-pci"),
        step("list-overrides"), step("-b platform set-override serial8250 none"), step("-b platform list-overrides"),
        step("-b platform list-persisted", since="trixie"), step("-b platform unset-override serial8250"),
        step("set-override pci/$N none"), step("list-overrides"), step("list-devices network"), step("unset-override pci/$N"),
        step("unset-override 0000:00:00.0"),
    ],
    "without a probe": [
        step("--noprobe set-override $N uio_pci_generic"), step("--noprobe unset-override $N"),
        step("--noprobe set-override 0000:07:00.0 none"), step("--noprobe set-override 0000:05:00.0 nvme"),
        step("--noprobe load-override 0000:05:00.0"), step("unset-override 0000:05:00.0"),
    ],
    "by no id": [step("--noprobe set-override $N vfio-pci", differs="no-new-id", since="trixie")],
    "names": [
        step("set-override 0000:ff:00.0 vfio-pci"), step("set-override ff vfio-pci"), step("set-override eth1 vfio-pci"),
        step("set-override 0000:06:00 vfio-pci"), step("set-override ../../x vfio-pci"), step("set-override $N ../x"),
        step("set-override $N default"), step("load-override $N"), step("load-override 0000:ff:00.0"),
        step("set-override 06:00.0 vfio-pci", since="sid"), step("unset-override 0000:ff:00.0", since="sid"),
        step("set-override $N ''", differs="no-name"),
    ],
    "short names": [step("set-override 06:00.0 vfio-pci", since="sid"), step("unset-override 06:00.0", differs="short-unset", since="sid", only="@OE")],
    "what is saved": [
        shell("printf 'vfio-pci\\n' >/etc/driverctl.d/pci-0000:ff:00.0; printf x >/etc/driverctl.d/usb-1-1; : >/etc/driverctl.d/pci-0000:07:00.0; "
              "printf uio_pci_generic >/etc/driverctl.d/pci-$N"),
        step("list-persisted", since="trixie"), step("-b usb list-persisted", since="trixie"), step("load-override 0000:07:00.0"),
        step("load-override $N"), step("unset-override 0000:ff:00.0", since="sid"),
        shell("export SUBSYSTEM=platform"), step("list-devices"), step("set-override serial8250 none"),
    ],
    "a driver that refuses": [
        shell("anybind lab set probe vfio-pci EIO"), step("set-override $N vfio-pci", differs="put-back", only="@O"),
    ],
    "a bridge": [step("set-override 0000:00:1c.0 vfio-pci", differs="put-back", only="@O")],
    "the way back fails": [
        step("set-override $N uio_pci_generic"), shell("anybind lab set probe igb EIO"), step("unset-override $N"),
    ],
    "another driver than the module": [step("set-override platform/serial8250 serial8250", differs="no-module")],
}

NET = """ip link set lo down; ip link set lo name eth0; ip addr add 192.0.2.1/24 dev eth0; ip link set eth0 up
ip route add 198.51.100.0/24 dev eth0"""

DEVBIND = {
    "status": [step("-s", since="trixie"), step("--status-dev net"), step("--status-dev baseband"), step("-s 99:99.9", since="trixie")],
    "words": [
        step(""), step("$N"), step("-b vfio-pci"), step("-u"), step("-b vfio-pci -u $N"), step("--status-dev nosuch", only="@O"), step("-v"),
        step("--stat"), step("--status=x"), step("-b"), step("-b '' $N"),
    ],
    "bind and unbind": [
        step("-b vfio-pci $N"), step("--status-dev net"), step("-b vfio-pci $N"), step("-u $N"), step("-u $N"), step("--bind=igb $N"),
        step("-b vfio-pci eth1 07:00.0"), step("-b igb eth1", differs="no-traceback"), step("-u dpdk"), step("-bigb '0000:06*' --force"),
        step("--status-dev net -b igb 07:00.0"), step("-b none eth2"),
    ],
    "what is not there": [
        step("-b nosuch $N"), step("-b $N igb"), step("-b eth1 igb"), step("-b vfio-pci ff:00.0", differs="no-traceback"),
        step("-b vfio-pci 02:00.0", differs="no-traceback"), step("-b vfio-pci 'eth*'", differs="no-traceback"),
        shell("rmmod vfio-pci"), step("-b vfio-pci $N"), step("-u $N"), step("--status-dev net"),
    ],
    "a route": [
        shell(NET), step("--status-dev net"), step("-b vfio-pci eth0", differs="exit-code"),
        step("--force -b vfio-pci eth0"),
    ],
    "a route, and another device": [shell(NET), step("-b vfio-pci eth0 07:00.0", differs="all-or-none")],
    "a driver that refuses": [
        shell("anybind lab set probe vfio-pci EIO"), step("-b igb 07:00.0"), step("-b vfio-pci $N", differs="put-back", only="@O"),
    ],
    "a driver that does not match": [step("-b vfio_pci 07:00.0", differs="exit-code", only="O")],
}


# lspci finds no modules in a lab, and so dpdk-devbind.py only those that it looks for itself.
FOR_DPDK = ("igb_uio", "vfio-pci", "uio_pci_generic")


def plain(letter: str, text: str) -> str:
    """What both say alike. The pages of help are everybody's own; lines that begin with two blanks are anybind's reasons."""
    text = re.sub(r"(?s)Usage: driverctl.*", "(usage)", text)
    text = re.sub(r"usage: dpdk-devbind\.py(?:.*\n )*.*DEVICE \.\.\.\](\n|$)", r"(usage)\1", text)
    text = re.sub(r"unused=([^ \n]*)", lambda found: "unused=" + ",".join(name for name in found[1].split(",") if name in FOR_DPDK), text)
    if letter == "E":
        kept = [line for line in text.splitlines()
                if not re.match(r"  |lspci: |Traceback|\S+: (putting|warning: )|.*: line \d+: |.*(Errno|ERROR)", line)]
        text = "\n".join(kept)
    return text.strip("\n")


def answers(output: str) -> list[dict[str, str]]:
    """Of each command: by @, O, E and S what it gave."""
    out: list[dict[str, list[str]]] = []
    for line in output.splitlines():
        letter, _, rest = line.partition(" ")
        if letter == "@":
            out.append({"@": [rest], "O": [], "E": [], "S": []})
        elif out and letter in out[-1]:
            out[-1][letter].append(rest)
    return [{letter: plain(letter, "\n".join(lines)) for letter, lines in each.items()} for each in out]


class Compat(LabCase):
    machine = HERE / "machine.toml"
    maxDiff = None
    known_answers: dict[tuple, list[dict[str, str]]] = {}

    def answers_of(self, program: pathlib.Path, steps: list[Step], machine: pathlib.Path | None = None) -> list[dict[str, str]]:
        with tempfile.TemporaryDirectory() as scratch:
            lines = [PRELUDE, f"T={scratch}"]
            for each in steps:
                lines.append(each.command[1:] if each.command.startswith("!") else f"run {program} {each.command}")
            return answers(self.lab("\n".join(lines) + "\ntrue", machine=machine))

    def ours(self, name: str) -> pathlib.Path:
        path = self.dir / "ours" / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.symlink_to(ANYBIND)
        return path

    def compare(self, name: str, suite: str, scenario: str, steps: list[Step]) -> None:
        known = [each for each in steps if each.command.startswith("!") or SUITES.index(each.since) <= SUITES.index(suite)]
        theirs = self.answers_of(REAL / suite / name, known)
        key = (name, *known)
        if key not in self.known_answers:
            self.known_answers[key] = self.answers_of(self.ours(name), known)
        ours = self.known_answers[key]
        commands = [each for each in known if not each.command.startswith("!")]
        self.assertEqual((len(theirs), len(ours)), (len(commands), len(commands)))
        for each, their, our in zip(commands, theirs, ours):
            with self.subTest(program=name, suite=suite, scenario=scenario, command=each.command):
                if each.differs:
                    self.assertIn(f"| `{each.differs}` |", PAGE)
                    self.assertNotEqual(our, their, "it differs no longer: the table says it does")
                    if each.only != "@OES":
                        self.assertEqual({key: our[key] for key in each.only}, {key: their[key] for key in each.only})
                else:
                    self.assertEqual({key: our[key] for key in each.only}, {key: their[key] for key in each.only})

    def compare_all(self, name: str, scenarios: dict[str, list[Step]], suites: tuple[str, ...] = SUITES) -> None:
        for suite in suites:
            if not (REAL / suite / name).exists():
                self.skipTest(f"{name} of {suite} could not be fetched")
            for scenario, steps in scenarios.items():
                self.compare(name, suite, scenario, steps)


class Driverctl(Compat):
    def test_it_is_as_driverctl(self) -> None:
        self.compare_all("driverctl", DRIVERCTL)

    def test_who_uses_a_device_is_a_warning(self) -> None:
        """As driverctl goes on there."""
        program = self.ours("driverctl")
        out = self.lab(f"""
{program} --nosave set-override 0000:03:00.0 vfio-pci; echo "rc=$?"
readlink /sys/bus/pci/devices/0000:03:00.0/driver
""")
        self.assertIn("driverctl: warning: 0000:03:00.0 is in use: ", out)  # it is the display that the machine has booted on
        self.assertIn("rc=0\n", out)
        self.assertIn("drivers/vfio-pci\n", out)

    def test_nothing_is_disturbed_that_is_right(self) -> None:
        program = self.ours("driverctl")
        trace = self.dir / "trace"
        self.lab(f"{program} set-override 0000:06:00.0 igb && {program} unset-override 0000:07:00.0", "--trace", str(trace))
        writes = [line for line in trace.read_text().splitlines() if line.startswith("write ") and "power/control" not in line]
        self.assertEqual([line.rsplit("/", 1)[1] for line in writes], ["driver_override igb"])

    @needs("udevadm")
    def test_a_device_that_comes_gets_what_is_saved(self) -> None:
        """By the rule of anybind-compat, where driverctl's own is not there."""
        rule = (ROOT / "debian" / "anybind-compat.anybind-driverctl.udev").read_text()
        path = self.dir / "60-anybind-driverctl.rules"
        path.write_text(rule.replace("/usr/lib/udev/rules.d/05-driverctl.rules", str(self.dir / "theirs")))
        ask = "udevadm test /sys/bus/pci/devices/{} 2>/dev/null | grep -o 'anybind-driverctl@[^ ]*' || echo none"
        script = f"""
mkdir -p /run/udev/rules.d; cp {path} /run/udev/rules.d
echo vfio-pci >/etc/driverctl.d/pci-0000:06:00.0
{ask.format("0000:06:00.0")}; {ask.format("0000:07:00.0")}"""
        self.assertEqual(self.lab(script), "anybind-driverctl@pci-0000:06:00.0.service\nnone\n")
        (self.dir / "theirs").touch()
        self.assertEqual(self.lab(script), "none\nnone\n")

    def test_anybind_knows_what_it_did(self) -> None:
        program = self.ours("driverctl")
        out = self.lab(f"{program} set-override 0000:06:00.0 vfio-pci && anybind history && anybind restore 0000:06:00.0")
        self.assertIn("driverctl set-override 0000:06:00.0 vfio-pci", out)
        self.assertIn("0000:06:00.0  vfio-pci -> igb", out)


class Devbind(Compat):
    @needs("lspci", "ip")
    def test_it_is_as_dpdk_devbind(self) -> None:
        self.compare_all("dpdk-devbind.py", DEVBIND)

    @needs("lspci")
    def test_it_knows_the_same_devices(self) -> None:
        """One of each id that is known or near to one."""
        machine = self.dir / "ids.toml"
        machine.write_text(ids_machine())
        for suite in ("sid",):
            if not (REAL / suite / "dpdk-devbind.py").exists():
                self.skipTest("dpdk-devbind.py could not be fetched")
            theirs = plain("O", self.lab(f"{REAL / suite / 'dpdk-devbind.py'} -s 2>/dev/null", machine=machine))
            self.assertEqual(plain("O", self.lab(f"{self.ours('dpdk-devbind.py')} -s", machine=machine)), theirs)
            self.assertGreater(theirs.count("\n0000:"), 60)

    def test_several_devices_are_all_or_none(self) -> None:
        program = self.ours("dpdk-devbind.py")
        out = self.lab(f"""
anybind lab set probe vfio-pci EIO 0000:07:00.0
{program} -b vfio-pci 0000:06:00.0 0000:07:00.0; echo "rc=$?"
readlink /sys/bus/pci/devices/0000:06:00.0/driver /sys/bus/pci/devices/0000:07:00.0/driver
""")
        self.assertIn("rc=1\n", out)
        self.assertEqual(out.count("drivers/igb\n"), 2)


def ids_machine() -> str:
    """Each of the ids with each class that some row has, and their neighbours."""
    ids = json.loads((HERE / "ids.json").read_text())
    seen = dict.fromkeys((base, vendor, device) for base, vendor, device in ids)
    devices = [f'{{ address = "0000:{at // 32:02x}:{at % 32:02x}.0", id = "{vendor}:{device}", class = "{base}", group = {at} }},'
               for at, (base, vendor, device) in enumerate(seen)]
    drivers = ('driver = [{ name = "vfio-pci", module = "vfio_pci", ids = ["*:* override_only"], managed_dma = true, needs_group = true }, '
               '{ name = "igb", ids = ["8086:1533"] }, { name = "qat_c62x", ids = ["8086:37c8"] }]')
    return "\n".join(['kernel = "linux-6.12"', drivers, "device = [", *devices, "]"]) + "\n"


def fetch() -> None:
    """Where there is no mirror, what is there already is compared."""
    result = subprocess.run([HERE / "fetch.sh", REAL, *SUITES], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        print(f"not all programs could be fetched: {result.stderr.strip()}")


if __name__ == "__main__":
    if not can_run_a_lab():
        fetch()
    main()
