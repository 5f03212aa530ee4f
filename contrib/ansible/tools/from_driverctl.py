#!/usr/bin/env python3
"""What an inventory and playbooks do with driverctl, as variables of the role anybind.anybind.bindings.

    from_driverctl.py -i INVENTORY [PLAYBOOK...] [HOST=DIR...]      an inventory, to be used beside the old one
    from_driverctl.py -i INVENTORY --playbook PLAYBOOK...           a playbook with the role, for the same hosts

Understood are: tasks that run `driverctl set-override` (command or shell, also in roles and included files, with loops), files that tasks
put into /etc/driverctl.d, a variable of the inventory whose name holds "driverctl" (addresses and drivers, as a table or a list of tables),
and HOST=DIR, a copy of that host's /etc/driverctl.d. Ansible itself reads the inventory (ansible-inventory).

What is not understood is told on standard error, with its place, and the exit code is 1: then look at it before anything is applied. A note
alone changes no exit code. 2: an input cannot be read. Needs Python 3.9 and what Ansible needs (Jinja2, PyYAML).
"""

from __future__ import annotations

import argparse
import json
import pathlib
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import jinja2
import jinja2.nativetypes
import yaml

PCI = re.compile(r"^(?:([0-9a-fA-F]{4,8}):)?([0-9a-fA-F]{2}):([0-9a-fA-F]{2})\.([0-7])$")
RUNS = {"command", "shell", "raw"}
PUTS = {"copy"}
FOLLOWS = {"include_tasks", "import_tasks", "include"}
ROLES = {"include_role", "import_role"}
ADDRESS_KEYS = ("device", "address", "pci", "pci_address", "pci_addr", "pciid", "bdf", "slot", "dev", "key")
DRIVER_KEYS = ("driver", "override", "driver_override", "value")
BLOCKS = ("block", "rescue", "always")


class Unreadable(Exception):
    """An input that cannot be read at all."""


@dataclass
class Place:
    """Where something stands, for people."""
    file: str
    line: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" if self.line else self.file


@dataclass
class Found:
    """What hosts want, with the place of each wish; and what was not understood."""
    overrides: dict[str, dict[str, tuple[str, str]]] = field(default_factory=dict)  # host: device: driver, place
    complaints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # understood, but worth a look
    clashes: set[tuple[str, str]] = field(default_factory=set)

    def complain(self, place: Place | str, text: str) -> None:
        line = f"{place}: {text}"
        if line not in self.complaints:
            self.complaints.append(line)

    def note(self, place: Place | str, text: str) -> None:
        line = f"note: {place}: {text}"
        if line not in self.notes:
            self.notes.append(line)

    def want(self, host: str, device: Any, driver: Any, place: Place | str) -> None:
        name = device_name(device)
        if name is None:
            is_number = re.fullmatch(r"[0-9.]+", str(device))
            hint = "; YAML has read an address without quotes as a number" if is_number else ""
            self.complain(place, f"no device: {device!r}{hint}")
            return
        if not isinstance(driver, str) or not re.fullmatch(r"[A-Za-z0-9_.-]+", driver):
            self.complain(place, f"no driver for {name}: {driver!r}")
            return
        wishes = self.overrides.setdefault(host, {})
        first = wishes.get(name)
        if first is not None and first[0] != driver:
            self.clashes.add((host, name))
            self.complain(place, f"{host}: {name} has two owners: {first[0]} by {first[1]}, and {driver} here; it is left out")
            return
        wishes.setdefault(name, (driver, str(place)))

    def result(self) -> dict[str, dict[str, str]]:
        return {host: {device: driver for device, (driver, _) in sorted(wishes.items()) if (host, device) not in self.clashes}
                for host, wishes in sorted(self.overrides.items())}


