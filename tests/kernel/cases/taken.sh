#!/bin/sh
# What goes away with another device's driver is no member of a plan: refused before anything is written, when it was asked
# for by name. And the kernel does take it away.
# kernels: ends
# devices: -device qemu-xhci,id=xhci,addr=0xa -device usb-kbd,bus=xhci.0 -device virtio-net-pci,addr=0xb
# devices: -device ide-hd,bus=ide.0,drive=sata
# disk: sata
. /lib.sh
xhci=0000:00:0a.0 card=0000:00:0b.0 disks=0000:00:1f.2

load xhci-pci usbhid virtio_pci virtio_net ahci sd_mod vfio-pci
wait_bound $xhci xhci_hcd
wait_bound $card virtio-pci
wait_bound $disks ahci
child_of() { # PCI-ADDRESS BUS: the first device of that bus below it
  for each in /sys/bus/"$2"/devices/*; do
    case $(readlink -f "$each") in */"$1"/*) basename "$each"; return ;; esac
  done
}
eventually 10 test -n "$(child_of $disks scsi)"
eventually 10 test -n "$(child_of $xhci usb)"

refused() { # WHAT DEVICE PARENT DRIVER
  before=$(state_of "$2" "$3")
  events=$(uevents)
  check_rc "$1 with its maker: exit 3" 3 anybind unbind --ignore holder,input,mounted "$2" "$3"
  check_says "$1: it says why" "goes away when $3 leaves $4"
  check_rc "$1, the other way round: exit 3" 3 anybind unbind --ignore holder,input,mounted "$3" "$2"
  check_eq "$1: no uevent" "$events" "$(uevents)"
  check_eq "$1: no change" "$before" "$(state_of "$2" "$3")"
}
stick=$(child_of $xhci usb) virtio=$(child_of $card virtio) disk=$(child_of $disks scsi)
refused "a usb device" "usb/$stick" $xhci xhci_hcd
refused "a virtio device" "virtio/$virtio" $card virtio-pci
refused "a disk" "scsi/$disk" $disks ahci

check_rc "the card alone goes" 0 anybind unbind --ignore interface-up $card
check_eq "and its virtio device with it" "" "$(child_of $card virtio)"
check_rc "it returns" 0 anybind restore $card
check_ne "with its virtio device" "" "$(child_of $card virtio)"
check_rc "the controller alone goes" 0 anybind unbind --ignore holder,mounted $disks
check_eq "and its disks with it" "" "$(child_of $disks scsi)"
check_rc "it returns" 0 anybind restore $disks
check "its disks come again" eventually 10 test -e /sys/block/sda
