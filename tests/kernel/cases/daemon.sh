#!/bin/sh
# anybindd keeps what rules declare while cards come and go, others meddle, and it is killed at random; what no rule is about is
# the host's.
# devices: -device pcie-root-port,id=rp1,addr=10,chassis=1,slot=1 -device pcie-root-port,id=rp2,addr=11,chassis=2,slot=2
# devices: -device pcie-root-port,id=rp3,addr=12,chassis=3,slot=3 -device e1000e,addr=3 -device e1000e,addr=4
# payload: anybindd
# limit: 240
. /lib.sh
load e1000e virtio_pci virtio_rng vfio-pci vfio_iommu_type1
storm=${storm:-3000} kills=${kills:-30}
first=0000:00:03.0 twin=0000:00:04.0 slot=0000:01:00.0 free=0000:02:00.0 pair=0000:03:00
wait_bound "$first" e1000e
wait_bound "$twin" e1000e
mkdir -p /etc/anybind.d /run/metrics
cat >/etc/anybind.d/10-rules.toml <<'RULES'
[[rule]]
name = "first"
match = { device = "0000:00:03.0" }
driver = "vfio-pci"

[[rule]]
name = "slot"
match = { device = "0000:01:00.0", id = "8086:10d3" }
driver = "vfio-pci"
RULES

start() {
  /payload/anybindd --metrics /run/metrics >>/tmp/said 2>&1 &
  daemon=$!
}
count() { # METRIC: its value
  sed -n "s/^anybind_$1 //p" /run/metrics/metrics.prom
}
tell() { # what it said since the last time
  run cat /tmp/said
  : >/tmp/said
}

start
check "what is declared becomes so" wait_bound "$first" vfio-pci
check_eq "its twin is the host's" e1000e "$(driver_of "$twin")"
check "the boot list names the card" eventually 30 grep -q "$first" /etc/anybind.d/boot.list

# A card comes to the place of a rule; another kind of card; a card of the same type elsewhere.
check "a card is plugged in" hot_add e1000e nic rp1
check "it goes where the rule says" wait_bound $slot vfio-pci
check "another is plugged in elsewhere" hot_add e1000e other rp2
check "it is the host's" wait_bound $free e1000e
check "the first is unplugged" hot_del nic
wait_off $slot && wait_gone nic
check "a card of another kind comes" hot_add virtio-rng-pci rng rp1
check "it is the host's, and not the rule's" wait_bound $slot virtio-pci
sleep 1.5
check_eq "it stays so" virtio-pci "$(driver_of $slot)"
tell
check_says "which is told" "another card stands where the rule says"
hot_del rng && wait_off $slot && wait_gone rng
check "the card comes back" hot_add e1000e again rp1
check "to the rule's driver" wait_bound $slot vfio-pci
newcomers() { # the sum is NUMBER
  [ $(($(count newcomers_kept_total) + $(count races_lost_total))) = "$1" ]
}
check "each newcomer was kept in time, or its race was counted" eventually 30 newcomers 2

# Somebody else takes it.
take() {
  echo "$first" >"/sys/bus/pci/drivers/$(driver_of "$first")/unbind"
  echo >"/sys/bus/pci/devices/$first/driver_override"
  echo "$first" >/sys/bus/pci/drivers/e1000e/bind
}
take
check "what somebody has changed is put right" wait_bound "$first" vfio-pci
take
sleep 3
take 2>/dev/null
sleep 3
check_eq "but it does not fight" e1000e "$(driver_of "$first")"
tell
check_says "which it says" "somebody else has changed it back twice within a minute"
kill -HUP $daemon
check "until it is told to try again" wait_bound "$first" vfio-pci
sed -i 's/^name = "first"/name = "first of all"/' /etc/anybind.d/10-rules.toml
sleep 1
take
check "what has changed in the rules is read by itself" wait_bound "$first" vfio-pci
tell
check_says "by its new name" 'rule "first of all"'

