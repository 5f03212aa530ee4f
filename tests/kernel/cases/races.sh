#!/bin/sh
# Counterexamples of `anybind race`, forced from outside at the very points: what the kernel does is what the explorer
# said. Each is a script's writes with the hot-plug between them.
# kernels: ends
# devices: -device e1000e,addr=3
# devices: -device pcie-root-port,id=rp1,addr=10,chassis=1,slot=1
# devices: -device pcie-root-port,id=rp2,addr=11,chassis=2,slot=2
# devices: -device qemu-xhci,id=xhci,addr=9
# devices: -device pcie-pci-bridge,id=br,addr=8 -device e1000,bus=br,addr=1 -device e1000,bus=br,addr=2
# limit: 240
. /lib.sh
card=0000:00:03.0 slot=0000:02:00.0 other=0000:03:00.0
holder=0000:01:01.0 mate=0000:01:02.0
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
newcomer_waits() {
  hot_add e1000e nic rp1 && wait_on $slot && sleep 1 && [ "$(driver_of $slot)" = none ]
}
case "$(uname -r)" in
  6.1.* | 6.12.*)
    said=$(predicted new_id-window/same-id/0:a21b11a5 06:00.0)
    check_eq "the same with autoprobe off: predicted" vfio-pci "$said"
    check "and so it is: PCI probes a new card whatever the flag says" newcomer_on "$said"
    put $vfio/remove_id "8086 10d3"
    put $pci/drivers_autoprobe 1
    ;;
  *) # since 6.19
    check_eq "the same with autoprobe off: predicted" - "$(predicted new_id-window/same-id/0@7.3:a21b4 06:00.0)"
    check "the window holds: the new card waits" newcomer_waits
    put $vfio/remove_id "8086 10d3"
    put $pci/drivers_autoprobe 1
    check_eq "switching the flag on catches nothing up" none "$(driver_of $slot)"
    put $pci/drivers_probe $slot
    check_eq "offered to the bus it is the host driver's" e1000e "$(driver_of $slot)"
    ;;
esac
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

# ---- vfio-pci by id against a host driver that probes asynchronously and registered first
check "the card of another type goes" hot_del rng
check "its slot is free" wait_gone rng
rmmod vfio_pci
load nvme
load vfio-pci
put $vfio/new_id "1b36 10"
case "$(uname -r)" in
  6.1.* | 6.12.*) want=nvme ;;
  *) # since 6.17 synchronous drivers are asked first; the explorer's e1000e as an asynchronous one
    want="vfio-pci"
    check_eq "an asynchronous host driver loses: predicted" $want "$(predicted new_id/same-id/3@7.3:a6b11 06:00.0)"
    ;;
esac
disk_on() {
  hot_add nvme disk rp1 serial=x && wait_on $slot && eventually 10 is_bound $slot "$want"
}
check "an nvme disk goes to $want" disk_on
put $vfio/remove_id "1b36 10"

# ---- a listener that is late: its override comes when the host driver has the disk
put $pci/devices/$slot/driver/unbind $slot
put $pci/devices/$slot/driver_override "
"
put $pci/drivers_probe $slot
check "the host driver has it" eventually 10 is_bound $slot nvme
put $pci/devices/$slot/driver_override vfio-pci
check_eq "an override that comes after the probe changes nothing" "$slot driver=nvme override=vfio-pci" "$(state_of $slot)"
check_rc "anybind takes it to where the override says" 0 anybind bind $slot vfio-pci
check_eq "and there it is" "$slot driver=vfio-pci override=vfio-pci" "$(state_of $slot)"

# ---- a usb device in the autoprobe window: the same lines on the kernel and on the model
cat >/tmp/window.sh <<'END'
say() { # WHAT
  for device in 1-1 1-1:1.0; do
    if [ -e $bus/devices/$device/driver ]; then
      echo "$1: $device $(basename "$(readlink $bus/devices/$device/driver)")"
    elif [ -e $bus/devices/$device ]; then
      echo "$1: $device driverless"
    else
      echo "$1: no $device"
    fi
  done
}
bus=/sys/bus/usb
echo 0 >$bus/drivers_autoprobe
plug
for _ in 1 2 3 4 5 6 7 8 9 10; do
  [ -e $bus/devices/1-1 ] || sleep 1
