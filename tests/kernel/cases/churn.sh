#!/bin/sh
# Cards come, go and are exchanged at random, alone, as twins, as two functions of one IOMMU group and as virtual functions, while somebody
# else binds by scripts, unloads and loads the host's driver, and kills the daemon: at rest all is as the rules say. Where the kernel holds
# cards back (6.19 and later) no driver of the host is ever asked for a card of a rule that promises before-probe.
# kernels: 6.12 7.3
# devices: -device pcie-root-port,id=rp1,addr=10,chassis=1,slot=1 -device pcie-root-port,id=rp2,addr=11,chassis=2,slot=2
# devices: -device pcie-root-port,id=rp3,addr=12,chassis=3,slot=3 -device pcie-root-port,id=rp4,addr=13,chassis=4,slot=4
# devices: -device nvme-subsys,id=twins -device nvme,bus=rp4,subsys=twins,serial=pf,sriov_max_vfs=4,sriov_vq_flexible=8,sriov_vi_flexible=4
# payload: anybindd
# limit: 3600
. /lib.sh
events=${events:-40} kills=${kills:-2} seed=${seed:-24}
load e1000e nvme vfio-pci
slot=0000:01:00.0 twin=0000:02:00.0 pair=0000:03:00 pf=0000:04:00.0
case $(uname -r) in 6.1*) holds= ;; *) holds=yes ;; esac
mkdir -p /etc/anybind.d
cat >/etc/anybind.d/10-rules.toml <<'RULES'
[[rule]]
name = "slot"
match = { device = "0000:01:00.0", id = "8086:10d3" }
driver = "vfio-pci"
promise = "before-probe"

[[rule]]
name = "first function"
match = { pf = "0000:04:00.0", vf = "0" }
driver = "vfio-pci"
promise = "before-probe"

[[rule]]
name = "pair"
match = { device = "0000:03:00.0", id = "8086:10d3" }
driver = "vfio-pci"
group = "whole"
RULES

start() {
  rm -f /run/metrics/metrics.prom
  /payload/anybindd --metrics /run/metrics >>/tmp/said 2>&1 &
  daemon=$!
  eventually 60 grep -q anybind_autoprobe_held /run/metrics/metrics.prom || { cat /tmp/said; return 1; }
}
random() { # BELOW: $drawn
  seed=$(((seed * 1103515245 + 12345) % 2147483648))
  drawn=$((seed / 65536 % $1))
}
poke_quietly() { # FILE TEXT
  { echo "$2" >"$1"; } 2>/dev/null || true
}
again() { # DEVICE: out through sysfs, and in by a rescan: another instance
  [ ! -e "/sys/bus/pci/devices/$1" ] || poke_quietly "/sys/bus/pci/devices/$1/remove" 1
  random 3
  [ "$drawn" != 0 ] || usleep 20000
  poke_quietly /sys/bus/pci/rescan 1
}

# Each is one event from outside, or a few.
card=none # in slot 1
exchange() {
  if [ $card = none ]; then
    random 4
    card=e1000e
    [ "$drawn" != 0 ] || card=virtio-rng-pci
    hot_add $card "card$n" rp1 && mine=card$n
  else
    hot_del "$mine" && wait_off $slot && wait_gone "$mine"
    card=none
  fi
}
event() {
  random 20
  case $drawn in
    0) exchange ;;
    [1-7]) again $slot ;;
    8 | 9 | 10) again $twin ;;
    11 | 12) again $pair.1 ;;
    13 | 14) again $pair.0 ;;
    *)
      poke_quietly /sys/bus/pci/devices/$pf/sriov_numvfs 0
      random 3
      poke_quietly /sys/bus/pci/devices/$pf/sriov_numvfs $drawn
      ;;
  esac
}

# The others: driverctl's writes for a card that no rule is about, there and back; somebody who takes the driver from a card of a rule;
# modprobe. From the rule's slot only the rule's card is taken: another one would be theirs, and stay without a driver.
meddle() {
  random 8
  case $drawn in
    0 | 1)
      poke_quietly /sys/bus/pci/devices/$twin/driver_override vfio-pci
      poke_quietly /sys/bus/pci/devices/$twin/driver/unbind $twin
      poke_quietly /sys/bus/pci/drivers_probe $twin
      ;;
    2 | 3)
      poke_quietly /sys/bus/pci/devices/$twin/driver_override ""
      poke_quietly /sys/bus/pci/devices/$twin/driver/unbind $twin
      poke_quietly /sys/bus/pci/drivers_probe $twin
      ;;
    4) [ "$(cat /sys/bus/pci/devices/$slot/vendor 2>/dev/null)" != 0x8086 ] || poke_quietly /sys/bus/pci/devices/$slot/driver/unbind $slot ;;
    5) poke_quietly /sys/bus/pci/devices/$pair.0/driver/unbind $pair.0 ;;
    6) modprobe -r e1000e 2>/dev/null || true ;;
    7) modprobe e1000e ;;
  esac
}
meddle_for_ever() {
  seed=$((seed + 1))
  while [ ! -e /tmp/enough ]; do
    meddle
    random 150
    usleep $((drawn * 1000))
  done
}

