#!/bin/sh
# vfio-pci lets an idle function sleep in D3hot. It is woken before its unbind, and may sleep again when it stays there.
# kernels: ends
# devices: -device pcie-root-port,id=rp,slot=1 -device nvme-subsys,id=twins
# devices: -device nvme,bus=rp,subsys=twins,serial=pf,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4
. /lib.sh
load nvme vfio-pci anybind_test
pf=$(basename "$(dirname "$(ls /sys/bus/pci/devices/*/sriov_totalvfs)")")
wait_bound "$pf" nvme
anybind vfs "$pf" 4 --driver vfio-pci >/dev/null
nth() { basename "$(readlink "/sys/bus/pci/devices/$pf/virtfn$1")"; }
a=$(nth 0) b=$(nth 1) c=$(nth 2)
control_of() { cat "$(dir_of "$1")/power/control"; }
is_asleep() { grep -q D3hot "$(dir_of "$1")/power_state"; }
all_asleep() { for one in "$a" "$b" "$c"; do is_asleep "$one" || return 1; done; }
unchanged() { # WHAT
  for one in "$a" "$b" "$c"; do
    check_eq "$1: $one is on vfio-pci" vfio-pci "$(driver_of "$one")"
    check_eq "$1: and may sleep" auto "$(control_of "$one")"
  done
}

check "the functions fall asleep" eventually 30 all_asleep
check_eq "as vfio-pci allows it" auto "$(control_of "$a")"
check_rc "a dry run" 0 anybind unbind --dry-run "$a"
check_says "wakes it first" "echo on > /sys/bus/pci/devices/$a/power/control"
check "and leaves it asleep" is_asleep "$a"

poke "/sys/bus/pci/drivers/vfio-pci/unbind" "$c" >/dev/null
plain=$(control_of "$c")
poke "/sys/bus/pci/drivers/vfio-pci/bind" "$c" >/dev/null
eventually 30 all_asleep
check_rc "unbinding" 0 anybind -v unbind "$a" "$b"
check_says "wakes them" "echo on > /sys/bus/pci/devices/$b/power/control"
check_eq "it has no driver" none "$(driver_of "$a")"
check_eq "and is left as a plain unbind leaves it" "$plain" "$(control_of "$a")"
check_rc "undo" 0 anybind undo
eventually 30 all_asleep
unchanged "after the undo"

test_parameter probe_result "0,-5,0" >/dev/null
check_rc "the first of them does not get its driver: exit 1" 1 anybind bind "$a" "$b" "$c" td1
unchanged "after the failure"
