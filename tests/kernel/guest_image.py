"""The initramfs of a guest: a base, kept under build/, and a payload that is put together for each run."""

import contextlib
import fcntl
import hashlib
import lzma
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build"
BUSYBOX = pathlib.Path("/bin/busybox")
# Series and suite, as in kernels.list.
SUITES = dict(line.split() for line in (HERE / "kernels.list").read_text().splitlines() if not line.startswith("#"))
VERSIONS = tuple(SUITES)
NO_SUITE = 77  # fetch_kernel.sh


class NoKernelError(Exception):
    """The mirror has no such kernel; why."""


@dataclass(frozen=True)
class Kernel:
    """A kernel that fetch_kernel.sh unpacked."""

    version: str
    release: str
    root: pathlib.Path

    @property
    def vmlinuz(self) -> pathlib.Path:
        beside_modules = self.modules / "vmlinuz"  # since 7.0
        return beside_modules if beside_modules.exists() else self.root / "boot" / f"vmlinuz-{self.release}"

    @property
    def modules(self) -> pathlib.Path:
        return self.root / "lib/modules" / self.release

    @property
    def headers(self) -> pathlib.Path:
        return self.root / "usr/src" / f"linux-headers-{self.release}"


def kernel(version: str) -> Kernel:
    """Fetches the kernel if need be."""
    folder = BUILD / "kernels" / version
    status = subprocess.run([HERE / "fetch_kernel.sh", version, folder], check=False).returncode
    if status == NO_SUITE:
        raise NoKernelError(f"the mirror has no {SUITES[version]}")
    if status:
        raise SystemExit(f"fetch_kernel.sh {version} failed")
    return Kernel(version, (folder / "release").read_text().strip(), folder / "root")


def base_image(of: Kernel) -> pathlib.Path:
    """The base for this kernel; made again whenever something that goes into it has changed."""
    folder = BUILD / "kernel" / of.version
    folder.mkdir(parents=True, exist_ok=True)
    sources = [HERE / "guest_image.py", BUSYBOX, *files_in(HERE / "guest"), *files_in(HERE / "module")]
    image = folder / f"base-{digest(of.release, sources)}.cpio"
    with locked(folder / "lock"):
        if not image.exists():
            for old in folder.glob("base-*.cpio"):
                old.unlink()
            with tempfile.TemporaryDirectory(dir=folder) as scratch:
                make_base(of, pathlib.Path(scratch), image)
    return image


def append_payload(image: pathlib.Path, case: pathlib.Path, programs: dict[str, pathlib.Path]) -> None:
    """Appends a second archive to `image`: the case, and programs by their path in the guest, with the shared
    libraries that they need."""
    with tempfile.TemporaryDirectory() as scratch:
        stage = pathlib.Path(scratch) / "root"
        place(case, stage / "payload/case.sh")
        for target, source in programs.items():
            place(source, stage / target)
            for library in shared_libraries(source):
                place(library, stage / str(library).lstrip("/"))
        archive = pathlib.Path(scratch) / "payload.cpio"
        make_archive(stage, archive)
        append_file(image, archive)


def append_file(image: pathlib.Path, archive: pathlib.Path) -> None:
    with image.open("ab") as file, archive.open("rb") as more:
        shutil.copyfileobj(more, file)


