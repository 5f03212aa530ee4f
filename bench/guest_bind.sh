#!/bin/sh
# What people write: guest_bind.sh bind|back DRIVER ADDRESS...
# With `driverctl` before it, the same through driverctl, which takes one device at a time; it ends with 1
# when no driver takes the device back, as here.
tool="echo"
[ "$1" != driverctl ] || { tool=driverctl; shift; }
what=$1 driver=$2
shift 2
[ "$what" = bind ] || driver=
for address; do
  if [ "$tool-$what" = driverctl-bind ]; then
    driverctl --nosave set-override "$address" "$driver"
  elif [ "$tool-$what" = driverctl-back ]; then
    driverctl --nosave unset-override "$address" || :
  else
    device=/sys/bus/pci/devices/$address
    echo "$driver" >"$device/driver_override"
    [ ! -e "$device/driver" ] || echo "$address" >"$device/driver/unbind"
    echo "$address" >/sys/bus/pci/drivers_probe
  fi
done
