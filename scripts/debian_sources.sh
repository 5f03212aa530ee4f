#!/bin/sh
# Prints lines of a sources.list for a release of Debian, by way of the mirrors and the keyring of this machine.
# usage: debian_sources.sh bookworm|trixie|trixie-backports
# The first line is the release itself, then come its updates and its security updates; backports are one line, and may not be on
# the mirror. Reads what apt reads, in either form.
set -eu
[ $# = 1 ] || { echo "usage: debian_sources.sh bookworm|trixie|trixie-backports" >&2; exit 2; }
here=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release)

# ORIGIN|ADDRESS|RELEASE of each source: first what apt has lists of, then, of unknown origin, what it would fetch.
# shellcheck disable=SC2016  # for apt
sources() {
  apt-get indextargets --format '$(ORIGIN)|$(REPO_URI)|$(RELEASE)' 'Created-By: Packages'
  apt-get update --print-uris | sed -n "s|^'\(.*\)/dists/\(.*\)/main/binary-.*'.*|?\|\1\|\2|p"
}

# The address of the first source for a release that fits the pattern $1; those that Debian makes come first.
address() {
  found=$(sources | grep -E "^(Debian|\?)\|[^|]+\|($1)\$" | head -n 1 | cut -d '|' -f 2)
  case "$found" in
    mirror+file:*) grep -Eom1 '^[a-z]+:[^[:space:]]+' "$(printf %s "${found#mirror+file:}" | sed 's|^//*|/|; s|/*$||')" ;;
    *) printf '%s\n' "$found" ;;
  esac | sed 's|/*$||'
}

# The keyrings, with commas between: what the file that names the address $1 says, in either form, and the archive's own,
# for the former may be that of one release only.
keyrings() {
  list="" parts=""
  eval "$(apt-config shell list Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
  named=$(find "$list" "$parts" -type f -exec grep -lZF "$1" {} + 2>/dev/null |
    xargs -0r sed -n -e 's/^[Ss]igned-[Bb]y: *\(\/[^ ]*\).*/\1/p' -e 's/^ *deb .*[[ ]signed-by=\(\/[^] ,]*\).*/\1/p')
  for file in $named /usr/share/keyrings/debian-archive-keyring.gpg; do
    [ ! -r "$file" ] || echo "$file"
  done | sort -u | paste -sd , -
}

mirror=$(address "$here|stable|oldstable|testing")
[ -n "$mirror" ] || { echo "apt has no source for Debian $here on this machine" >&2; exit 1; }
security=$(address "$here-security|[a-z]*stable-security|$here/updates")
signed=$(keyrings "$mirror")
[ -n "$signed" ] || { echo "there is no keyring of Debian's archive; install debian-archive-keyring" >&2; exit 1; }
echo "deb [signed-by=$signed] $mirror $1 main"
case "$1" in *-backports) exit 0 ;; esac
cat <<END
deb [signed-by=$signed] $mirror $1-updates main
deb [signed-by=$signed] ${security:-$mirror-security} $1-security main
END
