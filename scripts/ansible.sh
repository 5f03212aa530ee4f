#!/bin/sh
# Builds the collection anybind.anybind for Ansible, with a static anybind for hosts that have none of their own.
# usage: ansible.sh DIR PROGRAM...
# Leaves DIR/anybind-anybind-VERSION.tar.gz. Each PROGRAM is an anybind, for the architecture that its ELF header names.
set -eu
[ $# -ge 2 ] || { echo "usage: ansible.sh DIR PROGRAM..." >&2; exit 2; }
command -v ansible-galaxy >/dev/null || { echo "ansible-galaxy is missing; install ansible-core" >&2; exit 1; }
root=$(cd "$(dirname "$0")/.." && pwd)
mkdir -p "$1"
dir=$(cd "$1" && pwd)
shift
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
cp -R "$root/contrib/ansible/." "$work"
find "$work" -name __pycache__ -prune -exec rm -rf {} +
version=$(sed -n 's/^project(anybind VERSION \([0-9.]*\).*/\1/p' "$root/CMakeLists.txt")
sed "/^#/d; s/@VERSION@/$version/" "$work/galaxy.yml.in" >"$work/galaxy.yml"
for program; do
  # e_machine, of which the low byte tells them apart
  case "$(od -An -tu1 -j18 -N1 "$program" | tr -d ' ')" in
    62) architecture=x86_64 ;;
    183) architecture=aarch64 ;;
    *) echo "$program: no program for x86_64 or aarch64" >&2; exit 1 ;;
  esac
  cp "$program" "$work/plugins/modules/program_$architecture"
  chmod 755 "$work/plugins/modules/program_$architecture"
done
cp "$root/LICENSE" "$work"
ansible-galaxy collection build --force --output-path "$dir" "$work"
