"""What bus_test.py and bus_rules_test.py do inside the lab, as root and as nobody. usage: bus_inside.py CASE DIR"""

import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
import raw_bus  # noqa: E402
import schema  # noqa: E402
from raw_bus import RawBus  # noqa: E402

CASE, DIR = sys.argv[1], pathlib.Path(sys.argv[2])
RULES = DIR / "rules"
NIC, OTHER, NOBODY = "0000:06:00.0", "0000:07:00.0", 65534
SCHEMAS = {"ReadRules": "rule-files", "CheckRules": "rule-check", "WriteRules": "rule-written", "Status": "status"}


def rule(name: str, device: str = NIC, driver: str = "vfio-pci") -> str:
    return f'[[rule]]\nname = "{name}"\nmatch = {{ device = "{device}" }}\ndriver = "{driver}"\n'


def ask(bus: RawBus, method: str, *texts: str) -> object:
    """Its answer, which fits its schema."""
    error, values = bus.call(method, *(text.encode() for text in texts))
    assert not error, (method, error, values)
    value = json.loads(values[0])
    assert not schema.faults(value, SCHEMAS[method]), (value, schema.faults(value, SCHEMAS[method]))
    return value


def refused(bus: RawBus, method: str, *texts: str | bytes) -> tuple[str, str]:
    """How: the kind of the error, and what it says."""
    error, values = bus.call(method, *(text.encode() if isinstance(text, str) else text for text in texts))
    assert error, (method, "taken:", [text[:100] for text in texts], values)
    if len(values) > 1:
        assert not schema.faults(json.loads(values[1]), "error"), values[1]
    return error.removeprefix("org.anybind.Error."), str(values[0])


def as_nobody(what) -> None:
    """Calls it in a child that is nobody."""
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            what(RawBus())
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, "what nobody did failed"


