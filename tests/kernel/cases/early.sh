#!/bin/sh
# At boot, before the host's drivers are loaded: a card that a rule gives away, and that is in the boot list, is never probed by the
# host's driver; its twin is. What is in only one of the two, or is another card, is left alone; so is everything with anybind.off.
# devices: -device e1000e,addr=3 -device e1000e,addr=4 -device e1000e,addr=5 -device edu,addr=6
. /lib.sh
chosen=0000:00:03.0 twin=0000:00:04.0 parked=0000:00:05.0 other=0000:00:06.0
probes_of() { dmesg | grep -c "e1000e $1" || true; }
mkdir -p /etc/anybind.d
rule() { printf '[[rule]]\nname = "%s"\nmatch = { device = "%s" }\ndriver = "%s"\n' "$1" "$2" "$3"; }

check_rc "without a list nothing is done" 0 anybind apply --early
check_says "which it says" "nothing to do"
rule "given" "$chosen" vfio-pci >/etc/anybind.d/10-given.toml
check_rc "a rule alone is not enough: exit 1" 1 anybind apply --early
check_says "and that is said" "it is not in the boot list"
check_eq "no override" "(null)" "$(cat "/sys/bus/pci/devices/$chosen/driver_override")"

# As it was the last time that the machine ran.
{ rule "pci/$chosen" "$chosen" vfio-pci
  rule "pci/$parked" "$parked" none
  rule "pci/$twin" "$twin" vfio-pci; } >/etc/anybind.d/boot.list
rule "parked" "$parked" none >/etc/anybind.d/20-parked.toml
check_rc "a dry run" 0 anybind apply --early --dry-run
check_says "says what would be" "would be kept for vfio-pci"
check_eq "and writes nothing" "(null)" "$(cat "/sys/bus/pci/devices/$chosen/driver_override")"
chmod 666 /etc/anybind.d/boot.list
check_rc "a list that everybody can write is not believed" 5 anybind apply --early
chmod 644 /etc/anybind.d/boot.list
check_rc "both together count" 0 anybind apply --early
check_says "for the card" "$chosen  kept for vfio-pci (rule \"given\")"
check_says "and its module is loaded" "loaded vfio-pci"
check_rc "once more" 0 anybind --json apply --early
check_says "says it in JSON" "\"kept_for\": \"vfio-pci\""
check_says "and loads nothing, as all is there" "\"modules\": [],"
check_eq "the driver has it already" vfio-pci "$(driver_of "$chosen")"
load e1000e
wait_bound "$twin" e1000e
check_eq "its twin, which no rule names any more, is the host's" e1000e "$(driver_of "$twin")"
check_eq "the parked one has none" none "$(driver_of "$parked")"
check_eq "the host's driver never touched the card" 0 "$(probes_of "$chosen")"
check_eq "nor the parked one" 0 "$(probes_of "$parked")"
check "but its twin" test "$(probes_of "$twin")" -gt 0

rule "late" "$twin" vfio-pci >/etc/anybind.d/30-late.toml
check_rc "what has a driver by then is left alone, exit 1" 1 anybind apply --early
check_says "and that is said" "it has e1000e already"
check_eq "the twin is the host's still" e1000e "$(driver_of "$twin")"

# The list is written by what makes rules so, with the card that it is.
check_rc "apply" 0 anybind apply
check "the list names the card" grep -q "id = \"8086:10d3\"" /etc/anybind.d/boot.list
check_eq "all three of them" 3 "$(grep -c '^name = ' /etc/anybind.d/boot.list)"
rm /etc/anybind.d/30-late.toml
check_rc "restore" 0 anybind restore "$twin"
check_rc "and apply" 0 anybind apply
check_eq "two are left in it" 2 "$(grep -c '^name = ' /etc/anybind.d/boot.list)"

# Another card at the address of one in the list.
rule "other" "$other" vfio-pci >/etc/anybind.d/40-other.toml
printf '[[rule]]\nname = "pci/%s"\nmatch = { device = "%s", id = "8086:10d3" }\ndriver = "vfio-pci"\n' "$other" "$other" >>/etc/anybind.d/boot.list
check_rc "another card is left alone" 1 anybind apply --early
check_eq "it has no override" "(null)" "$(cat "/sys/bus/pci/devices/$other/driver_override")"
echo "broken" >/etc/anybind.d/50-broken.toml
check_rc "of broken rules the list counts" 1 anybind apply --early
check_says "and the mistake is told" "50-broken.toml"
check_says "the card is kept by the list" "$chosen  kept for vfio-pci"
