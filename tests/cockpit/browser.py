"""Where the tests of the page have what drives a browser, and where its pictures stay."""

import fcntl
import hashlib
import pathlib
import shutil
import subprocess

HERE = pathlib.Path(__file__).resolve().parent
BUILD = HERE.parent.parent / "build/cockpit"
PICTURES = BUILD / "pictures"


PARTS = ("cases", "run.mjs", "browser.mjs", "machine.mjs", "steps.mjs", "package.json", "package-lock.json", ".npmrc")


def digest(names: tuple[str, ...]) -> str:
    files = [path for name in names for path in sorted((HERE / name).rglob("*") if (HERE / name).is_dir() else [HERE / name])]
    return hashlib.sha256(b"\0".join(bytes(path.relative_to(HERE)) + path.read_bytes() for path in files)).hexdigest()


def modules() -> pathlib.Path:
    """The tests with their npm modules, which a browser is driven by: fetched once. Several may run at once, so nothing that is as it should
    be is touched."""
    folder = BUILD / "tests"
    folder.mkdir(parents=True, exist_ok=True)
    with (BUILD / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if is_new(folder / ".of", digest(PARTS)):
            for name in PARTS:
                if (HERE / name).is_dir():
                    shutil.rmtree(folder / name, ignore_errors=True)
                    shutil.copytree(HERE / name, folder / name)
                else:
                    shutil.copy(HERE / name, folder / name)
            (folder / ".of").write_text(digest(PARTS))
        if is_new(folder / "node_modules/.of", digest(("package-lock.json",))):
            done = subprocess.run(["npm", "ci", "--ignore-scripts", "--prefer-offline"], cwd=folder, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(f"{done.stderr[-2000:]}\nnpm could not fetch what the browser is driven by; see whether it reaches its registry by: npm ping")
            (folder / "node_modules/.of").write_text(digest(("package-lock.json",)))
    return folder


def is_new(mark: pathlib.Path, wanted: str) -> bool:
    return not mark.exists() or mark.read_text() != wanted
