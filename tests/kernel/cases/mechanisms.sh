#!/bin/sh
# What there is beside driver_override: a dynamic id that is taken back (usb, pci), drivers_autoprobe off meanwhile, serio's
# drvctl; and a death in the middle, after which recover takes id and flag back.
# devices: -device edu,addr=3 -device edu,addr=6 -device qemu-xhci,addr=4,id=hub
# devices: -device usb-tablet,bus=hub.0 -device usb-mouse,bus=hub.0
. /lib.sh
card=0000:00:03.0 twin=0000:00:06.0 vfio=/sys/bus/pci/drivers/vfio-pci
flag=/sys/bus/pci/drivers_autoprobe

interface() { # PROTOCOL: 00 the tablet, 02 the mouse
  basename "$(dirname "$(grep -l "^$1$" /sys/bus/usb/drivers/usbhid/*:1.0/bInterfaceProtocol)")"
}

load anybind_test vfio-pci xhci-pci usbhid ldusb
wait_bound $card td0
# shellcheck disable=SC2016  # for each try
check "the tablet and the mouse come" eventually 20 sh -c 'test "$(ls -d /sys/bus/usb/drivers/usbhid/*:1.0 | wc -l)" = 2'
tablet=usb/$(interface 00) mouse=usb/$(interface 02)
ids=$(cat /sys/bus/usb/drivers/ldusb/new_id)

check_rc "a USB interface goes to a driver that has no id for it" 0 anybind bind "$tablet" ldusb
check_says "by a dynamic id" "no driver_override there: by new_id"
check_eq "it is there, and the mouse of the same id is not" "ldusb usbhid" "$(driver_of "$tablet") $(driver_of "$mouse")"
check_eq "the driver has no id more than before" "$ids" "$(cat /sys/bus/usb/drivers/ldusb/new_id)"
check_rc "restore gives it back without one" 0 anybind restore "$tablet"
check_eq "it is on usbhid" usbhid "$(driver_of "$tablet")"
check "where the mouse has no driver" anybind unbind "$mouse"
check_rc "bind refuses to take it along" 3 anybind bind "$tablet" ldusb
check_says "by its name" "${mouse#usb/}"
check_rc "unless that is wanted" 0 anybind bind --ignore same-id "$tablet" ldusb
check_eq "and then it goes along" "ldusb ldusb" "$(driver_of "$tablet") $(driver_of "$mouse")"
check "both go back" anybind restore "$tablet" "$mouse"
check_eq "to usbhid" "usbhid usbhid" "$(driver_of "$tablet") $(driver_of "$mouse")"

load serio_raw
check_rc "a serio port goes to a driver that is never probed unasked" 0 anybind bind --ignore input serio/serio0 serio_raw
check_eq "by drvctl" serio_raw "$(driver_of serio/serio0)"
check_rc "a driver that does not accept the port" 1 anybind bind serio/serio0 psmouse
check_says "is told" "psmouse does not accept this device"
check_eq "and the port is where it was" serio_raw "$(driver_of serio/serio0)"
check_rc "restore" 0 anybind restore serio/serio0
check_eq "gives it back" atkbd "$(driver_of serio/serio0)"

before=$(state_of $card $twin)
for mechanism in new_id new_id-window; do
  check_rc "$mechanism: a PCI card goes to a driver that has no id for it" 0 anybind bind --mechanism $mechanism $card vfio-pci
  check_says "with a warning" "warning: $mechanism: every other card"
  check_eq "without an override; its twin stays" "$card driver=vfio-pci override=(null)
$twin driver=td0 override=(null)" "$(state_of $card $twin)"
  check_rc "no id is left" 1 poke $vfio/remove_id "1234 11e8"
  check_eq "and the flag is on" 1 "$(cat $flag)"
  check_rc "restore" 0 anybind restore $card
  check_eq "all is as it was" "$before" "$(state_of $card $twin)"

  test_parameter remove_delay 1500,0,0 >/dev/null
  anybind bind --mechanism $mechanism $card vfio-pci >/dev/null 2>&1 &
  check "a kill in the middle of the unbind" eventually 30 is_bound $card none
  kill -9 $!
  wait $! 2>/dev/null || true
  test_parameter remove_delay 0,0,0 >/dev/null
  [ $mechanism = new_id ] || check_eq "leaves the flag off" 0 "$(cat $flag)"
  check_eq "and the card without a driver" none "$(driver_of $card)"
  check_rc "recover" 0 anybind recover
  check_eq "all is as it was" "$before" "$(state_of $card $twin)"
  check_rc "no id is left" 1 poke $vfio/remove_id "1234 11e8"
  check_eq "and the flag is on" 1 "$(cat $flag)"
done
