#!/bin/sh
# The main job on the modelled workstation: give a GPU and what shares its IOMMU group to vfio-pci, and take
# them back. usage: demo.sh PATH-OF-ANYBIND
set -eu
here=$(dirname "$0")
anybind=$(realpath "${1:-build/anybind}")
state=$(mktemp -d)
trap 'rm -rf "$state"' EXIT

if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m'); else bold="" plain=""; fi

# Shows a command as a user would type it, runs it on the lab, and insists on the exit code $1.
run() {
  want=$1; shift
  printf '\n%s$ anybind %s%s\n' "$bold" "$*" "$plain"
  got=0
  "$anybind" --lab "$here/workstation.toml" --state "$state" "$@" || got=$?
  if [ "$got" != "$want" ]; then
    echo "demo: expected exit code $want, got $got" >&2
    exit 1
  fi
  [ "$got" = 0 ] || printf '%s(exit code %s)%s\n' "$bold" "$got" "$plain"
}

say() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }

echo "A modelled machine (examples/workstation.toml), the same code as on a real one."
say "What is there?"
run 0 list
say "Can the second GPU go to a virtual machine by itself?"
run 0 explain 03:00.0 vfio-pci
run 3 bind 03:00.0 vfio-pci
say "Then with its whole group. First on paper:"
run 0 bind --group --dry-run 03:00.0 vfio-pci
say "And now for real:"
run 0 bind --group 03:00.0 vfio-pci
run 0 list group:13
say "Back to what it was:"
run 0 restore group:13
run 0 list group:13
