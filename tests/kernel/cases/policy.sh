#!/bin/sh
# A bind that lasts is a rule in /etc/anybind.d; what differs from the rules is told and made so; another card at the address of a
# rule is left alone.
# devices: -device e1000e,addr=3 -device e1000e,addr=4 -device edu,addr=6
. /lib.sh
load e1000e vfio-pci
first=0000:00:03.0 second=0000:00:04.0 other=0000:00:06.0
wait_bound "$first" e1000e
wait_bound "$second" e1000e

check_rc "without rules nothing differs" 0 anybind status
check_rc "a bind that lasts" 0 anybind bind "$first" vfio-pci --persist
check_eq "it is bound" vfio-pci "$(driver_of "$first")"
check "its rule is a file" grep -q "id = \"8086:10d3\"" "/etc/anybind.d/10-pci-$first.toml"
check_rc "the rule is met" 0 anybind status
check_rc "somebody else takes it" 0 sh -c "echo > /sys/bus/pci/devices/$first/driver_override &&
  echo $first > /sys/bus/pci/drivers/vfio-pci/unbind && echo $first > /sys/bus/pci/drivers/e1000e/bind"
check_rc "which status tells: exit 1" 1 anybind status
check_says "and who" "somebody else has changed it since"
check_rc "apply makes it so" 0 anybind apply
check_eq "it is bound again" vfio-pci "$(driver_of "$first")"
check_eq "and its twin was left alone" e1000e "$(driver_of "$second")"

cat >/etc/anybind.d/20-twins.toml <<'RULES'
[[rule]]
name = "another card is here now"
match = { device = "0000:00:06.0", id = "8086:10d3" }
driver = "vfio-pci"

[[rule]]
name = "all other cards"
match = { id = "8086:10d3" }
driver = "vfio-pci"
RULES
check_rc "a rule for another card than the one that is there: exit 1" 1 anybind apply
check_says "it says which card it is" "it is 1234:11e8"
check_eq "that one is left alone" none "$(driver_of "$other")"
check_eq "the other rule holds" vfio-pci "$(driver_of "$second")"
chmod 666 /etc/anybind.d/20-twins.toml
check_rc "what everybody can write is not believed: exit 5" 5 anybind apply
rm /etc/anybind.d/20-twins.toml
check_rc "the end of the rule" 0 anybind restore "$first" --persist
check_eq "the card is the host's again" e1000e "$(driver_of "$first")"
check "and no rule is left" test ! -e "/etc/anybind.d/10-pci-$first.toml"

# What happens is told as it happens, beside the rules.
mkdir -p /tmp/rules
cat >/tmp/rules/a.toml <<'RULES'
[[rule]]
name = "the second"
match = { device = "0000:00:04.0" }
driver = "e1000e"
RULES
check_rc "the second is the host's" 0 anybind restore "$second"
anybind monitor --json --for 6 /tmp/rules >/tmp/told 2>&1 &
monitor=$!
eventually 30 test -d "/proc/$monitor"
sleep 1
check_rc "a bind meanwhile" 0 anybind bind "$second" vfio-pci
echo "$first" >/sys/bus/pci/drivers/e1000e/unbind
echo 1 >"/sys/bus/pci/devices/$first/remove"
wait "$monitor"
run cat /tmp/told
check_says "the bind is told, with its driver and the rule" "\"action\":\"bind\",\"bus\":\"pci\",\"address\":\"$second\",\"driver\":\"vfio-pci\",\"differs\":\"it has vfio-pci, and shall have e1000e: rule"
check_says "and that anybind made it" "\"command\":\"bind $second vfio-pci\""
check_says "so is an unbind by hand" "\"action\":\"unbind\",\"bus\":\"pci\",\"address\":\"$first\""
check_says "and a card that has gone" "\"action\":\"remove\",\"bus\":\"pci\",\"address\":\"$first\",\"driver\":null"