def device_name(word: Any) -> str | None:
    """As a rule names it: 0000:03:00.0 with its domain, or bus/name."""
    if not isinstance(word, str):
        return None
    bus, _, name = word.strip().rpartition("/")
    match = PCI.match(name)
    if match and bus in ("", "pci"):
        domain, bus_number, device, function = match.groups()
        return f"{(domain or '0000').lower()}:{bus_number.lower()}:{device.lower()}.{function}"
    return f"{bus}/{name}" if re.fullmatch(r"[A-Za-z0-9_.-]+", bus) and re.fullmatch(r"[A-Za-z0-9_.:-]+", name) else None


# ---- reading

class Lined(yaml.SafeLoader):
    """Remembers the line of each table."""


def table_with_line(loader: Lined, node: yaml.MappingNode) -> dict[Any, Any]:
    loader.flatten_mapping(node)
    out = {loader.construct_object(key, deep=True): loader.construct_object(value, deep=True) for key, value in node.value}
    out["__line__"] = node.start_mark.line + 1
    return out


Lined.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, table_with_line)
Lined.add_multi_constructor("!", lambda loader, suffix, node: None)  # !vault, !unsafe


def plain(value: Any) -> Any:
    """Without the lines."""
    if isinstance(value, dict):
        return {key: plain(member) for key, member in value.items() if key != "__line__"}
    return [plain(row) for row in value] if isinstance(value, list) else value


def read_yaml(path: pathlib.Path) -> Any:
    try:
        return yaml.load(path.read_text(), Lined)  # noqa: S506  (a SafeLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, TypeError) as error:
        raise Unreadable(f"{path}: {error}") from error


class Inventory:
    """As ansible-inventory tells it."""

    def __init__(self, sources: list[str]) -> None:
        words = ["ansible-inventory", "--list"]
        for source in sources:
            words += ["-i", source]
        try:
            ran = subprocess.run(words, capture_output=True, text=True, check=False)
        except OSError as error:
            raise Unreadable(f"ansible-inventory: {error}") from error
        if ran.returncode != 0:
            raise Unreadable(f"ansible-inventory: {ran.stderr.strip()}")
        self.groups = json.loads(ran.stdout)
        self.variables: dict[str, dict[str, Any]] = self.groups.pop("_meta", {}).get("hostvars", {})
        self.hosts = sorted(set(self.variables).union(*(group.get("hosts", []) for group in self.groups.values())))

    def members(self, name: str) -> list[str] | None:
        """The hosts of a group, or the host; None: there is no such name."""
        if name in ("all", "*"):
            return self.hosts
        if name in self.hosts:
            return [name]
        if name not in self.groups:
            return None
        group = self.groups[name]
        out = list(group.get("hosts", []))
        for child in group.get("children", []):
            out += self.members(child) or []
        return out

    def matching(self, pattern: Any) -> list[str] | None:
        """The hosts of `hosts:` of a play; None: more than a list of names."""
        names = pattern if isinstance(pattern, list) else re.split(r"[,:]", str(pattern))
        out: list[str] = []
        for name in names:
            members = self.members(str(name).strip())
            if members is None:
                return None
            out += [member for member in members if member not in out]
        return out


# ---- templates

NATIVE = jinja2.nativetypes.NativeEnvironment(undefined=jinja2.StrictUndefined)
TEXTS = jinja2.Environment(undefined=jinja2.StrictUndefined)
for environment in (NATIVE, TEXTS):
    environment.filters["dict2items"] = lambda table: [{"key": key, "value": value} for key, value in table.items()]
    environment.filters["flatten"] = lambda rows: [cell for row in rows for cell in (row if isinstance(row, list) else [row])]


def render(value: Any, variables: dict[str, Any], native: bool) -> Any:
    """With the variables put in, twice, as one may name another. Raises jinja2.TemplateError."""
    if isinstance(value, (list, tuple)):
        return [render(row, variables, native) for row in value]
    if not isinstance(value, str):
        return value
    for _ in range(2):
        if not isinstance(value, str) or "{{" not in value and "{%" not in value:
            break
        value = (NATIVE if native else TEXTS).from_string(value).render(variables)
    return value


