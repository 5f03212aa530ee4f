#!/bin/sh
# A card is unplugged and one of another kind plugged in at the same address between two commands: what anybind
# remembers of the first must not be done to the second.
# kernels: ends
# devices: -device pcie-root-port,id=rp1,addr=10,chassis=1,slot=1
. /lib.sh
slot=0000:01:00.0

swap() { # OLD-ID NEW-DRIVER NEW-ID: another card in the slot
  hot_del "$1" && wait_off $slot && wait_gone "$1" && hot_add "$2" "$3" rp1 && wait_on $slot
}

load e1000e virtio_pci virtio_rng vfio-pci
check "a network card is plugged in" hot_add e1000e nic rp1
check "e1000e has it" wait_bound $slot e1000e
check_rc "bind gives it to vfio-pci" 0 anybind bind $slot vfio-pci
check_eq "and it is there" "$slot driver=vfio-pci override=vfio-pci" "$(state_of $slot)"
first=$(instance_of $slot)

check "it is replaced by a virtio card" swap nic virtio-rng-pci rng
check "virtio-pci has that" wait_bound $slot virtio-pci
check_ne "it is another instance" "$first" "$(instance_of $slot)"
before=$(state_of $slot)
events=$(uevents)
check_rc "restore has nothing to give back to it" 0 anybind restore $slot
check_eq "and leaves it as it is" "$before" "$(state_of $slot)"
check_eq "the kernel saw no change" "$events" "$(uevents)"

check_rc "bind gives the newcomer to vfio-pci" 0 anybind bind $slot vfio-pci
check_eq "and it is there" "$slot driver=vfio-pci override=vfio-pci" "$(state_of $slot)"
check_rc "restore knows what the newcomer had" 0 anybind restore $slot
check_eq "and gives it back" "$before" "$(state_of $slot)"

check_rc "bind once more" 0 anybind bind $slot vfio-pci
check "the slot is emptied" hot_del rng
check "the card goes" wait_off $slot
check "for good" wait_gone rng
check_rc "restore of an empty slot is exit 6" 6 anybind restore $slot
check_says "it names the address" $slot
check "a network card is plugged in again" hot_add e1000e again rp1
check "e1000e has it" wait_bound $slot e1000e
check_rc "restore leaves this one alone too" 0 anybind restore $slot
check_eq "with its own driver" "$slot driver=e1000e override=(null)" "$(state_of $slot)"