done
say "plugged in with autoprobe off"
echo 1 >$bus/drivers_autoprobe
say "autoprobe on again"
echo 1-1 >$bus/drivers_probe
say "drivers_probe"
END
cat >/tmp/usb.toml <<'END'
driver = [
  { name = "usb", bus = "usb", built_in = true, aliases = ["usb_device"] },
  { name = "hub", bus = "usb", built_in = true, aliases = ["usb:v*p*d*dc*dsc*dp*ic09isc*ip*in*"] },
  { name = "usbhid", bus = "usb", aliases = ["usb:v*p*d*dc*dsc*dp*ic03isc*ip*in*"] },
]
device = [
  { bus = "usb", name = "usb1" },
  { bus = "usb", name = "1-0:1.0", parent = "usb1", modalias = "usb:v1D6Bp0002d0612dc09dsc00dp01ic09isc00ip00in00" },
  { bus = "usb", name = "1-1", parent = "usb1", present = false },
  { bus = "usb", name = "1-1:1.0", parent = "1-1", present = false, modalias = "usb:v0627p0001d0000dc00dsc00dp00ic03isc00ip00in00" },
]
END
load xhci-pci usbhid fuse
check "there is a USB bus" eventually 10 test -e /sys/bus/usb/devices/usb1/driver
plug() { hot_add usb-tablet tablet xhci.0; }
# shellcheck disable=SC1091  # written above
. /tmp/window.sh >/tmp/window.kernel
plugged='plug() { anybind lab add usb/1-1 >/dev/null; }; . /tmp/window.sh'
check_rc "the model runs the same lines" 0 sh -c 'anybind lab exec /tmp/usb.toml -- sh -c "$1" >/tmp/window.model' sh "$plugged"
check_eq "in the window a usb device has no interfaces, and the model said so" "$(cat /tmp/window.model)" "$(cat /tmp/window.kernel)"
check_eq "plugged in: it is driverless, and has none" "plugged in with autoprobe off: 1-1 driverless,plugged in with autoprobe off: no 1-1:1.0" \
  "$(head -n 2 /tmp/window.kernel | tr '\n' ',' | sed 's/,$//')"
check_eq "switching the flag on changes nothing" "autoprobe on again: 1-1 driverless" "$(sed -n 3p /tmp/window.kernel)"
check_eq "only a probe of the device does" "drivers_probe: 1-1:1.0 usbhid" "$(tail -n 1 /tmp/window.kernel)"

# ---- a card comes into a group that user space holds
load e1000 vfio_iommu_type1
wait_bound $mate e1000
group=$(group_of $holder)
check_eq "two cards share a group" "$group" "$(group_of $mate)"
put $pci/devices/$mate/remove 1
check "one is taken out" wait_off $mate
check_rc "the other goes to vfio-pci" 0 anybind bind $holder vfio-pci
# Linux 6.1 crashes when a group that has lost a member is freed (docs/groups.md): there its user stays until the guest goes.
old=""
[ "$(uname -r | cut -d . -f 1,2)" != 6.1 ] || old=yes
viable "$group" $holder ${old:+60}5 >/tmp/holder &
user=$!
eventually 30 test -s /tmp/holder || true
check_eq "user space holds the group" open "$(cat /tmp/holder)"
put $pci/rescan 1
check "the card comes back meanwhile" wait_on $mate
said=$(predicted override-first/held-group/0:a2b6 08:00.1)
check_eq "no driver gets it: predicted" - "$said"
check_eq "and so it is" "$mate driver=none override=(null)" "$(state_of $mate)"
check_rc "nor on demand" 1 anybind bind $mate e1000
[ -z "$old" ] || exit 0
wait $user
check_eq "freeing the group probes nothing" none "$(driver_of $mate)"
put $pci/devices/$holder/driver/unbind $holder
put $pci/drivers_probe $mate
check_eq "then it can be had" e1000 "$(driver_of $mate)"
