#!/bin/sh
# A rule that promises before-probe: where the kernel keeps PCI devices back (6.19 and later), no driver of the host is ever asked for a
# card of the rule, and no other device waits; when the daemon is killed, recover puts things right. Before 6.19 it says that it cannot.
# kernels: 6.12 7.3
# devices: -device pcie-root-port,id=rp1,addr=10,chassis=1,slot=1 -device pcie-root-port,id=rp2,addr=11,chassis=2,slot=2
# payload: anybindd
# limit: 240
. /lib.sh
load e1000e vfio-pci
slot=0000:01:00.0 free=0000:02:00.0
mkdir -p /etc/anybind.d
cat >/etc/anybind.d/10-rules.toml <<'RULES'
[[rule]]
name = "slot"
match = { device = "0000:01:00.0" }
driver = "vfio-pci"
promise = "before-probe"
RULES
flag() { cat /sys/bus/pci/drivers_autoprobe; }
start() {
  rm -f /run/metrics/metrics.prom
  /payload/anybindd --metrics /run/metrics >>/tmp/said 2>&1 &
  daemon=$!
  eventually 10 grep -q anybind_autoprobe_held /run/metrics/metrics.prom
}
swap() { hot_del "$1" && wait_off "$2" && wait_gone "$1"; }
case $(uname -r) in 6.1*) new= ;; *) new=yes ;; esac

start
if [ -z "$new" ]; then
  check_eq "the flag is left alone" 1 "$(flag)"
  run cat /tmp/said
  check_says "and why is said" "which this kernel cannot keep"
  check "a card comes" hot_add e1000e nic rp1
  check "and is moved to the rule's driver, if it was not kept in time" wait_bound $slot vfio-pci
  kill -TERM $daemon
  exit 0
fi
check_eq "the flag is held" 0 "$(flag)"
check_rc "doctor knows who does" 0 sh -c 'anybind doctor | grep autoprobe'
check_says "and why" "as a rule promises before-probe"

rounds=0
while [ $rounds -lt 8 ]; do
  hot_add e1000e "nic$rounds" rp1
  wait_bound $slot vfio-pci || break
  swap "nic$rounds" $slot
  rounds=$((rounds + 1))
done
check_eq "a card comes and goes, each time to the rule's driver" 8 $rounds
check_eq "the host's driver was not asked once" 0 "$(dmesg | grep -c "e1000e $slot" || true)"
check "a card stays" hot_add e1000e stays rp1
wait_bound $slot vfio-pci
rounds=0
while [ $rounds -lt 80 ]; do
  echo 1 >/sys/bus/pci/devices/$slot/remove
  echo 1 >/sys/bus/pci/rescan
  usleep $((rounds * 7919 % 40000))
  rounds=$((rounds + 1))
done
check "and is the rule's after 80 times that it goes and comes" wait_bound $slot vfio-pci
check_eq "of which the host's driver was asked in none" 0 "$(dmesg | grep -c "e1000e $slot" || true)"
swap stays $slot
check "another card" hot_add e1000e other rp2
check "is the host's" wait_bound $free e1000e
was_offered() {
  [ "$(sed -n "s/^anybind_offered_total //p" /run/metrics/metrics.prom)" -gt 0 ]
}
check "for which it was offered" eventually 30 was_offered
swap other $free

# A device comes before its driver.
check "a card whose driver is not there" hot_add e1000 old rp2
wait_on $free
sleep 0.5
check_eq "has none" none "$(driver_of $free)"
load e1000
check "and gets it when that comes" wait_bound $free e1000
swap old $free

# Killed, while the flag is off: what comes has to wait, and does not have to for long.
kill -9 $daemon
wait $daemon || true
check_eq "the flag is off still" 0 "$(flag)"
check "a card comes" hot_add e1000e late rp2
wait_on $free
sleep 0.5
check_eq "nobody offers it" none "$(driver_of $free)"
check_rc "doctor does not call that well" 0 sh -c 'anybind doctor | grep "drivers_autoprobe is 0"'
check_rc "recover" 0 anybind recover
check_says "says what it did" "it is on again"
check_eq "the flag is on" 1 "$(flag)"
check "and the card has its driver" wait_bound $free e1000e
check_eq "a second one has nothing to do" "nothing to recover" "$(anybind recover)"

# Started again after a kill, it ends what the first began, and holds by itself.
start
check_eq "it holds again" 0 "$(flag)"
kill -9 $daemon
wait $daemon || true
start
check_eq "and after a kill" 0 "$(flag)"
check_rc "recover leaves a living one alone" 0 anybind recover
check_eq "the flag too" 0 "$(flag)"
echo 1 >/sys/bus/pci/drivers_autoprobe
check "a card comes while somebody has switched it on" hot_add e1000e last rp1
check "it goes to the rule's driver all the same" wait_bound $slot vfio-pci
check "and the flag is held again" eventually 30 sh -c '[ "$(cat /sys/bus/pci/drivers_autoprobe)" = 0 ]'
sed -i '/promise/d' /etc/anybind.d/10-rules.toml
check "without the promise it is put back" eventually 30 sh -c '[ "$(cat /sys/bus/pci/drivers_autoprobe)" = 1 ]'
echo 'promise = "before-probe"' >>/etc/anybind.d/10-rules.toml
check "and held with it" eventually 30 sh -c '[ "$(cat /sys/bus/pci/drivers_autoprobe)" = 0 ]'
kill -TERM $daemon
wait $daemon || true
check_eq "who stops it has the flag back" 1 "$(flag)"
check "nothing is remembered" test ! -e /run/anybind/hold.json
