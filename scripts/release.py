#!/usr/bin/env python3
"""What a release is made of. The version stands in CMakeLists.txt, and what is new in CHANGELOG.md; all else follows from them.

usage: release.py version               the version of Debian's packages: that of the release, or one before or after it
       release.py new X.Y.Z DATE        what is unreleased in CHANGELOG.md becomes that release
       release.py changelog             writes debian/changelog, for dpkg-buildpackage in place
       release.py stage DIR             the files of the project, with debian/changelog
       release.py dist DIR              anybind-VERSION.tar.xz in DIR, which needs no git; the same files give the same bytes
       release.py sbom BUILD TARGET PROGRAM [--substvars FILE]
                                        SPDX of what a build on Debian links statically into PROGRAM; FILE gets it for
                                        Debian's field Static-Built-Using
       release.py page-sbom DIR         SPDX of the npm modules in the page that scripts/page.sh has built in DIR
       release.py page-licences DIR     the licences of those
       release.py sums DIR              SHA256SUMS of what is in DIR
       release.py sign DIR KEY          a detached signature of DIR/SHA256SUMS, which must be right: SHA256SUMS.sig by signify when
                                        KEY is a file of it, NAME.sec, and else SHA256SUMS.asc by gpg, of which KEY is a key
"""

import datetime
import email.utils
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

from sbom import licences_of_page, sbom, sbom_of_page, static_built_using

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAINTAINER = re.compile(r"^Maintainer: (.*)$", re.MULTILINE)
HEADING = re.compile(r"^## (?:(Unreleased)|(\d+\.\d+\.\d+) \((\d{4}-\d\d-\d\d)\))$", re.MULTILINE)
VERSION = re.compile(r"^(project\(anybind VERSION )(\d+\.\d+\.\d+)", re.MULTILINE)


def text(path: str) -> str:
    return (ROOT / path).read_text()


def git(*words: str) -> str:
    """What git says; nothing where there is no git, or it does not know this tree."""
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""


def project_version() -> str:
    found = VERSION.search(text("CMakeLists.txt"))
    if found is None:
        raise SystemExit("CMakeLists.txt names no version")
    return found[2]


def day(date: str) -> int:
    return int(datetime.datetime.fromisoformat(f"{date}T12:00:00+00:00").timestamp())


def utc(time: int) -> datetime.datetime:
    return datetime.datetime.fromtimestamp(time, datetime.UTC)


def releases() -> list[tuple[str, int]]:
    """(version, time) of each release, newest first."""
    return [(match[2], day(match[3])) for match in HEADING.finditer(text("CHANGELOG.md")) if match[2]]


def is_unreleased() -> bool:
    first = HEADING.search(text("CHANGELOG.md"))
    if first is None:
        raise SystemExit('CHANGELOG.md has no heading "## Unreleased" or "## X.Y.Z (YYYY-MM-DD)"')
    if first[1]:
        rest = text("CHANGELOG.md")[first.end():]
        following = HEADING.search(rest)
        return bool((rest[:following.start()] if following else rest).strip())
    return False


def epoch() -> int:
    """The time that everything made of these files bears, in seconds."""
    if given := os.environ.get("SOURCE_DATE_EPOCH"):
        return int(given)
    changelog = ROOT / "debian/changelog"  # of a tarball
    if changelog.exists() and not (ROOT / ".git").exists():
        trailer = re.search(r"^ -- .*>  (.*)$", changelog.read_text(), re.MULTILINE)
        return int(email.utils.parsedate_to_datetime(trailer[1]).timestamp())
    if not is_unreleased():
        return releases()[0][1]
    return int(git("log", "-1", "--format=%ct") or (ROOT / "CHANGELOG.md").stat().st_mtime)


def debian_version() -> str:
    """Sorts between the releases before and after it, and by days between those."""
    version = project_version()
    if is_unreleased():
        mark = "+" if version in dict(releases()) else "~"
        return f"{version}{mark}{utc(epoch()):%Y%m%d}"
    if releases()[0][0] != version:
        raise SystemExit(f"CHANGELOG.md releases {releases()[0][0]}, and CMakeLists.txt is of {version}")
    return version


def debian_changelog() -> str:
    entries = releases()
    if not entries or debian_version() != entries[0][0]:
        entries = [(debian_version(), epoch()), *entries]
    maintainer = MAINTAINER.search(text("debian/control"))[1]
    return "\n".join(f"anybind ({version}-0upstream1) unstable; urgency=medium\n\n  * As CHANGELOG.md tells.\n\n"
                     f" -- {maintainer}  {email.utils.format_datetime(utc(time))}\n" for version, time in entries)


