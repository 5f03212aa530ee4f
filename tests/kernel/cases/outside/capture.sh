#!/bin/sh
# The machine that was captured in the guest, loaded here, is the machine that the guest listed; but for the names
# of devices, which the guest has no file of, and for where platform devices stand: in a lab below devices/platform.
# shellcheck disable=SC1090,SC2154
. "$LIB"
listed() { # JSON
  printf '%s' "$1" | sed 's/"name":"[^"]*",//g'
}
check "the guest listed its PCI devices" grep -q '"0000:01:02.0"' pci.json
check "and its platform devices" grep -q '"anybind-test.0"' platform.json
check_eq "the lab lists what the guest listed on PCI" "$(listed "$(cat pci.json)")" \
  "$(listed "$("$ANYBIND" --lab machine.toml --json list class:all)")"
somewhere() { # JSON
  printf '%s' "$1" | sed 's/"syspath":"[^"]*",//g'
}
check_eq "and on the platform bus" "$(somewhere "$(cat platform.json)")" \
  "$(somewhere "$("$ANYBIND" --lab machine.toml --json list 'platform/*')")"
