#!/bin/sh
# A device in use is not taken away: exit 3, the name of the guard and of the user, nothing changed; each guard can be ignored by
# name, and what was freed goes. Two cards, a disk with a file system, one with swap.
# devices: -device e1000e,addr=3 -device e1000e,addr=6 -device nvme,addr=4,serial=n4,drive=d0 -device nvme,addr=5,serial=n5,drive=d1
# disk: d0 ext4
# disk: d1
. /lib.sh
nic=0000:00:03.0 other=0000:00:06.0 disk=0000:00:04.0 blank=0000:00:05.0

load e1000e nvme vfio-pci
load_ext4
wait_bound $nic e1000e
wait_bound $other e1000e
wait_bound $disk nvme
wait_bound $blank nvme
node_of() { # DEVICE: the disk that it has
  basename "$(ls -d /sys/bus/pci/devices/"$1"/nvme/nvme*/nvme*n1)"
}
eventually 10 node_of $disk
eventually 10 node_of $blank
before=$(state_of $nic $other $disk $blank)
interface=$(ls /sys/bus/pci/devices/$nic/net)
mounted=/dev/$(node_of $disk) empty=/dev/$(node_of $blank)

refused() { # WHAT GUARD TEXT DEVICE...: all are named
  what=$1 guard=$2 text=$3
  shift 3
  check_rc "$what: exit 3" 3 anybind bind "$@" vfio-pci
  check_says "it names the guard" " $guard:"
  check_says "and who" "$text"
  check_says "and how to ignore it" "--ignore $guard"
}

check_rc "an interface that is down is free" 0 anybind bind --dry-run $nic vfio-pci
ip addr add 192.0.2.1/24 dev "$interface"
ip link set "$interface" up
refused "an interface that is up with an address" interface-up "$interface" $nic
check_rc "unbind is refused too" 3 anybind unbind $nic
ip route add default via 192.0.2.2 dev "$interface"
check_rc "one with the default route: exit 3" 3 anybind bind --ignore interface-up $nic vfio-pci
check_says "it names that guard" default-route
ip route del default

# What /proc/net/route does not show.
second=$(ls /sys/bus/pci/devices/$other/net)
ip link set "$second" up
check_rc "an interface that is up with nothing is free" 0 anybind bind --dry-run $other vfio-pci
ip addr add 198.51.100.1/32 dev "$second"
refused "an address without a route" interface-up "$second" $other
ip addr del 198.51.100.1/32 dev "$second"
ip route add default dev "$second" table 100
refused "a default route in another table" default-route "$second" $other
ip route del default dev "$second" table 100
hops "$interface" "$second"
refused "the first hop of a default route" default-route "$interface" $nic
refused "and the second" default-route "$second" $other
ip route del default
# While a driver that does not return has the lock of all interfaces, the kernel does not answer.
load anybind_test
poke /sys/module/anybind_test/parameters/hold_rtnl 8000 &
holder=$!
sleep 1
refused "an interface that is up meanwhile" interface-up "$interface is up, and whether it has addresses or routes cannot be seen: Connection timed out" $nic
check "before that lock is given back" kill -0 $holder
wait $holder || true
check_rc "without it the second is free again" 0 anybind bind --dry-run $other vfio-pci
ip link set "$second" down
ip route add default via 192.0.2.2 dev "$interface"

mkdir -p "/tmp/a b"
mount -t ext4 "$mounted" "/tmp/a b"
refused "a mounted disk" mounted "$(basename "$mounted") is mounted at /tmp/a b" $disk
check_says "how to free it" "umount '/tmp/a b'"
refused "of several devices each is named" interface-up "$interface" $disk $nic
check_says "the first" "$disk  mounted"
check_says "the second" "$nic  default-route"
umount "/tmp/a b"
unshare -m sh -c "mount -t ext4 $mounted '/tmp/a b' && sleep 60" &
away=$!
eventually 30 grep -q "a b\|a.040b" /proc/$away/mountinfo || true
refused "a disk mounted in another mount namespace" mounted "for process" $disk
kill $away
wait $away || true
check "when it is free it can go" eventually 30 anybind bind --dry-run $disk vfio-pci

mkswap "$empty" >/dev/null
swapon "$empty"
refused "swap" swap "$(basename "$empty") is used for swap" $blank
swapoff "$empty"

# By another name, in a mount namespace of its own: a command line with an escape sequence is shown, not sent.
sh -c "mknod /tmp/odd b $(cat /sys/class/block/"$(basename "$empty")"/dev | tr : ' '); exec 5</tmp/odd; rm /tmp/odd; sleep 60; :" "$(printf 'evil\033[31mname\n')" &
reader=$!
eventually 30 test -e /proc/$reader/fd/5 || true
sleep 1
refused "an open block device" open "process $reader of uid 0" $blank
check_says "the node by its name" "$empty open"
check_says "an escape sequence is shown" 'evil\x1b[31mname'
case $SAW in *"$(printf '\033')"*) not_ok "and not sent" "" ;; *) ok "and not sent" "" ;; esac
check_rc "ignored by name it goes" 0 anybind bind --ignore open --dry-run $blank vfio-pci
kill $reader
wait $reader || true

unshare -n -m sh -c "mount -t sysfs none /sys; sleep 60" &
away=$!
eventually 30 test -e "/proc/$away/root/sys/class/net/lo" || true
sleep 1
ip link set "$second" netns $away
refused "an interface in another network namespace" interface-away "$second is in another network namespace" $other
kill $away
wait $away || true

check_eq "after all the refusals all is as it was" "$before" "$(state_of $nic $other $disk $blank)"
check_eq "and the journal holds nothing" "" "$(find /run/anybind -name '*.open')"
check_rc "with both ignored by name it goes" 0 anybind bind --ignore interface-up --ignore default-route $nic vfio-pci
viable "$(group_of $nic)" >/dev/null 2>&1 || true
sh -c "exec 5<>/dev/vfio/$(group_of $nic); sleep 60" &
holder=$!
eventually 30 test -e /proc/$holder/fd/5 || true
check_rc "a VFIO group that is open: exit 3" 3 anybind restore $nic
check_says "it names the guard" vfio-user
check_says "and the process" "process $holder of uid 0"
kill $holder
wait $holder || true
check_rc "and returns" 0 anybind restore $nic
check_eq "as it was" "$before" "$(state_of $nic $other $disk $blank)"
up() { echo $(($(cat "/sys/class/net/$1/flags") & 1)); }
check_eq "its interface is up, as it was, and the other is not" 1,0 "$(up "$interface"),$(up "$second")"
