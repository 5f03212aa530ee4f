#!/bin/sh
# Counterexamples of `anybind race`, forced from outside at the very points: what the kernel does is what the explorer
# said. Each is a script's writes with the hot-plug between them.
# devices: -device e1000e,addr=3
# devices: -device pcie-root-port,id=rp1,addr=10,chassis=1,slot=1
# devices: -device pcie-root-port,id=rp2,addr=11,chassis=2,slot=2
# limit: 240
. /lib.sh
card=0000:00:03.0 slot=0000:01:00.0 other=0000:02:00.0
pci=/sys/bus/pci
vfio=$pci/drivers/vfio-pci

put() { # FILE TEXT
  poke "$1" "$2" >/dev/null
}

# The driver that a device of the explorer has at the end of a run.
predicted() { # TOKEN ADDRESS
  anybind race replay "$1" | grep -e "=>" -e "at first" | grep -o "$2 [a-z0-9-]*" | tail -n 1 | cut -d ' ' -f 2
}

newcomer_on() { # DRIVER: a card of the type of $card is plugged in
  hot_add e1000e nic rp1 && wait_on $slot && eventually 10 is_bound $slot "$1"
}
newcomer_goes() {
  hot_del nic && wait_off $slot && wait_gone nic
}
as_it_was() { # $card is on the host driver again
  put $pci/devices/$card/driver/unbind $card
  put $pci/drivers_probe $card
  wait_bound $card e1000e
}

load vfio-pci
load e1000e
wait_bound $card e1000e

# ---- new_id, vfio-pci registered first
put $vfio/new_id "8086 10d3"
said=$(predicted new_id/same-id/0:a6b11a17 06:00.0)
check_eq "a card of that type between new_id and remove_id: predicted" vfio-pci "$said"
check "and so it is: vfio-pci, registered first, has it" newcomer_on "$said"
put $pci/devices/$card/driver/unbind $card
put $vfio/bind $card
put $vfio/remove_id "8086 10d3"
check_eq "it stays there after remove_id" "$said" "$(driver_of $slot)"
check "it goes" newcomer_goes
check "the card goes back" as_it_was

# ---- the autoprobe window
put $pci/drivers_autoprobe 0
put $pci/devices/$card/driver/unbind $card
put $vfio/new_id "8086 10d3"
said=$(predicted new_id-window/same-id/0:a21b11a5 06:00.0)
check_eq "the same with autoprobe off: predicted" vfio-pci "$said"
check "and so it is: PCI probes a new card whatever the flag says" newcomer_on "$said"
put $vfio/remove_id "8086 10d3"
put $pci/drivers_autoprobe 1
check "it goes" newcomer_goes
check "the card goes back" as_it_was

# ---- killed before remove_id
sh -c "echo 8086 10d3 > $vfio/new_id; kill -9 \$\$" || true
said=$(predicted new_id/kill+same-id/0:a6b1c11 06:00.0)
check_eq "killed after new_id, and a card is plugged in: predicted" vfio-pci "$said"
check "and so it is: the id is still there" newcomer_on "$said"
put $vfio/remove_id "8086 10d3"
check "it goes" newcomer_goes

# ---- unbind and bind, overtaken by drivers_probe
put $pci/devices/$card/driver/unbind $card
put $pci/drivers_probe $card
put $pci/devices/$card/driver_override vfio-pci
check_ne "bind after somebody's drivers_probe fails" 0 "$(poke $vfio/bind $card >/dev/null; echo $?)"
said=$(predicted override-bind/probe/0:a8b8a4 03:00.0)
check_eq "the host driver has it: predicted" e1000e "$said"
check_eq "and so it is" "$said" "$(driver_of $card)"
put $pci/devices/$card/driver_override "
"

# ---- the card is replaced
check "a network card is plugged in" newcomer_on e1000e
put $pci/devices/$slot/driver_override vfio-pci
check "it is unplugged" newcomer_goes
said=$(predicted override-first/replace/0:a2b21a16 03:00.0)
check_eq "its override is lost with it: predicted" e1000e "$said"
check "and so it is: the card that comes in its place is the host driver's" newcomer_on "$said"
check_eq "without an override" "$slot driver=e1000e override=(null)" "$(state_of $slot)"
check "it is unplugged" newcomer_goes

load virtio_pci virtio_rng
check "another type comes to that address" hot_add virtio-rng-pci rng rp1
check "virtio-pci has it" wait_bound $slot virtio-pci
put $pci/devices/$slot/driver/unbind $slot
put $pci/devices/$slot/driver_override vfio-pci
put $pci/drivers_probe $slot
said=$(predicted override-late/replace/1:a1b21a17 03:00.0)
check_eq "a script that meant the first card takes this one: predicted" vfio-pci "$said"
check_eq "and so it is" "$said" "$(driver_of $slot)"

# ---- new_id, the host driver registered first
rmmod vfio_pci
load vfio-pci
put $vfio/new_id "8086 10d3"
said=$(predicted new_id/same-id/1:a6b11a17 06:00.0)
check_eq "a card between new_id and remove_id, e1000e registered first: predicted" e1000e "$said"
check "a card is plugged in" hot_add e1000e nic rp2
check "and so it is" wait_bound $other "$said"
put $vfio/remove_id "8086 10d3"
