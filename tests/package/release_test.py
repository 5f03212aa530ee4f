#!/usr/bin/env python3
"""scripts/release.py on trees that are made up: versions, times, the tarball, a new release."""

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest
import unittest.mock

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
UNRELEASED = "# Changelog\n\n## Unreleased\n\n- Something is new.\n"
RELEASED = "# Changelog\n\n## Unreleased\n\n## 1.2.3 (2030-02-01)\n\n- Something was new.\n"


class Tree(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="anybind-release-")
        self.addCleanup(scratch.cleanup)
        self.scratch = pathlib.Path(scratch.name)
        self.root = self.scratch / "tree"
        for folder in ("debian", "scripts"):
            (self.root / folder).mkdir(parents=True)
        for name in ("release.py", "sbom.py", "sources.sh"):
            shutil.copy(ROOT / "scripts" / name, self.root / "scripts")
        (self.root / "debian/control").write_text("Source: anybind\nMaintainer: A <a@b.invalid>\n")
        (self.root / "CMakeLists.txt").write_text("project(anybind VERSION 1.2.3 LANGUAGES CXX C)\n")
        self.changelog(RELEASED)

    def changelog(self, text: str) -> None:
        (self.root / "CHANGELOG.md").write_text(text)
        os.utime(self.root / "CHANGELOG.md", (1900000000, 1900000000))  # 2030-03-17, for where there is no git

    def run_it(self, *words: str, tree: pathlib.Path | None = None, code: int = 0, path: str = os.environ["PATH"]) -> str:
        env = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
        done = subprocess.run([(tree or self.root) / "scripts/release.py", *words], capture_output=True, text=True, check=False,
                              env=env | {"GIT_CEILING_DIRECTORIES": str(self.scratch), "PATH": path})
        self.assertEqual(done.returncode, code, done.stderr)
        return done.stdout.strip() if code == 0 else done.stderr.strip()

    def older(self, one: str, other: str) -> None:
        self.assertEqual(subprocess.run(["dpkg", "--compare-versions", one, "lt", other], check=False).returncode, 0, f"{one} {other}")

    def test_a_release_has_its_own_version(self) -> None:
        self.assertEqual(self.run_it("version"), "1.2.3")
        self.run_it("changelog")
        self.assertIn("Fri, 01 Feb 2030 12:00:00", (self.root / "debian/changelog").read_text())

    def test_what_is_unreleased_sorts_before_the_release_and_after_the_last(self) -> None:
        self.changelog(UNRELEASED)
        before = self.run_it("version")
        self.assertEqual(before, "1.2.3~20300317")
        self.changelog(RELEASED.replace("## Unreleased\n", "## Unreleased\n\n- More.\n"))
        after = self.run_it("version")
        self.assertEqual(after, "1.2.3+20300317")
        self.older(before, "1.2.3")
        self.older("1.2.3", after)
        self.older(after, "1.2.4~20300318")

    def test_no_git_is_needed(self) -> None:
        self.changelog(UNRELEASED)
        (self.scratch / "bin").mkdir()
        (self.scratch / "bin/python3").symlink_to(sys.executable)
        self.assertEqual(self.run_it("version", path=str(self.scratch / "bin")), "1.2.3~20300317")

    def test_a_release_of_another_version_is_refused(self) -> None:
        self.changelog(RELEASED.replace("1.2.3", "1.2.4"))
        self.assertIn("CHANGELOG.md releases 1.2.4", self.run_it("version", code=1))

    def test_a_new_release_is_made_of_what_is_unreleased(self) -> None:
        self.changelog(UNRELEASED)
        self.run_it("new", "1.3.0", "2030-04-05")
        self.assertEqual(self.run_it("version"), "1.3.0")
        self.assertIn("## Unreleased\n\n## 1.3.0 (2030-04-05)\n\n- Something is new.", (self.root / "CHANGELOG.md").read_text())
        self.assertIn("nothing is unreleased", self.run_it("new", "1.4.0", "2030-04-06", code=1))

    def test_the_tarball_is_the_same_again_and_makes_itself(self) -> None:
        first = pathlib.Path(self.run_it("dist", str(self.scratch / "first")))
        for path in self.root.rglob("*"):
            path.chmod(path.stat().st_mode & 0o700)
        os.utime(self.root / "debian/control", (1, 1))
        second = pathlib.Path(self.run_it("dist", str(self.scratch / "second")))
        self.assertEqual(first.read_bytes(), second.read_bytes())
        subprocess.run(["tar", "-C", self.scratch, "-xf", first], check=True)
        unpacked = self.scratch / "anybind-1.2.3"
        with unittest.mock.patch.dict(os.environ, TZ="Pacific/Auckland"):
            third = pathlib.Path(self.run_it("dist", str(self.scratch / "third"), tree=unpacked))
        self.assertEqual(first.read_bytes(), third.read_bytes())

    def test_the_checksums_are_signed(self) -> None:
        """By a key that is thrown away; a signature is of what is there, or of nothing."""
        home = self.scratch / "gnupg"
        home.mkdir(mode=0o700)
        released = self.scratch / "dist"
        released.mkdir()
        (released / "anybind.tar.xz").write_text("it")
        env = {"GNUPGHOME": str(home)}
        gpg = ["gpg", "--batch", "--quiet", "--homedir", home]
        subprocess.run([*gpg, "--passphrase", "", "--quick-generate-key", "thrown.away@b.invalid", "ed25519", "sign"], check=True)
        self.addCleanup(subprocess.run, ["gpgconf", "--homedir", home, "--kill", "gpg-agent"], check=False)
        with unittest.mock.patch.dict(os.environ, env):
            self.assertIn("is not of what is in", self.run_it("sign", str(released), "thrown.away@b.invalid", code=1))
            self.run_it("sums", str(released))
            signature = self.run_it("sign", str(released), "thrown.away@b.invalid")
            self.assertEqual(signature, str(released / "SHA256SUMS.asc"))
            self.assertIn("could not sign", self.run_it("sign", str(released), "nobody@b.invalid", code=1))
            self.assertFalse(pathlib.Path(signature).exists())
            self.run_it("sign", str(released), "thrown.away@b.invalid")

        def verified() -> int:
            return subprocess.run([*gpg, "--verify", signature, released / "SHA256SUMS"], capture_output=True, check=False).returncode

        self.assertEqual(verified(), 0)
        self.assertEqual((released / "SHA256SUMS").read_text().split()[1:], ["anybind.tar.xz"])
        with (released / "SHA256SUMS").open("a") as sums:
            sums.write("more\n")
        self.assertNotEqual(verified(), 0)
        self.assertIn("is not of what is in", self.run_it("sign", str(released), "thrown.away@b.invalid", code=1))
        self.run_it("sums", str(released))
        self.assertFalse(pathlib.Path(signature).exists(), "it was of other checksums")

    def test_the_tarball_has_what_the_clone_has(self) -> None:
        tarball = subprocess.run([ROOT / "scripts/release.py", "dist", self.scratch], capture_output=True, text=True, check=True).stdout.strip()
        listed = subprocess.run(["tar", "-tf", tarball], capture_output=True, text=True, check=True).stdout.split()
        names = {name.partition("/")[2] for name in listed}
        self.assertTrue({"CMakeLists.txt", "Makefile", "debian/changelog", "debian/rules", "scripts/deb.sh", "src/cli/main.cc"} <= names)
        self.assertFalse([name for name in names if name.startswith(("build/", ".git/"))])


if __name__ == "__main__":
    result = unittest.main(exit=False, argv=sys.argv[:1]).result
    bad = len(result.failures) + len(result.errors)
    print(f"{result.testsRun - bad} passed, {bad} failed, 0 skipped")
    sys.exit(1 if bad or not result.testsRun else 0)
