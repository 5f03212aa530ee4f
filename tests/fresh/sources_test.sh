#!/bin/sh
# scripts/debian_sources.sh on machines that write their sources in different ways. Fetches nothing.
set -eu
cd "$(dirname "$0")/../.."
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
here=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)
own=/usr/share/keyrings/debian-archive-keyring.gpg
passed=0 failed=0

# check NAME: a machine whose sources.list is $list and whose sources.list.d/debian.sources is $parts prints $wanted.
check() {
  rm -rf "$scratch/apt"
  mkdir -p "$scratch/apt/sources.list.d" "$scratch/lists/partial"
  printf '%s' "$list" >"$scratch/apt/sources.list"
  [ -z "$parts" ] || printf '%s' "$parts" >"$scratch/apt/sources.list.d/debian.sources"
  cat >"$scratch/apt.conf" <<END
Dir::Etc::SourceList "$scratch/apt/sources.list";
Dir::Etc::SourceParts "$scratch/apt/sources.list.d";
Dir::State::Lists "$scratch/lists";
END
  found=$(APT_CONFIG=$scratch/apt.conf scripts/debian_sources.sh trixie 2>&1) || true
  if [ "$found" = "$wanted" ]; then
    passed=$((passed + 1))
    echo "ok - $1"
  else
    failed=$((failed + 1))
    printf 'not ok - %s\n%s\n' "$1" "$found"
  fi
}

# three KEYRINGS MIRROR SECURITY: the lines.
three() {
  printf 'deb [signed-by=%s] %s trixie main\ndeb [signed-by=%s] %s trixie-updates main\n' "$1" "$2" "$1" "$2"
  printf 'deb [signed-by=%s] %s trixie-security main\n' "$1" "$3"
}

parts="" list="deb http://one.invalid/debian $here main
"
wanted=$(three "$own" http://one.invalid/debian http://one.invalid/debian-security)
check "one line, as debootstrap leaves it"

list="# deb http://not.invalid/debian $here main
deb [arch=amd64 signed-by=/etc/hosts] https://one.invalid/debian/ $here main contrib
deb https://two.invalid/secure $here-security main
"
wanted=$(three "/etc/hosts,$own" https://one.invalid/debian https://two.invalid/secure)
check "one line each, with a keyring and another host for security"

list="" parts="Types: deb deb-src
URIs: http://one.invalid/debian
Suites: $here $here-updates
Components: main contrib
Signed-By: $own

Types: deb
URIs: http://two.invalid/debian-security
Suites: $here-security
Components: main
Signed-By: $own
"
wanted=$(three "$own" http://one.invalid/debian http://two.invalid/debian-security)
check "deb822"

echo http://one.invalid/debian >"$scratch/archive.list"
echo http://two.invalid/debian-security >"$scratch/security.list"
parts="Types: deb
URIs: mirror+file://$scratch/archive.list
Suites: $here
Components: main

Types: deb
URIs: mirror+file://$scratch/security.list
Suites: $here-security
Components: main
"
wanted=$(three "$own" http://one.invalid/debian http://two.invalid/debian-security)
check "lists of mirrors, as images for clouds have them"

parts="" list="deb http://other.invalid/packages stable-of-others main
deb http://one.invalid/debian $here contrib
deb http://one.invalid/debian stable main
"
wanted=$(three "$own" http://one.invalid/debian http://one.invalid/debian-security)
check "by the name stable, beside other people's packages"

list="deb http://other.invalid/packages nodistro main
"
wanted="apt has no source for Debian $here on this machine"
check "without a source for Debian"

echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
