#!/bin/sh
# An IOMMU group shared by three cards behind a conventional bridge: all of it or nothing, the bridge left alone.
# kernels: ends
# devices: -device pcie-pci-bridge,id=br,addr=8
# devices: -device e1000,bus=br,addr=1 -device e1000,bus=br,addr=2 -device edu,bus=br,addr=3
. /lib.sh
bridge=0000:00:08.0 nic=0000:01:01.0 other=0000:01:02.0 edu=0000:01:03.0
cards="$nic $other $edu"

load e1000 vfio-pci
wait_bound $other e1000
group=$(group_of $nic)
check_eq "the bridge and the cards share a group" "$bridge $nic $other $edu" "$(members_of "$group" | tr '\n' ' ' | sed 's/ $//')"
# shellcheck disable=SC2086  # a list of words
before=$(state_of $bridge $cards)
events=$(uevents)

check_rc "one card alone is refused" 3 anybind bind $nic vfio-pci
check_says "naming the card that is in the way" $other
check_says "and the driver that has it" e1000
check_says "and what to type" --group
check_rc "explain judges the group" 0 anybind explain $nic vfio-pci
check_says "as the kernel does" "not viable"
check_says "each member that must leave" "$other      e1000: must leave its driver"
check_says "the bridge that does not" "$bridge      "
check_says "what is missing" "$bridge, above it, leads to conventional PCI"
check_says "and what to do" "anybind unbind $other"
check_rc "so is the bridge" 3 anybind bind $bridge vfio-pci
# shellcheck disable=SC2086
check_eq "nothing has changed" "$before" "$(state_of $bridge $cards)"
check_eq "and the kernel saw no change" "$events" "$(uevents)"

check_rc "the whole group goes with --group" 0 anybind bind --group $nic vfio-pci
for card in $cards; do
  check_eq "vfio-pci has $card" "$card driver=vfio-pci override=vfio-pci" "$(state_of "$card")"
done
check_eq "the bridge is left alone" "$(echo "$before" | head -n 1)" "$(state_of $bridge)"
check "user space can have the group" viable "$group"

# shellcheck disable=SC2086
{
  check_rc "restore gives the cards back" 0 anybind restore $cards
  check_eq "and all is as it was" "$before" "$(state_of $bridge $cards)"
  check_rc "naming the cards does as well as --group" 0 anybind bind $nic $other vfio-pci
  check "user space can have the group again" viable "$group"
  check_eq "the driverless card was not touched" "$edu driver=none override=(null)" "$(state_of $edu)"
  check_rc "and back" 0 anybind restore $nic $other
  check_eq "as it was" "$before" "$(state_of $bridge $cards)"
}