@contextlib.contextmanager
def locked(path: pathlib.Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def digest(text: str, paths: list[pathlib.Path]) -> str:
    sum_ = hashlib.sha256(text.encode())
    for path in paths:
        sum_.update(f"\0{path.name}\0".encode() + path.read_bytes())
    return sum_.hexdigest()[:16]


def files_in(folder: pathlib.Path) -> list[pathlib.Path]:
    return sorted(path for path in folder.iterdir() if path.is_file())


def place(source: pathlib.Path, target: pathlib.Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, target)


def shared_libraries(program: pathlib.Path) -> list[pathlib.Path]:
    """What ldd lists; nothing for a static program or a script."""
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    words = [word for line in listing.splitlines() for word in line.split()]
    return sorted({pathlib.Path(word) for word in words if word.startswith("/") and not word.endswith(":")})


def make_archive(stage: pathlib.Path, archive: pathlib.Path) -> None:
    names = sorted(str(path.relative_to(stage)) for path in stage.rglob("*"))
    partial = archive.with_suffix(".partial")
    with partial.open("wb") as out:
        subprocess.run(["cpio", "--quiet", "-0", "-o", "-H", "newc", "--reproducible", "-R", "0:0"],
                       cwd=stage, input="\0".join(names).encode(), stdout=out, check=True)
    partial.rename(archive)


def make_base(of: Kernel, scratch: pathlib.Path, image: pathlib.Path) -> None:
    stage = scratch / "root"
    for folder in ("bin", "dev", "etc", "payload", "proc", "run", "sys", "tmp", "usr"):
        (stage / folder).mkdir(parents=True)
    (stage / "sbin").symlink_to("bin")
    place_busybox(stage)
    place(HERE / "guest/init", stage / "init")
    place(HERE / "guest/lib.sh", stage / "lib.sh")
    place(HERE / "guest/json.awk", stage / "json.awk")
    for source in sorted((HERE / "guest").glob("*.c")):
        subprocess.run(["gcc", "-static", "-O1", "-Wall", "-Wextra", "-Werror", "-o", stage / "bin" / source.stem,
                        source], check=True)
    place_modules(of, stage, build_test_module(of, scratch))
    make_archive(stage, image)


def place_busybox(stage: pathlib.Path) -> None:
    place(BUSYBOX, stage / "bin/busybox")
    for applet in subprocess.run([BUSYBOX, "--list"], capture_output=True, text=True, check=True).stdout.split():
        if applet != "busybox":
            (stage / "bin" / applet).symlink_to("busybox")


def build_test_module(of: Kernel, scratch: pathlib.Path) -> pathlib.Path:
    source = scratch / "module"
    shutil.copytree(HERE / "module", source)
    # Without type information for BPF, which would need the package pahole.
    make = ["make", "-s", "CONFIG_DEBUG_INFO_BTF_MODULES=", "modules", "-C"]
    if SUITES[of.version] == "bookworm":
        subprocess.run([*make, of.headers, f"M={source}"], check=True)
    else:
        make_in_debian_13(of, source, make)
    subprocess.run(["strip", "--strip-debug", source / "anybind_test.ko"], check=True)
    return source / "anybind_test.ko"


def make_in_debian_13(of: Kernel, source: pathlib.Path, make: list[str]) -> None:
    """The headers of newer kernels want Debian 13's compiler and C library: in a minimal root that is made once and kept."""
    root = BUILD / "kernels/debian13"
    inside = f"kernels/{of.version}"
    with locked(BUILD / "kernels/debian13.lock"):
        shutil.rmtree(root / inside, ignore_errors=True)
        shutil.copytree(source, root / inside / "module")
        shutil.copytree(of.root / "usr/src", root / inside / "usr/src", symlinks=True)
        for kbuild in (of.root / "usr/lib").glob("linux-kbuild-*"):
            shutil.copytree(kbuild, root / inside / "usr/lib" / kbuild.name, symlinks=True)
        words = shlex.join([*make, f"/{inside}/usr/src/{of.headers.name}", f"M=/{inside}/module"])
        subprocess.run([HERE.parent.parent / "scripts/fresh_root.sh", "13", "--keep", root,
                        "set -e; { command -v make && command -v gcc-14 && ldconfig -p | grep libelf; } >/dev/null || { apt-get -qq update; "
                        "apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends make gcc-14 libc6-dev libelf1t64 >/dev/null; }; " + words],
                       check=True)
        shutil.copy(root / inside / "module/anybind_test.ko", source)
        shutil.rmtree(root / inside)


def place_modules(of: Kernel, stage: pathlib.Path, test_module: pathlib.Path) -> None:
    target = stage / "lib/modules" / of.release
    for name in modules_with_dependencies(of):
        place_unpacked(of.modules / name, target / name)
    place(test_module, target / "extra/anybind_test.ko")
    for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
        place(of.modules / name, target / name)
    subprocess.run(["depmod", "-b", stage, of.release], check=True)


def place_unpacked(source: pathlib.Path, target: pathlib.Path) -> None:
    """Unpacking is slow in the guest, so do it here."""
    if source.suffix == ".xz":
        target = target.with_suffix("")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(lzma.decompress(source.read_bytes()))
    else:
        place(source, target)


def module_name(path: str) -> str:
    return os.path.basename(path).split(".ko")[0].replace("-", "_")


def modules_with_dependencies(of: Kernel) -> list[str]:
    """Paths below lib/modules/RELEASE of what modules.list names."""
    dependencies: dict[str, list[str]] = {}
    for line in (of.modules / "modules.dep").read_text().splitlines():
        path, _, needed = line.partition(":")
        dependencies[module_name(path)] = [path, *needed.split()]
    builtin = {module_name(line) for line in (of.modules / "modules.builtin").read_text().split()}
    wanted: set[str] = set()
    for line in (HERE / "guest/modules.list").read_text().splitlines():
        name = line.partition("#")[0].strip().replace("-", "_")
        optional = name.endswith("?")
        name = name.rstrip("?")
        if name in dependencies:
            wanted.update(dependencies[name])
        elif name and name not in builtin and not optional:
            raise SystemExit(f"kernel {of.release} has no module {name}")
    return sorted(wanted)
