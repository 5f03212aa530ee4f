#!/bin/sh
# Builds Debian's packages, hardened, and looks at them: lintian, hardening, nothing of this machine in them, checksums, SBOM.
set -eu
cd "$(dirname "$0")/../.."
passed=0 failed=0
check() { # DESCRIPTION COMMAND...
  what=$1
  shift
  if said=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "ok - $what"
  else
    failed=$((failed + 1))
    printf 'not ok - %s [%s]\n' "$what" "$(printf %s "$said" | tail -n 20)"
  fi
}

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
line=$(sed -n 's/^    \(scripts\/make\.sh deb\) .*/\1/p' README.md)
[ -n "$line" ] || { echo "README has no line 'scripts/make.sh deb'" >&2; exit 1; }
$line >/dev/null
dist=$PWD/build/dist

lintian_is_silent() {
  said=$(lintian --allow-root --fail-on error,warning "$dist"/*.deb) && [ -z "$said" ] || { echo "$said"; return 1; }
}

one_time() { # all files of the packages bear the time of the sources
  for deb in "$dist"/*.deb; do
    dpkg-deb --fsys-tarfile "$deb" | TZ=UTC tar -tv --full-time | awk '{ print $4, $5 }'
  done | sort -u >"$scratch/times"
  [ "$(tail -n 1 "$scratch/times")" = "$(TZ=UTC date -d "@$(python3 -c 'import sys; sys.path.insert(0, "scripts"); import release; print(release.epoch())')" '+%F %T')" ]
}

no_trace_of() { # TEXT
  ! grep -rlF -- "$1" "$scratch/files"
}

hardened() { # PROGRAM
  readelf -hdlW "$1" >"$scratch/elf"
  grep -q 'Type: *DYN' "$scratch/elf" && grep -q BIND_NOW "$scratch/elf" && grep -q GNU_RELRO "$scratch/elf" &&
    ! grep -E 'GNU_STACK.* RWE' "$scratch/elf"
}

checked_calls() { # PROGRAM: glibc's checks are called, in place of the plain functions
  nm -C "$1" 2>/dev/null | grep -q '__chk' || readelf --dyn-syms -W "$1" | grep -q '__.*_chk'
}

same_version() {
  [ "$(dpkg-deb -f "$dist"/anybind_*.deb Version)" = "$(scripts/release.py version)-0upstream1" ]
}

of_the_program() { # the SBOM is of the command in the package
  grep -qF "$(sha256sum "$scratch/files/usr/sbin/anybind" | cut -d ' ' -f 1)" "$dist"/anybind-*.spdx.json
}

for deb in "$dist"/*.deb; do
  dpkg-deb -x "$deb" "$scratch/files"
done
page=$scratch/files/usr/share/cockpit/anybind
names_no_registry() { # from which npm fetched: it is this machine's own
  registry=$(npm config get registry | sed 's|^[a-z]*://\([^/]*\).*|\1|')
  [ -n "$registry" ] && no_trace_of "$registry" && ! grep -rn '"resolved"' cockpit/package-lock.json tests/cockpit/package-lock.json
}
unreachable() { # nothing is built, and it is told why and what to do
  ! said=$(npm_config_registry=http://127.0.0.1:9 npm_config_cache=$scratch/npm npm_config_fetch_retries=0 scripts/page.sh "$scratch/page" 2>&1) &&
    echo "$said" | grep -q 'npm could not fetch' && echo "$said" | grep -q 'pkg.anybind.nocockpit' && [ ! -e "$scratch/page/dist" ]
}
licences_of_all() { # each module of the SBOM has its licence in the package
  sed -n 's/^   "name": "\(.*\)",/\1/p' "$dist"/cockpit-anybind-*.spdx.json | grep -v '^cockpit-anybind$' | while read -r module; do
    zcat "$scratch/files/usr/share/doc/cockpit-anybind/npm-licences.txt.gz" | grep -qF "$module " || { echo "$module"; exit 1; }
  done
}

check "lintian has nothing to say" lintian_is_silent
check "the version is the project's" same_version
check "the command is hardened" hardened "$scratch/files/usr/sbin/anybind"
check "and so is the daemon" hardened "$scratch/files/usr/sbin/anybindd"
check "glibc checks the command's calls" checked_calls build/package/obj/anybind
check "all files have the sources' time" one_time
check "no file names the folder of the build" no_trace_of "$PWD"
check "the checksums are right" sh -c "cd '$dist' && sha256sum --quiet -c SHA256SUMS"
check "the SBOM is of this command" of_the_program
for source in glibc gcc-12 fuse3 fmtlib cli11 tomlplusplus nlohmann-json3; do
  check "and names ${source%-12}" grep -q "\"name\": \"${source%-12}" "$dist"/anybind-*.spdx.json
done
check "Cockpit finds the page" test -s "$page/manifest.json" -a -s "$page/index.html"
check "the page is not with its maps or modules" sh -c "! find '$page' -name '*.map' -o -name node_modules | grep ."
check "no file names where npm fetched from" names_no_registry
for module in react react-dom @patternfly/react-core; do
  check "the page's SBOM names $module" grep -q "\"name\": \"$module\"" "$dist"/cockpit-anybind-*.spdx.json
done
check "and the licences of all are there" licences_of_all
check "without a registry the page is not built, and that is told" unreachable
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
