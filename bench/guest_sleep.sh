#!/bin/sh
# Virtual functions, the way people make them: guest_sleep.sh WAY PF COUNT DRIVER FUNCTION...
#   none     takes the functions from their drivers and removes them
#   plain    creates them, which lets the host's drivers probe them, then gives each to DRIVER
#   quiet    the same with sriov_drivers_autoprobe off
#   awake    gives those that are there to DRIVER, vfio-pci, told to let none sleep while nobody uses it
way=$1 pf=/sys/bus/pci/devices/$2 count=$3 driver=$4
shift 4
if [ "$way" = none ]; then
  [ ! -e "$pf/virtfn0" ] || /payload/floor_bind none "$@"
  echo 0 >"$pf/sriov_numvfs"
  echo 1 >"$pf/sriov_drivers_autoprobe"
elif [ "$way" = awake ]; then
  /payload/floor_bind none "$@"
  if ! grep -q Y /sys/module/vfio_pci/parameters/disable_idle_d3; then  # it counts when the module is loaded
    rmmod vfio-pci
    modprobe vfio-pci disable_idle_d3=1
  fi
  /payload/floor_bind bind "$driver" "$@"
else
  [ "$way" = plain ] || echo 0 >"$pf/sriov_drivers_autoprobe"
  echo "$count" >"$pf/sriov_numvfs"
  echo 1 >"$pf/sriov_drivers_autoprobe"
  /payload/floor_bind bind "$driver" "$@"
fi