def is_true(conditions: Any, variables: dict[str, Any]) -> bool | None:
    """None: it depends on what is known only on the host."""
    for condition in conditions if isinstance(conditions, list) else [conditions]:
        if condition is None or condition is True:
            continue
        try:
            if not TEXTS.compile_expression(str(condition), undefined_to_none=False)(**variables):
                return False
        except Exception:  # noqa: BLE001  (whatever a template does)
            return None
    return True


# ---- tasks

@dataclass
class Play:
    hosts: list[str]
    base: pathlib.Path
    variables: dict[str, Any]


def tasks_in(tasks: Any, path: pathlib.Path, play: Play, found: Found, depth: int = 0) -> Iterator[tuple[dict[str, Any], pathlib.Path, list[Any]]]:
    """Each task with its file and the conditions that stand around it."""
    for task in tasks or []:
        if not isinstance(task, dict):
            continue
        inside = [part for part in BLOCKS if part in task]
        for part in inside:
            for inner, where, conditions in tasks_in(task[part], path, play, found, depth):
                yield inner, where, [task.get("when"), *conditions]
        if inside:
            continue
        for word, value in task.items():
            short = str(word).rpartition(".")[2]
            name = value.get("file", value.get("name")) if isinstance(value, dict) else value
            place = Place(str(path), task.get("__line__", 0))
            if short in FOLLOWS and depth < 8:
                other = path.parent / str(name)
                if not other.exists():
                    found.complain(place, f"included file not found: {name}")
                    continue
                for inner, where, conditions in tasks_in(read_yaml(other), other, play, found, depth + 1):
                    yield inner, where, [task.get("when"), *conditions]
            elif short in ROLES and depth < 8:
                yield from role_tasks(str(name), play, found, depth + 1)
        yield task, path, [task.get("when")]


def role_tasks(name: str, play: Play, found: Found, depth: int) -> Iterator[tuple[dict[str, Any], pathlib.Path, list[Any]]]:
    for folder in (play.base / "roles" / name, play.base / name):
        tasks = folder / "tasks" / "main.yml"
        if not tasks.exists():
            continue
        for part in ("defaults", "vars"):
            extra = folder / part / "main.yml"
            if extra.exists():
                values = plain(read_yaml(extra) or {})
                play.variables = {**values, **play.variables} if part == "defaults" else {**play.variables, **values}
        yield from tasks_in(read_yaml(tasks), tasks, play, found, depth)
        return


def items_of(task: dict[str, Any], variables: dict[str, Any]) -> list[Any]:
    """What a task loops over; one item without a loop."""
    for word in ("loop", "with_items", "with_list", "with_flattened"):
        if word in task:
            rows = render(plain(task[word]), variables, native=True)
            if not isinstance(rows, list):
                raise ValueError(f"{word} is no list")
            nested = word in ("with_items", "with_flattened")
            return [cell for row in rows for cell in (row if nested and isinstance(row, list) else [row])]
    if "with_dict" in task:
        table = render(task["with_dict"], variables, native=True)
        return [{"key": key, "value": value} for key, value in plain(table).items()]
    other = next((word for word in task if str(word).startswith("with_")), None)
    if other:
        raise ValueError(f"{other} is not understood")
    return [None]


def command_of(task: dict[str, Any]) -> str | None:
    """The command line that a task runs, with its templates."""
    for word, value in task.items():
        if str(word).rpartition(".")[2] not in RUNS:
            continue
        if isinstance(value, dict):
            if isinstance(value.get("argv"), list):
                return " ".join(str(part) for part in value["argv"])
            value = value.get("cmd", value.get("_raw_params"))
        return value if isinstance(value, str) else None
    return None