# ---- at rest

probes=0 late=0
count_probes() { # of cards of a rule, by drivers of the host: $counted; the kernel's log is emptied
  dmesg -c >/tmp/kernel.log
  grep -E "(e1000e $slot|nvme.* 0000:04:00\.1)" /tmp/kernel.log >/tmp/probes || true
  counted=$(wc -l </tmp/probes)
  sed "s/^/after event $n, $killed kills: /" /tmp/probes >>/tmp/deviations
}
first_function() { basename "$(readlink /sys/bus/pci/devices/$pf/virtfn0 2>/dev/null)" 2>/dev/null || true; }
is_declared() { # DEVICE DRIVER: or it is not there
  [ "$(driver_of "$1")" = "$2" ] || [ "$(driver_of "$1")" = absent ]
}
all_is_declared() {
  case $card in e1000e) is_declared $slot vfio-pci ;; virtio-rng-pci) is_declared $slot virtio-pci ;; esac || return 1
  is_declared $pair.0 vfio-pci && is_declared $pair.1 vfio-pci && is_declared $twin e1000e || return 1
  [ -z "$(first_function)" ] || is_declared "$(first_function)" vfio-pci || return 1
}
rest() {
  : >/tmp/enough
  wait $meddler || true
  rm /tmp/enough
  modprobe e1000e
  # What the scripts have left of the card that no rule is about is theirs, and here taken back.
  poke_quietly /sys/bus/pci/devices/$twin/driver_override ""
  [ "$(driver_of $twin)" = e1000e ] || poke_quietly /sys/bus/pci/devices/$twin/driver/unbind $twin
  poke_quietly /sys/bus/pci/drivers_probe $twin
  # The scripts insist on their cards, and the daemon does not fight: it is told to try again.
  kill -HUP $daemon 2>/dev/null || true
  if eventually 20 all_is_declared; then return 0; fi
  wrong=$((wrong + 1))
  echo "at rest after event $n, with $card in the slot: $(state_of $slot $twin $pair.0 $pair.1 | tr '\n' ' ')" >>/tmp/deviations
}

check "a twin" hot_add e1000e twin rp2
check "two functions" hot_add e1000e second rp3 addr=0.1 multifunction=on
check "of one slot" hot_add e1000e first rp3 addr=0.0 multifunction=on
wait_bound $twin e1000e && wait_bound $pair.0 e1000e
check_eq "which are of one group" "$(group_of $pair.0)" "$(group_of $pair.1)"
dmesg -c >/dev/null
start
check "what is there becomes as declared" eventually 20 all_is_declared
dmesg -c >/dev/null
n=0 wrong=0 killed=0
exchange
: >/tmp/deviations
while [ $n -lt "$events" ]; do
  meddle_for_ever &
  meddler=$!
  burst=$((n + 20))
  while [ $n -lt $burst ] && [ $n -lt "$events" ]; do
    n=$((n + 1))
    event
    random 60
    usleep $((drawn * 1000))
  done
  count_probes
  probes=$((probes + counted))
  # While the daemon is dead nothing is promised: what its successor does about that is looked at at rest.
  if [ $killed -lt "$kills" ]; then
    killed=$((killed + 1))
    kill -9 $daemon
    wait $daemon || true
    start
    rest
    count_probes
    late=$((late + counted))
  else
    rest
    count_probes
    probes=$((probes + counted))
  fi
done
check_eq "at rest all was as declared, each time" 0 $wrong
echo "of $n events:"
cat /tmp/deviations
grep -E "^anybind_(drifts|corrections|failures|given_up|newcomers_kept|races_lost|offered|event_gaps|looks)_total" /run/metrics/metrics.prom
echo "probes of cards of rules by drivers of the host: $probes, and $late after $killed kills"
if [ -n "$holds" ]; then
  check_eq "no driver of the host was asked for a card of a rule" 0 $probes
fi
kill -TERM $daemon
wait $daemon && status=0 || status=$?
check_eq "it ends when it is told to" 0 $status
check_eq "and the flag is back" 1 "$(cat /sys/bus/pci/drivers_autoprobe)"