def wait_for(what, condition: str, seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, f"never: {condition}"
        time.sleep(0.02)


def driver_of(device: str) -> str:
    return pathlib.Path(f"/sys/bus/pci/devices/{device}/driver").resolve().name


def files() -> dict[str, str]:
    return {path.name: path.read_text() for path in RULES.iterdir() if path.is_file()}


def life() -> None:
    """From the first look to the last: nothing is there, a text is tried, written, kept, and removed."""
    bus = RawBus()
    bus.ask(raw_bus.BUS, "AddMatch", "s", "type='signal',member='RulesChanged'")
    assert ask(bus, "ReadRules") == []
    broken = ask(bus, "CheckRules", "50-guest", rule("guest") + "drivr = 1\n[[rule]]\nname = 3\n")
    assert [(one["line"], one["column"]) for one in broken["problems"]] == [(5, 1), (7, 8)], broken
    assert broken["rules"] is None and broken["problems"][0]["file"].endswith("/50-guest.toml"), broken
    assert "driver" in broken["problems"][0]["text"], broken
    good = ask(bus, "CheckRules", "50-guest", rule("guest"))
    assert good["problems"] == [] and good["rules"][0]["devices"] == [{"bus": "pci", "address": NIC}], good
    assert [one["state"] for one in good["status"]["devices"]] == ["drift"], good
    assert "igb" in good["status"]["devices"][0]["differs"], good
    assert files() == {} and driver_of(NIC) == "igb", "nothing was to be written"
    written = ask(bus, "WriteRules", "50-guest", rule("guest"), "")
    assert written == {"path": str(RULES / "50-guest.toml"), "removed": False, "changed": True}, written
    assert files() == {"50-guest.toml": rule("guest")}
    wait_for(lambda: driver_of(NIC) == "vfio-pci", "the service keeps the new rule")
    wait_for(lambda: bus.next()[2].get(3) == "RulesChanged", "the signal RulesChanged")
    [row] = ask(bus, "ReadRules")
    assert row == {"path": written["path"], "name": "50-guest", "from": "administrator", "state": "counts", "text": rule("guest"), "why": None}, row
    assert refused(bus, "WriteRules", "50-guest", rule("x"), rule("y")) == ("Refused", f"{row['path']}: it holds another text by now\nread it again")
    kind, text = refused(bus, "WriteRules", "50-guest", "[[rule]]\n", rule("guest"))
    assert kind == "Usage" and "50-guest.toml:1:1" in text, text
    assert files() == {"50-guest.toml": rule("guest")}
    assert not ask(bus, "WriteRules", "50-guest", rule("guest"), rule("guest"))["changed"]
    assert ask(bus, "WriteRules", "50-guest", "", rule("guest"))["removed"]
    assert files() == {} and ask(bus, "ReadRules") == []


def permits() -> None:
    """Nobody may write one rule as polkit's rules have it, and nothing else."""
    (RULES / "00-secret.toml").write_text("# not for all\n" + rule("secret", OTHER))
    (RULES / "00-secret.toml").chmod(0o600)

    def nobody(bus: RawBus) -> None:
        [row] = ask(bus, "ReadRules")
        assert row["text"] is None and row["why"] == "only root may read it", row
        assert ask(bus, "CheckRules", "50-guest", rule("guest"))["problems"] == []
        for name, text in (("51-guest", rule("guest")), ("50-guest", rule("other")), ("50-guest", rule("guest", driver="igb")),
                           ("50-guest", rule("guest") + rule("more", "0000:08:00.0")), ("50-guest", "# words\n")):
            kind, said = refused(bus, "WriteRules", name, text, "")
            assert kind == "NotPermitted" and "this user may not change it" in said, (name, text, said)
        ask(bus, "WriteRules", "50-guest", "# words\n" + rule("guest"), "")
        assert refused(bus, "WriteRules", "50-guest", rule("guest"), "# words\n" + rule("guest"))[0] == "NotPermitted"
        ask(bus, "WriteRules", "50-guest", "", "# words\n" + rule("guest"))
        assert refused(bus, "WriteRules", "00-secret", "", "# not for all\n" + rule("secret", OTHER))[0] == "NotPermitted"

    as_nobody(nobody)
    assert list(files()) == ["00-secret.toml"], files()
    bus = RawBus()
    assert "# not for all" in ask(bus, "ReadRules")[0]["text"]
    ask(bus, "WriteRules", "00-secret", rule("secret", OTHER), "# not for all\n" + rule("secret", OTHER))
    assert (RULES / "00-secret.toml").stat().st_mode & 0o777 == 0o600


def no_polkit() -> None:
    def nobody(bus: RawBus) -> None:
        kind, text = refused(bus, "WriteRules", "50-guest", rule("guest"), "")
        assert kind == "NotPermitted" and "only root may change it, as polkit is not running here" in text, text
        ask(bus, "CheckRules", "50-guest", rule("guest"))

    as_nobody(nobody)
    assert files() == {}
    ask(RawBus(), "WriteRules", "50-guest", rule("guest"), "")


def hostile() -> None:
    bus = RawBus()
    for name in ("", "..", "../x", "a/b", "/etc/x", ".a", "a.toml", "a\nb", "a\x1b[31m", "a" * 201, "\u202ea", "a" * 100_000):
        for method, more in (("CheckRules", []), ("WriteRules", [""])):
            assert refused(bus, method, name, rule("guest"), *more)[0] == "Usage", name
    many = "".join(rule(f"r{number}", f"0000:{number // 256 % 256:02x}:{number % 32:02x}.0", "none") for number in range(9000))[:1 << 20]
    for text in ("[" * (1 << 20), "a = " + "[" * (1 << 19), "\"" * (1 << 20), "#" * (1 << 20) + "\n", many):
        began = time.monotonic()
        error, values = bus.call("CheckRules", b"big", text.encode())
        assert not error or "kUsage" not in error, (error, values)
        print(f"{text[:20]!r}: {time.monotonic() - began:.1f} s")
    for method, texts in (("CheckRules", ["a", "x" * ((1 << 20) + 1)]), ("WriteRules", ["a", "", "x" * ((1 << 20) + 1)]),
                          ("WriteRules", ["a"]), ("WriteRules", []), ("ReadRules", ["x"])):
        assert refused(bus, method, *texts)[0].startswith("org.freedesktop.DBus.Error."), method
    assert files() == {}
    for bad in (b"a\0b", b"\xff\xfe", b"\xed\xa0\x80"):
        try:
            raw = RawBus()
            answer = raw.call("WriteRules", b"a", bad, b"")
        except (OSError, EOFError):
            continue
        assert answer[0], (bad, answer)
    # What stands in the way.
    secret = DIR / "shadow"
    secret.write_text(rule("secret"))
    secret.chmod(0o600)
    (RULES / "link.toml").symlink_to(secret)
    (RULES / "mask.toml").symlink_to("/dev/null")
    assert refused(bus, "WriteRules", "link", rule("guest", OTHER), "")[0] == "Refused"
    assert refused(bus, "WriteRules", "mask", rule("guest", OTHER), "")[0] == "Refused"
    assert all(row["text"] is None for row in ask(bus, "ReadRules")), ask(bus, "ReadRules")
    assert secret.read_text() == rule("secret")
    (RULES / "link.toml").unlink()
    (RULES / "mask.toml").unlink()
    (RULES / "dir.toml").mkdir()
    kind, _ = refused(bus, "WriteRules", "dir", rule("guest"), "")
    assert kind == "Refused", kind
    (RULES / "dir.toml").rmdir()
    # Others may write to the folder: what root would write there is not its own.
    RULES.chmod(0o777)
    assert refused(bus, "WriteRules", "a", rule("guest"), "")[0] == "NotPermitted"
    RULES.chmod(0o755)
    assert files() == {}
    assert ask(bus, "CheckRules", "a", rule("guest"))["problems"] == []


def no_space() -> None:
    bus = RawBus()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k,mode=755", "rules", RULES], check=True)
    old = rule("guest") + "# " + "x" * 8000 + "\n"
    ask(bus, "WriteRules", "50-guest", old, "")
    assert files()["50-guest.toml"] == old
    rest = os.open(RULES / "rest", os.O_WRONLY | os.O_CREAT)
    try:
        while os.write(rest, bytes(4096)):
            pass
    except OSError:
        os.close(rest)
    kind, text = refused(bus, "WriteRules", "50-guest", old + "# " + "y" * 30000 + "\n", old)
    assert kind == "Failed" and "ENOSPC" in text, (kind, text)
    assert files()["50-guest.toml"] == old and not list(RULES.glob("*.new")), files().keys()
    subprocess.run(["mount", "-o", "remount,ro", RULES], check=True)
    kind, text = refused(bus, "WriteRules", "50-guest", "", old)
    assert kind == "NotPermitted" and "EROFS" in text, (kind, text)
    assert files()["50-guest.toml"] == old
    subprocess.run(["mount", "-o", "remount,rw", RULES], check=True)
    (RULES / "rest").unlink()
    ask(bus, "WriteRules", "50-guest", "", old)


def two_writers() -> None:
    """Each reads, adds a line and writes: whoever is told yes has lost nobody's line."""
    done: list[str] = []

    def writer(number: int) -> None:
        bus = RawBus()
        for turn in range(12):
            rows = ask(bus, "ReadRules")
            text = rows[0]["text"] if rows else ""
            line = f"# {number} {turn}\n"
            error, values = bus.call("WriteRules", b"shared", (text + line).encode(), text.encode())
            if not error:
                done.append(line)
            else:
                assert error == "org.anybind.Error.Refused", (error, values)

    threads = [threading.Thread(target=writer, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    lines = files()["shared.toml"].splitlines(keepends=True)
    assert sorted(lines) == sorted(done) and len(done) >= 12, (len(lines), len(done))
    print(f"{len(done)} of 48 written")


def killed() -> None:
    """Killed at any moment, the file holds the one text or the other."""
    texts = [rule("guest") + f"# {letter * 200_000}\n" for letter in "ab"]
    path = RULES / "50-guest.toml"
    path.write_text(texts[0])
    seen = set()
    pid = int(os.environ["DAEMON"])
    for _ in range(15):
        bus = RawBus()

        def write(bus: RawBus = bus) -> None:
            error = ""
            while not error:
                now = path.read_text()
                error, _ = bus.call("WriteRules", b"50-guest", texts[now == texts[0]].encode(), now.encode())

        thread = threading.Thread(target=write)
        thread.start()
        time.sleep(0.02 + random.random() * 0.15)
        os.kill(pid, signal.SIGKILL)
        thread.join()  # the bus has told that nobody is there
        assert path.read_text() in texts, "half a text"
        seen.add(path.read_text()[-3])
        service = subprocess.Popen([DIR / "anybindd", "--rules", RULES], stderr=subprocess.DEVNULL)
        pid = service.pid
        wait_for(lambda: not RawBus().call("ReadRules")[0], "the service is back")
    assert seen == {"a", "b"}, seen
    ask(RawBus(), "WriteRules", "50-guest", "", path.read_text())
    service.terminate()
    assert service.wait() == 0


BIND = '{"verb": "bind", "devices": [%s], "driver": "vfio-pci"}'


def bind(*devices: str) -> str:
    return BIND % ", ".join(f'{{"bus": "pci", "address": "{device}"}}' for device in devices)


def persist() -> None:
    """A change that lasts needs the permit for its rule too, and leaves nothing when it is not given."""
    lasting = bind(NIC)[:-1] + ', "persist": true}'
    name = f"10-pci-{NIC}"

    def nobody(bus: RawBus) -> None:
        kind, text = refused(bus, "Change", bind(OTHER)[:-1] + ', "persist": true}')
        assert kind == "NotPermitted", (kind, text)
        assert files() == {} and driver_of(OTHER) == "igb"
        error, values = bus.call("Change", lasting)
        assert not error and not schema.faults(json.loads(values[0]), "change"), (error, values)
        assert f'device = "{NIC}"' in files()[f"{name}.toml"] and driver_of(NIC) == "vfio-pci", files()
        assert not bus.call("Plan", lasting)[0]
        error, values = bus.call("Change", '{"verb": "restore", "devices": [{"bus": "pci", "address": "%s"}], "persist": true}' % NIC)
        assert not error and files() == {} and driver_of(NIC) == "igb", (error, values)
        command = [DIR / "anybind", "bind", NIC, "vfio-pci", "--persist"]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0 and list(files()) == [f"{name}.toml"] and driver_of(NIC) == "vfio-pci", done
        done = subprocess.run([DIR / "anybind", "restore", NIC, "--persist"], capture_output=True, text=True)
        assert done.returncode == 0 and files() == {} and driver_of(NIC) == "igb", done
        assert refused(bus, "Change", lasting[:-1] + ', "mechanism": "driver_override"}')[0] == "Usage"
        assert refused(bus, "Change", '{"verb": "undo", "persist": true}')[0] in ("Usage", "NotFound")
        assert refused(bus, "Change", lasting.replace("true", '"yes"'))[0] == "Usage"

    as_nobody(nobody)
    # A rule of somebody else in the way: nothing is done, and the text is what it was.
    (RULES / "00-other.toml").write_text(rule("other", driver="pci-stub"))
    kind, text = refused(RawBus(), "Change", lasting)
    assert kind == "Refused" and "00-other.toml" in text and list(files()) == ["00-other.toml"], (kind, text)


def recreate() -> None:
    """Another number of functions, over none; and what was there is made again when that fails."""
    bus = RawBus()
    pf = "0000:86:00.0"
    count = pathlib.Path(f"/sys/bus/pci/devices/{pf}/sriov_numvfs")
    request = '{"verb": "vfs", "devices": [{"bus": "pci", "address": "%s"}], "count": %d, "driver": "%s"%s}'
    was = int(count.read_text())
    assert was and refused(bus, "Change", request % (pf, was + 1, "vfio-pci", ""))[0] == "Refused"
    error, values = bus.call("Change", request % (pf, 2, "vfio-pci", ', "recreate": true'))
    assert not error and int(count.read_text()) == 2, (error, values)
    kind, text = refused(bus, "Change", request % (pf, 1, "nosuch", ', "recreate": true'))
    assert int(count.read_text()) == 2, (kind, text)
    as_nobody(lambda nobody: refused(nobody, "Change", request % (pf, 1, "vfio-pci", ', "recreate": true')))
    assert int(count.read_text()) == 2
    assert not bus.call("Plan", request % (pf, 1, "vfio-pci", ', "recreate": true'))[0]


def progress() -> None:
    """What takes long is told while it goes on; a storm of steps is not."""
    subprocess.run(["anybind", "lab", "set", "probe-time", "vfio-pci", "400"], check=True)
    bus = RawBus()
    bus.ask(raw_bus.BUS, "AddMatch", "s", f"type='signal',sender='{raw_bus.NAME}'")
    began = time.monotonic()
    serial = bus.send((raw_bus.NAME, raw_bus.PATH, raw_bus.NAME), "Change", "s", bind(NIC, OTHER))
    told = []
    while True:
        kind, _, fields, values = bus.next()
        if kind == raw_bus.SIGNAL and fields[3] == "Progress":
            told.append(values)
        if fields.get(5) == serial:
            break
    took = time.monotonic() - began
    assert kind == raw_bus.RETURN, values
    assert told and all(one[0] == f"bind {NIC} {OTHER} vfio-pci (user 0)" for one in told), told
    assert {one[1] for one in told} & {NIC, OTHER} and all(one[2] for one in told), told
    assert len(told) <= took * 10 + 1, (took, told)


def since() -> None:
    """Status knows since when a device is not as declared: when somebody has taken it back."""
    bus = RawBus()
    ask(bus, "WriteRules", "50-guest", rule("guest"), "")
    wait_for(lambda: driver_of(NIC) == "vfio-pci", "the service keeps the new rule")
    wait_for(lambda: ask(bus, "Status")["holds"], "it holds")
    assert ask(bus, "Status")["devices"][0]["since"] is None
    before = int(time.time())
    subprocess.run([DIR / "anybind", "restore", NIC], check=True)
    wait_for(lambda: ask(bus, "Status")["devices"][0]["since"] is not None, "the service has seen it")
    [device] = ask(bus, "Status")["devices"]
    assert device["state"] == "drift" and before <= device["since"] <= time.time(), device


POLKIT = ("org.freedesktop.PolicyKit1", "/org/freedesktop/PolicyKit1/Authority", "org.freedesktop.PolicyKit1.Authority")


class Agent(threading.Thread):
    """Types the password of whoever asks, as root: polkit takes root's word for it."""

    def __init__(self, subject: tuple) -> None:
        super().__init__(daemon=True)
        self.asked: list[str] = []
        self.says_yes = True
        self.bus = RawBus()
        error, values = self.bus.ask(POLKIT, "RegisterAuthenticationAgent", "(sa{sv})ss", subject, "C", "/agent")
        assert not error, (error, values)
        self.start()

    def run(self) -> None:
        while True:
            kind, serial, fields, values = self.bus.next()
            if kind != raw_bus.CALL:
                continue
            action, message, _, _, cookie, identities = values
            self.asked.append(f"{action}: {message}")
            if self.says_yes:
                number = dict(identities[0][1])["uid"]
                self.bus.ask(POLKIT, "AuthenticationAgentResponse2", "us(sa{sv})", 0, cookie, ("unix-user", [("uid", ("u", number))]))
            self.bus.reply(fields, serial)


def together() -> None:
    """A change of several devices asks for one password, which names all of them, and only for what wants one."""
    wanted, given = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            os.close(wanted[1])
            bus = RawBus()
            while request := os.read(wanted[0], 4096):
                error, values = bus.call("Change", request, flags=raw_bus.MAY_ASK)
                os.write(given[1], json.dumps([error, values]).encode())
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    os.close(wanted[0])
    begun = int(pathlib.Path(f"/proc/{child}/stat").read_text().rsplit(")", 1)[1].split()[19])
    agent = Agent(("unix-process", [("pid", ("u", child)), ("start-time", ("t", begun)), ("uid", ("i", NOBODY))]))

    def change(request: str) -> str:
        agent.asked.clear()
        os.write(wanted[1], request.encode())
        error, _ = json.loads(os.read(given[0], 1 << 16))
        return error.removeprefix("org.anybind.Error.")

    assert change(bind(NIC, OTHER)) == "" and driver_of(OTHER) == "vfio-pci"
    assert agent.asked == [f"org.anybind.together: Authentication is required for all of this: {NIC} to vfio-pci, {OTHER} to vfio-pci"], agent.asked
    back = '{"verb": "restore", "devices": [{"bus": "pci", "address": "%s"}]}'
    assert change(back % OTHER) == "" and driver_of(OTHER) == "igb"
    assert [one.split(":")[0] for one in agent.asked] == ["org.anybind.restore"], agent.asked
    assert change(back % NIC) == "" and driver_of(NIC) == "igb"
    agent.says_yes = False
    assert change(bind(NIC, OTHER)) == "NotPermitted" and len(agent.asked) == 1, agent.asked
    agent.says_yes = True
    # What is forbidden stays so, and nobody is asked in vain; what is allowed wants no password.
    assert change(bind(NIC, OTHER, "0000:08:00.0")) == "NotPermitted" and agent.asked == [], agent.asked
    assert change(bind(OTHER)) == "" and len(agent.asked) == 1 and agent.asked[0].startswith("org.anybind.change: "), agent.asked
    assert change(back % OTHER) == ""
    (DIR / "polkit/20-more.rules").write_text("""polkit.addRule(function(action, subject) {
  if (action.id == "org.anybind.change" && action.lookup("device") == "%s") return polkit.Result.YES; });""" % NIC)
    time.sleep(1)
    assert change(bind(NIC, OTHER)) == "" and [one.split(":")[0] for one in agent.asked] == ["org.anybind.change"], agent.asked
    assert change(back % NIC) == "" and change(back % OTHER) == ""
    # A rule that says yes to everything of ours that has no device does not say yes to each device.
    (DIR / "polkit/20-more.rules").write_text("""polkit.addRule(function(action, subject) {
  if (action.id == "org.anybind.together") return polkit.Result.YES; });""")
    time.sleep(1)
    assert change(bind(NIC, OTHER)) == "" and len(agent.asked) == 2, agent.asked
    assert NIC in agent.asked[0] and OTHER in agent.asked[1], agent.asked
    os.close(wanted[1])
    os.waitpid(child, 0)


globals()[CASE]()
print(f"{CASE}: done")