def saved_by(task: dict[str, Any]) -> tuple[str, str] | None:
    """The path and the text of a file that a task puts into /etc/driverctl.d."""
    for word, value in task.items():
        if str(word).rpartition(".")[2] in PUTS and isinstance(value, dict) and "/driverctl.d/" in str(value.get("dest", "")):
            return str(value["dest"]), str(value.get("content", ""))
    return None


def read_line(line: str, host: str, found: Found, place: Place) -> None:
    """The driverctl commands of a shell line, or of several."""
    for command in re.split(r"\n|;|&&|\|\||\|", line):
        try:
            words = shlex.split(command, comments=True)
        except ValueError:
            words = command.split()
        at = next((i for i, word in enumerate(words) if word.rpartition("/")[2] == "driverctl"), None)
        if at is not None:
            read_command(words[at + 1:], host, found, place)


def read_command(words: list[str], host: str, found: Found, place: Place) -> None:
    bus = ""
    while words and words[0].startswith("-"):
        option = words.pop(0)
        if option in ("-b", "--bus") and words:
            bus = words.pop(0)
        elif option == "--nosave":
            found.note(place, "--nosave: that held until the next boot; a rule holds longer")
        elif option == "--noprobe":
            found.complain(place, "--noprobe: no rule says that; the device would go to its driver")
            return
    if not words or words[0].startswith("list-") or words[0] == "load-override":
        return
    if words[0] == "set-override" and len(words) == 3:
        device = words[1] if "/" in words[1] or bus in ("", "pci") else f"{bus}/{words[1]}"
        found.want(host, device, words[2], place)
    elif words[0] == "unset-override":
        found.complain(place, f"unset-override {' '.join(words[1:])}: a device that no rule names is left alone; "
                              "anybind.anybind.device with state: restored gives it back")
    else:
        found.complain(place, f"not understood: driverctl {' '.join(words)}")


def read_task(task: dict[str, Any], conditions: list[Any], host: str, variables: dict[str, Any], found: Found, place: Place) -> None:
    line, saved = command_of(task), saved_by(task)
    if saved is None and (line is None or "driverctl" not in line):
        return
    try:
        items = items_of(task, variables)
    except Exception as error:  # noqa: BLE001  (whatever a template does)
        found.complain(place, f"the loop is not understood: {error}")
        return
    name = (task.get("loop_control") or {}).get("loop_var", "item")
    for item in items:
        scope = {**variables, name: item}
        truth = is_true([one for one in conditions if one is not None], scope)
        if truth is False:
            continue
        try:
            if saved is not None:
                device = render(saved[0], scope, native=False).rpartition("/")[2].partition("-")
                found.want(host, device[2] if device[0] == "pci" else f"{device[0]}/{device[2]}",
                           render(saved[1], scope, native=False).strip(), place)
            else:
                read_line(render(line, scope, native=False), host, found, place)
        except jinja2.TemplateError as error:
            found.complain(place, f"not known before the play runs: {error}")
            return
        if truth is None:
            found.note(place, "its condition depends on the host, and was taken as true")


# ---- sources

