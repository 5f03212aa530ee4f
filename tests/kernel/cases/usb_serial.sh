#!/bin/sh
# A USB serial chip: its driver on the usb bus is of the module usbserial, not of the one that has its name, and the kernel
# shows no id for it. That is no reason to say "no": what cannot be known is tried.
# kernels: ends
# devices: -device qemu-xhci,id=xhci,addr=0xa -chardev null,id=line -device usb-serial,bus=xhci.0,chardev=line,always-plugged=on
. /lib.sh

load xhci-pci ftdi_sio
check "the chip is found" eventually 20 test -e /sys/bus/usb-serial/devices/ttyUSB0
chip=$(basename "$(ls -d /sys/bus/usb/drivers/ftdi_sio/*:1.0)")
driver_is() { # DRIVER
  [ "$(link_name /sys/bus/usb/devices/"$chip"/driver)" = "$1" ]
}

check_eq "the kernel says that another module has the driver" usbserial "$(link_name /sys/bus/usb/drivers/ftdi_sio/module)"
check_rc "its port with its interface: exit 3" 3 anybind unbind usb-serial/ttyUSB0 "usb/$chip"
check_says "it says why" "usb-serial/ttyUSB0: it goes away when usb/$chip leaves ftdi_sio"
check_rc "the interface alone goes" 0 anybind unbind "usb/$chip"
check "its port went with it" test ! -e /sys/bus/usb-serial/devices/ttyUSB0
check_rc "explain: exit 0" 0 anybind explain "usb/$chip" ftdi_sio
check_eq "it does not call a loaded driver not loaded" "" "$(anybind explain "usb/$chip" ftdi_sio | grep -i 'not loaded')"
check_rc "it goes to its own driver by name" 0 anybind bind "usb/$chip" ftdi_sio
check "the kernel says so" driver_is ftdi_sio
check "and its port is there again" test -e /sys/bus/usb-serial/devices/ttyUSB0
