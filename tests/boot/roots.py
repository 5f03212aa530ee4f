"""The roots of booted guests: a Debian 13 for each maker of an initramfs, made once and kept under build/boot/, and its
image; and the image of a case that changes the root before it boots.

An image is a file system without a partition table, which mke2fs fills from a folder: nothing is mounted on this machine.
QEMU gets kernel and initramfs as files, for it has no boot loader here: they are read out of the image's /boot at each boot,
so that what the system itself wrote there last is what boots.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
CLONE = HERE.parent.parent
BUILD = CLONE / "build/boot"
FRESH = CLONE / "build/fresh/13"
SCRIPTS = CLONE / "scripts"
sys.path.insert(0, str(HERE.parent / "kernel"))

from guest_image import digest, locked  # noqa: E402

INITRAMFS = ("initramfs-tools", "dracut")
SERIES = tuple(line.split()[0] for line in (HERE.parent / "kernel/kernels.list").read_text().splitlines()
               if re.match(r"\d\S* trixie", line))
DEFAULT_SERIES = "6.12"  # of a case that does not say
# What a system may write beside what is in it, in bytes.
ROOM = 700 << 20


class CannotError(Exception):
    """There can be no such root here; why."""


@dataclass(frozen=True)
class Root:
    """A folder that holds a whole system, and the image of it."""

    folder: pathlib.Path
    image: pathlib.Path

    def release(self, series: str) -> str:
        for line in (self.folder / "usr/lib/anybind-case/kernels").read_text().splitlines():
            if line.split()[0] == series:
                return line.split()[1]
        raise CannotError(f"the mirror has no kernel {series} for Debian 13, or no case has asked for one when the root was made")


def series_of(initramfs: str) -> list[str]:
    """The kernels that some case boots with an initramfs of this maker: a kernel takes a minute of a root's making."""
    found: set[str] = set()
    for case in HERE.glob("cases/**/*.sh"):
        asked = dict(re.findall(r"^# (kernels|initramfs): *(.*)$", case.read_text(), re.MULTILINE))
        if initramfs in asked.get("initramfs", INITRAMFS[0]).split():
            found |= set(asked.get("kernels", DEFAULT_SERIES).split())
    return sorted(found & set(SERIES))


def may_make_roots() -> bool:
    namespaces = ["unshare", "--mount", "--pid", "--fork", "--ipc", "--uts", "true"]
    return os.geteuid() == 0 and subprocess.run(namespaces, stderr=subprocess.DEVNULL, check=False).returncode == 0


def base(initramfs: str) -> Root:
    """The root that no case has changed; made again whenever something that makes it has changed."""
    if not may_make_roots():
        raise CannotError("making a root needs root and namespaces")
    sources = [HERE / "make_root.sh", HERE / "guest/anybind-case.service", HERE.parent / "kernel/kernels.list"]
    BUILD.mkdir(parents=True, exist_ok=True)
    kept = BUILD / f"{initramfs}-{digest(' '.join([initramfs, *series_of(initramfs)]), sources)}"
    root = Root(kept / "root", kept / "root.img")
    with locked(BUILD / f"{initramfs}.lock"):
        if not root.image.exists():
            for old in BUILD.glob(f"{initramfs}-*"):
                shutil.rmtree(old)
            make_base(initramfs, kept / "root")
            make_image(root.folder, root.image, "root", ROOM)
    return root


def make_base(initramfs: str, folder: pathlib.Path) -> None:
    folder.parent.mkdir()
    log = BUILD / f"{initramfs}.log"
    print(f"making a Debian 13 with {initramfs}; see {log}", flush=True)
    fresh = [SCRIPTS / "fresh_root.sh", "13", "--keep", folder]
    with log.open("w") as out:
        done = subprocess.run([*fresh, "true"], stdout=out, stderr=out, check=False)
        if done.returncode == 0:
            write_sources(folder)
            done = subprocess.run([*fresh, f"tests/boot/make_root.sh {initramfs} {' '.join(series_of(initramfs))}"], stdout=out, stderr=out, check=False)
    if done.returncode:
        raise SystemExit(f"{log.read_text(errors='replace')[-3000:]}\nmake_root.sh {initramfs} failed")
    empty(folder / "anybind")


def write_sources(folder: pathlib.Path) -> None:
    """The mirrors of this machine, with the keyring that fresh_root.sh put together."""
    apt = folder / "etc/apt"
    for suite, file in (("trixie", "sources.list"), ("trixie-backports", "sources.list.d/backports.list")):
        lines = subprocess.run([SCRIPTS / "debian_sources.sh", suite], capture_output=True, text=True, check=True).stdout
        (apt / file).write_text(re.sub(r"signed-by=[^]]*", "signed-by=/etc/apt/keyrings/machine.gpg", lines))
    shutil.copy(FRESH / "keyring.gpg", apt / "keyrings/machine.gpg")


def empty(folder: pathlib.Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def make_image(folder: pathlib.Path, image: pathlib.Path, label: str, room: int) -> None:
    """An ext4 of what is in the folder, with `room` bytes left. It is there whole or not at all."""
    used = subprocess.run(["du", "-s", "-B1", folder], capture_output=True, text=True, check=True).stdout.split()[0]
    partial = image.with_suffix(".partial")
    partial.unlink(missing_ok=True)
    subprocess.run(["/sbin/mke2fs", "-q", "-F", "-t", "ext4", "-L", label, "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0",
                    "-d", folder, partial, f"{(int(used) * 21 // 20 + room) >> 20}M"], check=True, capture_output=True)
    partial.rename(image)


def copy_image(image: pathlib.Path, copy: pathlib.Path) -> None:
    """Shares the blocks where the file system can, and takes no room for holes."""
    subprocess.run(["cp", "--reflink=auto", "--sparse=always", image, copy], check=True)


def copy_root(folder: pathlib.Path, copy: pathlib.Path) -> None:
    subprocess.run(["cp", "-a", "--reflink=auto", folder, copy], check=True)


def run_in_root(folder: pathlib.Path, archives: pathlib.Path, command: str, seconds: float) -> subprocess.CompletedProcess[str]:
    """Runs a command in /anybind of the root, as fresh_root.sh does: whatever it starts ends with it."""
    archives.mkdir(exist_ok=True)
    return subprocess.run(["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "--ipc", "--uts",
                           SCRIPTS / "in_root.sh", folder, archives, command], text=True, errors="replace", stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=seconds, check=False)


def take_out(image: pathlib.Path, path: str, to: pathlib.Path) -> None:
    """A file of an image's file system."""
    to.unlink(missing_ok=True)
    subprocess.run(["/sbin/debugfs", "-R", f"dump {path} {to}", image], check=True, stdin=subprocess.DEVNULL, capture_output=True)
    if not to.exists() or not to.stat().st_size:
        raise SystemExit(f"the image has no {path}")
