#!/bin/sh
# `list --json` says what /sys says, read by another route: readlink, cat and sed.
# kernels: ends
# devices: -device e1000e,addr=3 -device nvme,addr=5,serial=n5 -device edu,addr=6
# devices: -device pcie-pci-bridge,id=br,addr=8 -device e1000,bus=br,addr=1 -device edu,bus=br,addr=2
# devices: -device qemu-xhci,addr=9 -device usb-tablet
# limit: 240
. /lib.sh

bare() { # FILE: a number without its 0x
  sed 's/^0x//' "$1"
}

null_for() { # WORD VALUE: "null" if the value is the word that means nothing
  if [ "$2" = "$1" ]; then echo null; else echo "$2"; fi
}

seen_by_shell() {
  for dir in /sys/bus/pci/devices/*; do
    address=$(basename "$dir")
    echo "$address $(null_for none "$(driver_of "$address")") $(null_for '(null)' "$(override_of "$address")")" \
      "$(null_for none "$(group_of "$address")") $(bare "$dir/vendor") $(bare "$dir/device") $(bare "$dir/class")" \
      "$(cat "$dir/modalias") $(readlink -f "$dir")"
  done
}

# One line for each pci object of the array: its values in the same order.
seen_by_anybind() {
  anybind --json list >/tmp/list.json || return 1
  awk -f /json.awk /tmp/list.json >/tmp/list.flat || return 1
  awk '
    { split($1, key, "."); row = key[1] + 0; if (row > last) last = row
      text = substr($0, length($1) + 2); sub(/^0x/, "", text); seen[row, key[2]] = text }
    END { for (row = 0; row <= last; row++) if (seen[row, "bus"] == "pci")
      print seen[row, "address"], seen[row, "driver"], seen[row, "driver_override"], seen[row, "iommu_group"],
        seen[row, "vendor"], seen[row, "device"], seen[row, "class"], seen[row, "modalias"], seen[row, "syspath"] }
  ' /tmp/list.flat | sort
}

agree() { # WHEN
  seen_by_shell >/tmp/shell
  check "$1: list --json is JSON" eval 'seen_by_anybind >/tmp/anybind'
  check "$1: they agree on all $(wc -l </tmp/shell) devices" diff /tmp/shell /tmp/anybind
}

agree "without drivers"
load e1000e e1000 nvme xhci-pci vfio-pci pci-stub
wait_bound 0000:00:03.0 e1000e
wait_bound 0000:00:05.0 nvme
check "some devices have drivers and some have not" \
  sh -c 'ls -d /sys/bus/pci/devices/*/driver && [ ! -e /sys/bus/pci/devices/0000:00:06.0/driver ]'
agree "with drivers"
poke /sys/bus/pci/devices/0000:00:06.0/driver_override pci-stub >/dev/null
poke /sys/bus/pci/devices/0000:00:03.0/driver_override 'two words' >/dev/null
agree "with overrides"
poke /sys/bus/pci/drivers_probe 0000:00:06.0 >/dev/null
check_eq "one is at pci-stub" pci-stub "$(driver_of 0000:00:06.0)"
agree "after a bind"

awk -f /json.awk /tmp/list.json >/tmp/list.flat
rows=$(find /sys/bus/pci/devices/ -mindepth 1 -maxdepth 1 | wc -l)
for key in bus name driver driver_override iommu_group users; do
  check_eq "each device has the key $key" "$rows" \
    "$(grep -E "^[0-9]+\.$key(\.[0-9]+)? " /tmp/list.flat | cut -d . -f 1 | sort -u | wc -l)"
done
check_rc "a selection lists just that" 0 anybind --json list 0000:00:03.0
check_eq "one device" 1 "$(printf '%s' "$SAW" | awk -f /json.awk | grep -c '\.address 0000:00:03.0$')"
check_rc "a device that is not there is exit 6" 6 anybind --json list 0000:00:1e.7