def files() -> list[str]:
    """Those that git knows; where it cannot tell, all that are not in build/."""
    listed = git("ls-files", "-z") or subprocess.run([ROOT / "scripts/sources.sh", "*"], capture_output=True, text=True, check=True).stdout
    names = {name.removeprefix("./") for name in listed.split("\0") if name}
    return sorted(name for name in names if name != "debian/changelog" and (ROOT / name).exists())


def stage(target: pathlib.Path) -> None:
    changelog = debian_changelog()
    for name in files():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target / name)
    (target / "debian/changelog").write_text(changelog)


def dist(folder: pathlib.Path) -> None:
    name = f"anybind-{debian_version()}"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        stage(pathlib.Path(scratch) / name)
        tar = ["tar", "-C", scratch, "--sort=name", f"--mtime=@{epoch()}", "--owner=0", "--group=0", "--numeric-owner",
               "--mode=u+rw,go=rX", "--format=gnu", "-c", name]
        with subprocess.Popen(tar, stdout=subprocess.PIPE) as making, (folder / f"{name}.tar.xz").open("wb") as out:
            subprocess.run(["xz", "-9", "-T1"], stdin=making.stdout, stdout=out, check=True)
        if making.returncode:
            raise SystemExit("tar failed")
    print(folder / f"{name}.tar.xz")


def new(version: str, date: str) -> None:
    if not re.fullmatch(r"\d+\.\d+\.\d+", version) or not is_unreleased() or version in dict(releases()):
        raise SystemExit("nothing is unreleased, or that is no new version")
    day(date)
    changelog = text("CHANGELOG.md").replace("## Unreleased\n", f"## Unreleased\n\n## {version} ({date})\n", 1)
    (ROOT / "CHANGELOG.md").write_text(changelog)
    (ROOT / "CMakeLists.txt").write_text(VERSION.sub(rf"\g<1>{version}", text("CMakeLists.txt"), count=1))


def right_sums(folder: pathlib.Path) -> str:
    paths = sorted(path for path in folder.iterdir() if path.is_file() and not path.name.startswith("SHA256SUMS"))
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in paths)


def sums(folder: pathlib.Path) -> None:
    for stale in folder.glob("SHA256SUMS.*"):  # signatures of what was there before
        stale.unlink()
    (folder / "SHA256SUMS").write_text(right_sums(folder))


def sign(folder: pathlib.Path, key: str) -> None:
    named = folder / "SHA256SUMS"
    if not named.exists() or named.read_text() != right_sums(folder):
        raise SystemExit(f"{named} is not of what is in {folder}: release.py sums {folder}")
    by_signify = key.endswith(".sec")
    signature = folder / f"SHA256SUMS.{'sig' if by_signify else 'asc'}"
    signature.unlink(missing_ok=True)
    words = (["signify-openbsd", "-S", "-s", key, "-m", named, "-x", signature] if by_signify else
             ["gpg", "--local-user", key, "--armor", "--detach-sign", "--output", signature, named])
    try:
        done = subprocess.run(words, check=False).returncode
    except FileNotFoundError:
        raise SystemExit(f"{words[0]} is not installed") from None
    if done != 0:
        signature.unlink(missing_ok=True)
        raise SystemExit(f"{words[0]} could not sign {named}")
    print(signature)


def main() -> int:
    match sys.argv[1:]:
        case ["version"]:
            print(debian_version())
        case ["new", version, date]:
            new(version, date)
        case ["changelog"]:
            (ROOT / "debian/changelog").write_text(debian_changelog())
        case ["stage", folder]:
            stage(pathlib.Path(folder).absolute())
        case ["dist", folder]:
            dist(pathlib.Path(folder).absolute())
        case ["sums", folder]:
            sums(pathlib.Path(folder))
        case ["sign", folder, key]:
            sign(pathlib.Path(folder), key)
        case ["sbom", build, target, program, *more] if not more or (len(more) == 2 and more[0] == "--substvars"):
            document = sbom(pathlib.Path(build).absolute(), target, pathlib.Path(program), debian_version(), epoch())
            for file in more[1:]:
                with pathlib.Path(file).open("a") as variables:
                    variables.write(f"anybind:Static-Built-Using={static_built_using(document)}\n")
            print(document.text())
        case ["page-sbom", page]:
            print(sbom_of_page(pathlib.Path(page), debian_version(), epoch()).text())
        case ["page-licences", page]:
            print(licences_of_page(pathlib.Path(page)), end="")
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
