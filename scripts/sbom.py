"""What is linked statically into a program, or bundled into the page of Cockpit, as SPDX 2.3 in JSON: asked of the build, not of a list.

The archives are what the linker says that it took members from, the headers what the compiler says that it read. dpkg knows
the package of each. Headers count too: fmt, CLI11, toml++ and JSON are nothing else. The npm modules of the page are those
that the bundler says it took something from.
"""

import datetime
import hashlib
import json
import pathlib
import re
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass

# Of what these sources put into a program; a source that is not here is an error.
LICENCES = {
    "cli11": "BSD-3-Clause",
    "fmtlib": "MIT",
    "fuse3": "LGPL-2.1-only",
    "gcc": "GPL-3.0-or-later WITH GCC-exception-3.1",
    "glibc": "LGPL-2.1-or-later",
    "linux": "GPL-2.0-only WITH Linux-syscall-note",
    "nlohmann-json3": "MIT",
    "systemd": "LGPL-2.1-or-later",
    "tomlplusplus": "MIT",
}


# Licences of npm modules that the page may be bundled with; another one is an error, and for people to judge.
PERMITTED = {"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT"}


@dataclass(frozen=True)
class Part:
    """A source package of Debian."""

    source: str
    version: str
    relation = "STATIC_LINK"

    def licence(self) -> str:
        name = re.sub(r"^gcc-\d+$", "gcc", self.source)
        if name not in LICENCES:
            raise SystemExit(f"{self.source} is linked into the program: scripts/sbom.py does not know its licence")
        return LICENCES[name]

    def purl(self) -> str:
        return f"pkg:deb/debian/{self.source}@{self.version}?arch=source"

    def supplier(self) -> dict[str, str]:
        return {"supplier": "Organization: Debian"}


@dataclass(frozen=True)
class Module:
    """An npm module, in the folder where npm has put it."""

    source: str
    version: str
    declared: str
    folder: pathlib.Path
    relation = "CONTAINS"

    def licence(self) -> str:
        if self.declared not in PERMITTED:
            raise SystemExit(f"{self.source} is bundled into the page: scripts/sbom.py does not permit its licence {self.declared}")
        return self.declared

    def purl(self) -> str:
        return f"pkg:npm/{self.source.replace('@', '%40')}@{self.version}"

    def supplier(self) -> dict[str, str]:
        return {}

    def words(self) -> str:
        """The text of its licence."""
        found = sorted(path for path in self.folder.iterdir() if re.match(r"(?i)(licen[cs]e|copying|notice)", path.name) and path.is_file())
        if not found:
            raise SystemExit(f"{self.source} is bundled into the page, and brings no text of its licence")
        return "\n\n".join(path.read_text().replace("\r", "").strip() for path in found)


@dataclass(frozen=True)
class Document:
    program: str
    version: str
    epoch: int
    sha256: str
    parts: Sequence[Part | Module]

    def text(self) -> str:
        packages = [{"SPDXID": "SPDXRef-program", "name": self.program, "versionInfo": self.version, "downloadLocation": "NOASSERTION",
                     "filesAnalyzed": False, "checksums": [{"algorithm": "SHA256", "checksumValue": self.sha256}],
                     "licenseConcluded": "NOASSERTION", "licenseDeclared": "Apache-2.0", "copyrightText": "NOASSERTION"}]
        relations = [("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-program")]
        for part in self.parts:
            identity = "SPDXRef-" + re.sub(r"[^A-Za-z0-9.-]+", "-", part.source).strip("-")
            packages.append({"SPDXID": identity, "name": part.source, "versionInfo": part.version, "downloadLocation": "NOASSERTION",
                             "filesAnalyzed": False, "licenseConcluded": "NOASSERTION", "licenseDeclared": part.licence(),
                             "copyrightText": "NOASSERTION", **part.supplier(),
                             "externalRefs": [{"referenceCategory": "PACKAGE-MANAGER", "referenceType": "purl",
                                               "referenceLocator": part.purl()}]})
            relations.append(("SPDXRef-program", part.relation, identity))
        body = {
            "spdxVersion": "SPDX-2.3", "dataLicense": "CC0-1.0", "SPDXID": "SPDXRef-DOCUMENT",
            "name": f"{self.program}-{self.version}",
            "creationInfo": {"created": f"{datetime.datetime.fromtimestamp(self.epoch, datetime.UTC):%Y-%m-%dT%H:%M:%SZ}",
                             "creators": ["Tool: anybind-release.py"]},
            "packages": packages,
            "relationships": [{"spdxElementId": one, "relationshipType": what, "relatedSpdxElement": other}
                              for one, what, other in relations],
        }
        mark = hashlib.sha256(json.dumps(body).encode()).hexdigest()[:32]
        body["documentNamespace"] = f"urn:anybind:spdx:{self.program}-{self.version}-{mark}"
        return json.dumps(body, indent=1)


