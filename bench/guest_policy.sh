# shellcheck shell=sh
# The declared state at work, measured in a booted Debian: how soon a card that comes is kept, by the service and by
# driverctl's rule of udev; what a boot pays; what the service costs when nothing happens. Lines "bench: ..." are the result.
# payload: anybindd uevent_watch driverctl driverctl@.service 05-driverctl.rules vfio_name
# cpus: 2
# limit: 900

prepare() {
  install_anybind
  install -D /anybind/payload/anybindd /usr/sbin/anybindd
  install -D /anybind/payload/driverctl /usr/sbin/driverctl
  install -D -m 644 /anybind/payload/driverctl@.service /usr/lib/systemd/system/driverctl@.service
  install -D -m 644 /anybind/payload/05-driverctl.rules /usr/lib/udev/rules.d/05-driverctl.rules
  install -D /anybind/payload/vfio_name /usr/lib/udev/vfio_name
  # As it comes, its unit stays active and acts for a device once a boot only: a card that comes again is not kept.
  mkdir -p /etc/systemd/system/driverctl@.service.d
  printf '[Service]\nRemainAfterExit=no\n' >/etc/systemd/system/driverctl@.service.d/again.conf
  systemctl enable anybindd.service
  keep_twin_for vfio-pci
  check "the initramfs is made again" new_initramfs
}

# A card goes and comes so often, without leaving its slot: prints how soon it was kept, in order.
times_kept() { # ADDRESS DRIVER COUNT
  /anybind/payload/uevent_watch "$1" "$2" "$3" >/run/times &
  watcher=$!
  eventually 10 grep -q ready /run/times
  n=0
  while [ $n -lt "$3" ]; do
    echo 1 >"/sys/bus/pci/devices/$1/remove"
    sleep 0.2
    echo 1 >/sys/bus/pci/rescan
    n=$((n + 1))
    eventually 60 sh -c "[ \$(grep -vc ready /run/times) -ge $n ]" || kill $watcher
    sleep 0.5
  done
  wait $watcher
  grep -v ready /run/times | sort -n
}

report() { # WHAT
  awk -v what="$1" '$1 == "never" { never++; next } { t[++n] = $1 } END {
    printf "bench: %-34s median %8.1f ms   99 %% %8.1f ms   of %d%s\n", what, t[int((n + 1) / 2)] / 1000,
      t[int(n * 0.99 + 0.5)] / 1000, n + never, never ? ", " never " never" : "" }'
}

used_by() { # PID: processor ticks and switches of all its threads
  awk '/ctxt_switches/ { n += $2 } END { printf "%d ", n }' /proc/"$1"/task/*/status
  awk '{ t += $14 + $15 } END { print t }' /proc/"$1"/stat
}

boot1() {
  check "the system is up" booted
  rounds=40
  printf '[[rule]]\nname = "b"\nmatch = { device = "%s" }\ndriver = "vfio-pci"\n' "$TWIN_B" >/etc/anybind.d/20-b.toml
  check "the service has it" wait_bound "$TWIN_B" vfio-pci
  times_kept "$TWIN_B" vfio-pci $rounds | report "anybindd, uevent to override"
  check_eq "and it is where it belongs" vfio-pci "$(driver_of "$TWIN_B")"

  daemon=$(systemctl show -P MainPID anybindd)
  sleep 5
  before=$(used_by "$daemon")
  sleep 60
  after=$(used_by "$daemon")
  echo "$before $after" | awk '{ printf "bench: anybindd at rest, in 60 s         %d wake-ups, %d ms of a processor\n", $3 - $1, ($4 - $2) * 10 }'
  awk '/^(VmRSS|RssAnon)/ { printf "bench: anybindd at rest, %-17s %d KiB\n", $1, $2 }' "/proc/$daemon/status"

  began=$(date +%s%N)
  n=0
  while [ $n -lt 20 ]; do
    anybind apply --early >/dev/null
    n=$((n + 1))
  done
  echo "$began $(date +%s%N)" | awk '{ printf "bench: apply --early at boot             %.1f ms\n", ($2 - $1) / 20e6 }'
  for unit in anybind-early anybindd; do
    systemctl show "$unit" -P ExecMainStartTimestampMonotonic -P ExecMainExitTimestampMonotonic -P ActiveEnterTimestampMonotonic | tr '\n' ' ' |
      awk -v unit="$unit" '{ end = $2 > 0 ? $2 : $3; printf "bench: the unit %-24s %.1f ms\n", unit, (end - $1) / 1000 }'
  done

  systemctl stop anybindd
  rm /etc/anybind.d/*
  anybind restore --all >/dev/null
  mkdir -p /etc/driverctl.d
  check_rc "driverctl has it" 0 driverctl set-override "$TWIN_B" vfio-pci
  times_kept "$TWIN_B" vfio-pci $rounds | report "driverctl's rule of udev"
}