def read_playbook(path: pathlib.Path, inventory: Inventory, found: Found) -> list[dict[str, Any]]:
    """Returns the plays that use driverctl, as plays with the role."""
    out = []
    plays = read_yaml(path)
    if not isinstance(plays, list):
        raise Unreadable(f"{path}: no playbook")
    if plays and all(isinstance(play, dict) and "hosts" not in play for play in plays):
        plays = [{"hosts": "all", "tasks": plays, "__line__": 1}]  # a file of tasks
    for each in plays:
        place = Place(str(path), each.get("__line__", 0))
        hosts = inventory.matching(each.get("hosts", "all"))
        if hosts is None:
            found.complain(place, f"hosts: {each.get('hosts')}: only names of hosts and groups are understood")
            continue
        play = Play(hosts, path.parent, plain(each.get("vars") or {}))
        tasks = []
        for role in each.get("roles") or []:
            name = role.get("role", role.get("name")) if isinstance(role, dict) else role
            tasks += list(role_tasks(str(name), play, found, 0))
        for part in ("pre_tasks", "tasks", "post_tasks"):
            tasks += list(tasks_in(each.get(part), path, play, found))
        uses = [row for row in tasks if saved_by(row[0]) or "driverctl" in (command_of(row[0]) or "")]
        for host in hosts:
            variables = {"inventory_hostname": host, "groups": {}, **inventory.variables.get(host, {})}
            variables = {**play.variables, **variables, **plain(each.get("vars") or {})}
            for task, where, conditions in uses:
                read_task(task, conditions, host, {**variables, **plain(task.get("vars") or {})}, found, Place(str(where), task.get("__line__", 0)))
        if uses:
            kept = {word: each[word] for word in ("hosts", "serial", "max_fail_percentage", "become", "gather_facts") if word in each}
            out.append({"name": "Bindings, by anybind", **plain(kept), "roles": ["anybind.anybind.bindings"]})
    return out


def read_variables(inventory: Inventory, found: Found) -> None:
    for host, variables in inventory.variables.items():
        for name, value in variables.items():
            if "driverctl" not in name:
                continue
            place = f"{host}: variable {name}"
            rows = pairs_of(value)
            if rows is None:
                found.complain(place, "not understood: neither a table of addresses and drivers nor a list of such tables")
            for device, driver in rows or []:
                found.want(host, device, driver, place)


def pairs_of(value: Any) -> list[tuple[Any, Any]] | None:
    """Addresses and drivers, as people write them; None: something else."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            return None
    if isinstance(value, dict):
        return [(device, driver) for device, driver in value.items()] if all(isinstance(one, str) for one in value.values()) else None
    if not isinstance(value, list):
        return None
    out = []
    for row in value:
        if not isinstance(row, dict):
            return None
        device = next((row[key] for key in ADDRESS_KEYS if key in row), None)
        driver = next((row[key] for key in DRIVER_KEYS if key in row), None)
        if device is None or driver is None:
            return None
        out.append((device, driver))
    return out


def read_saved(host: str, folder: pathlib.Path, found: Found) -> None:
    try:
        files = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("."))
    except OSError as error:
        raise Unreadable(str(error)) from error
    for path in files:
        bus, dash, name = path.name.partition("-")
        if not dash:
            found.complain(str(path), "no file of driverctl")
            continue
        found.want(host, name if bus == "pci" else f"{bus}/{name}", path.read_text().strip(), str(path))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-i", "--inventory", action="append", required=True, help="as ansible-playbook has it")
    parser.add_argument("--playbook", action="store_true", help="print the playbook, and not the variables")
    parser.add_argument("sources", nargs="*", help="a playbook, a file of tasks, or HOST=DIR")
    options = parser.parse_args()
    found = Found()
    plays: list[dict[str, Any]] = []
    try:
        inventory = Inventory(options.inventory)
        read_variables(inventory, found)
        for source in options.sources:
            host, equals, folder = source.partition("=")
            if equals:
                read_saved(host, pathlib.Path(folder), found)
            else:
                plays += read_playbook(pathlib.Path(source), inventory, found)
    except Unreadable as error:
        print(f"from_driverctl.py: {error}", file=sys.stderr)
        return 2
    hosts = {host: {"anybind_overrides": overrides} for host, overrides in found.result().items() if overrides}
    if options.playbook:
        value: Any = plays or [{"name": "Bindings, by anybind", "hosts": sorted(hosts), "become": True, "roles": ["anybind.anybind.bindings"]}]
    else:
        value = {"all": {"hosts": hosts}}
    print("# Written by from_driverctl.py of the collection anybind.anybind.")
    print(yaml.safe_dump(value, sort_keys=False, default_flow_style=False, width=120), end="")
    for line in found.notes + found.complaints:
        print(f"from_driverctl.py: {line}", file=sys.stderr)
    return 1 if found.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