def ninja(build: pathlib.Path, *words: str) -> str:
    return subprocess.run(["ninja", "-C", build, "-t", *words], capture_output=True, text=True, check=True).stdout


def headers(build: pathlib.Path, program: str) -> set[str]:
    objects = [line for line in ninja(build, "inputs", program).split() if line.endswith(".o")]
    return {line.strip() for line in ninja(build, "deps", *objects).splitlines() if line.startswith("    /usr/")}


def archives(build: pathlib.Path, program: str) -> set[str]:
    """Links once more, and has the linker tell of what."""
    command = ninja(build, "commands", program).splitlines()[-1].removesuffix(" && :")
    with tempfile.TemporaryDirectory() as scratch:
        told = subprocess.run(f"{command} -Wl,--trace -o {scratch}/program", shell=True, cwd=build, capture_output=True, text=True, check=True)
    found = set(re.findall(r"/usr/[^\s():]*\.[ao]\b", told.stdout + told.stderr))
    if not found:
        raise SystemExit("the linker tells nothing of what it links")
    return found


def parts(paths: set[str]) -> list[Part]:
    """The source packages of these files, by name."""
    names = sorted({str(pathlib.Path(path).resolve()) for path in paths})
    owned = subprocess.run(["dpkg", "-S", *names, *(name.removeprefix("/usr") for name in names)], capture_output=True, text=True, check=False)
    owners: dict[str, str] = {}
    for line in owned.stdout.splitlines():
        package, _, path = line.rpartition(": ")
        if not package.startswith("diversion by"):
            owners[path.removeprefix("/usr")] = package.split(", ")[0]
    strangers = [name for name in names if name.removeprefix("/usr") not in owners]
    if strangers:
        raise SystemExit(f"no package of Debian brings {strangers[0]}")
    shown = subprocess.run(["dpkg-query", "-W", "-f", "${source:Package} ${source:Version}\n", *set(owners.values())],
                           capture_output=True, text=True, check=True)
    return sorted({Part(*line.split()) for line in shown.stdout.splitlines()}, key=lambda part: part.source)


def sbom(build: pathlib.Path, target: str, program: pathlib.Path, version: str, epoch: int) -> Document:
    """`target` is what the build calls the program."""
    found = parts(headers(build, target) | archives(build, target))
    return Document(target, version, epoch, hashlib.sha256(program.read_bytes()).hexdigest(), found)


def static_built_using(document: Document) -> str:
    return ", ".join(f"{part.source} (= {part.version})" for part in document.parts)


def bundled(page: pathlib.Path) -> list[Module]:
    """The npm modules that the bundler took something from, by name; `page` is where scripts/page.sh has built."""
    found = set()
    for name, file in json.loads((page / "meta.json").read_text())["inputs"].items():
        match = re.match(r"(?:.*/)?node_modules/((?:@[^/]+/)?[^/]+)/", name)
        if match and file["bytes"]:
            folder = page / name[:match.end()]
            told = json.loads((folder / "package.json").read_text())
            found.add(Module(told["name"], told["version"], told.get("license", "none"), folder))
    if not found:
        raise SystemExit("the bundler tells of no module in the page")
    return sorted(found, key=lambda module: (module.source, module.version))


def sbom_of_page(page: pathlib.Path, version: str, epoch: int) -> Document:
    files = sorted(path for path in (page / "dist").rglob("*") if path.is_file())
    whole = hashlib.sha256(b"".join(path.read_bytes() for path in files))
    return Document("cockpit-anybind", version, epoch, whole.hexdigest(), bundled(page))


def licences_of_page(page: pathlib.Path) -> str:
    """For people: what each module demands to be shown."""
    head = "The page of Cockpit is Apache-2.0, as all of anybind. These npm modules are bundled into it.\n"
    return head + "".join(f"\n{'-' * 72}\n{module.source} {module.version}, {module.licence()}\n\n{module.words()}\n"
                          for module in bundled(page))
