#!/bin/sh
# Binding what is bound already, and a dry run, disturb nothing: the kernel sends no uevent at all.
# kernels: ends
# devices: -device e1000e,addr=3 -device e1000e,addr=4 -device edu,addr=6
. /lib.sh
nic=0000:00:03.0 twin=0000:00:04.0 edu=0000:00:06.0

load e1000e vfio-pci anybind_test
wait_bound $nic e1000e
wait_bound $twin e1000e

control() { cat "/sys/bus/pci/devices/$1/power/control"; }
runtime() { cat "/sys/bus/pci/devices/$1/power/runtime_status"; }

undisturbed() { # WHAT EXIT-CODE COMMAND...
  what=$1 code=$2
  shift 2
  before=$(state_of $nic $twin $edu)
  events=$(uevents)
  power="$(control $nic) $(runtime $nic) $(control $twin) $(runtime $twin)"
  check_rc "$what: exit $code" "$code" "$@"
  check_eq "$what: no uevent" "$events" "$(uevents)"
  check_eq "$what: no change" "$before" "$(state_of $nic $twin $edu)"
  check_eq "$what: power as before" "$power" "$(control $nic) $(runtime $nic) $(control $twin) $(runtime $twin)"
}

undisturbed "bound by default" 0 anybind bind $nic e1000e
undisturbed "bound by default, another driver" 0 anybind bind $edu td0
check_eq "its driver was not asked again" 1,0,0,0 "$(test_parameter probe_count)"
check_rc "bind to vfio-pci" 0 anybind bind $nic vfio-pci
undisturbed "bound by anybind" 0 anybind bind $nic vfio-pci
echo auto > /sys/bus/pci/devices/$nic/power/control
undisturbed "bound by anybind, and may sleep" 0 anybind bind $nic vfio-pci
undisturbed "a dry run of bind" 0 anybind bind --dry-run $twin vfio-pci
check_says "it shows what would be written" driver_override
undisturbed "a dry run of restore" 0 anybind restore --dry-run $nic
undisturbed "a dry run of unbind" 0 anybind unbind --dry-run $twin
undisturbed "list" 0 anybind list
undisturbed "a wrong option" 2 anybind bind --no-such-option $nic vfio-pci

interface=$(ls /sys/bus/pci/devices/$twin/net)
index=$(cat "/sys/class/net/$interface/ifindex")
check_rc "of two cards, one is there already" 0 anybind bind $nic $twin vfio-pci
check_eq "the other goes" "$twin driver=vfio-pci override=vfio-pci" "$(state_of $twin)"
check_rc "it returns" 0 anybind restore $twin
check_ne "as a new interface, which shows that such a test can fail" "$index" "$(cat "/sys/class/net/$interface/ifindex")"
check_rc "the first one returns" 0 anybind restore $nic