# By anybind, that is what somebody wants.
check_rc "restore" 0 anybind restore "$first"
sleep 2.5
check_eq "it is left alone" e1000e "$(driver_of "$first")"
check_rc "apply" 0 anybind apply
check_eq "makes it so again" vfio-pci "$(driver_of "$first")"

# A card comes into an IOMMU group that user space holds: the kernel refuses its driver, and forgets it.
check "two functions" hot_add e1000e f1 rp3 addr=0.1 multifunction=on
check "of one slot come" hot_add e1000e f0 rp3 addr=0.0 multifunction=on
wait_bound $pair.0 e1000e && wait_bound $pair.1 e1000e
check_eq "they are of one group" "$(group_of $pair.0)" "$(group_of $pair.1)"
echo 1 >/sys/bus/pci/devices/$pair.1/remove
check_rc "one is given away" 0 anybind bind $pair.0 vfio-pci
viable "$(group_of $pair.0)" $pair.0 10 >/tmp/holder &
holder=$!
eventually 30 test -s /tmp/holder || true
check_eq "user space has it" open "$(cat /tmp/holder)"
echo 1 >/sys/bus/pci/rescan
check "the other one comes" wait_on $pair.1
sleep 2
check_eq "and is refused" none "$(driver_of $pair.1)"
wait $holder || true
check "when the group is free it gets its driver" wait_bound $pair.1 e1000e

# Broken rules.
echo broken >/etc/anybind.d/20-broken.toml
sleep 1
tell
check_says "broken rules are told" "20-broken.toml:1"
check_says "and the old ones stay" "the rules stay what they were"
take
check "and are kept" wait_bound "$first" vfio-pci
rm /etc/anybind.d/20-broken.toml

# A storm: it is a few looks. Half of it comes while the daemon cannot listen: then the kernel keeps what goes into the socket's buffer,
# and drops the rest (--set storm=100000 is more than that).
looks=$(count looks_total)
n=0
while [ $n -lt "$storm" ]; do
  [ $n != $((storm / 2)) ] || kill -STOP $daemon
  echo add >"/sys/bus/pci/devices/$twin/uevent"
  n=$((n + 1))
done
hot_del again && wait_off $slot && wait_gone again && hot_add e1000e third rp1
kill -CONT $daemon
check "after $storm events a card is seen as ever" wait_bound $slot vfio-pci
check "which were far fewer looks" test $(($(count looks_total) - looks)) -lt "$storm"
echo "looks: $(($(count looks_total) - looks)), times that events were dropped: $(count event_gaps_total), $(grep VmHWM "/proc/$daemon/status")"
[ "$storm" -lt 100000 ] || check "though events were dropped" test "$(count event_gaps_total)" -gt 0
check "in little memory" test "$(sed -n 's/^VmHWM:[[:space:]]*\([0-9]*\) kB/\1/p' "/proc/$daemon/status")" -lt 40000
kill -TERM $daemon
wait $daemon && status=0 || status=$?
check_eq "it ends when it is told to" 0 $status

# Killed at random moments while somebody meddles, it has everything right in the end, and leaves nothing half done.
rounds=0
while [ $rounds -lt "$kills" ]; do
  start
  usleep $((rounds * 7919 % 200000))
  [ $((rounds % 3)) != 0 ] || take 2>/dev/null || true
  usleep $((rounds * 104729 % 150000))
  kill -9 $daemon 2>/dev/null
  wait $daemon 2>/dev/null || true
  rounds=$((rounds + 1))
done
start
check "after $kills kills the first is as declared" wait_bound "$first" vfio-pci
check "and the card in the slot" wait_bound $slot vfio-pci
check_eq "the others are the host's" "e1000e e1000e" "$(driver_of "$twin") $(driver_of $free)"
check "nothing is left open" eventually 30 sh -c 'anybind recover | grep -q "nothing to recover"'
check_eq "autoprobe is on" 1 "$(cat /sys/bus/pci/drivers_autoprobe)"
kill -TERM $daemon
wait $daemon || true
