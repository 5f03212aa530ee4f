# What a case may use: `. /lib.sh`. Devices are PCI addresses, or BUS/NAME.
# shellcheck shell=sh

# ---- saying what was seen: each of these prints one line, "ok - ..." or "not ok - ...", and returns 0

# One line of at most 400 characters.
flat() {
  printf '%s' "$1" | tr '\n' '|' | cut -c 1-400
}

ok() {
  echo "ok - $1 [$(flat "${2:-}")]"
}

not_ok() {
  echo "not ok - $1 [$(flat "${2:-}")]"
}

skip() { # REASON
  echo "skip - $1"
}

# Runs a command; $RC and $SAW are its status and its output, errors included. It runs in a subshell.
run() {
  RC=0
  SAW=$("$@" 2>&1) || RC=$?
}

check() { # DESCRIPTION COMMAND...: it must succeed
  what=$1
  shift
  check_rc "$what" 0 "$@"
}

check_rc() { # DESCRIPTION STATUS COMMAND...: it must end with exactly this status
  what=$1 wanted=$2
  shift 2
  run "$@"
  if [ "$RC" = "$wanted" ]; then ok "$what" "status $RC; $SAW"; else not_ok "$what" "status $RC, not $wanted; $SAW"; fi
}

check_eq() { # DESCRIPTION WANTED SEEN
  if [ "$3" = "$2" ]; then ok "$1" "$3"; else not_ok "$1" "saw $3; wanted $2"; fi
}

check_ne() { # DESCRIPTION UNWANTED SEEN
  if [ "$3" != "$2" ]; then ok "$1" "$3, not $2"; else not_ok "$1" "saw $3"; fi
}

check_says() { # DESCRIPTION TEXT: the output of the last command that was checked contains it
  case $SAW in
    *"$2"*) ok "$1" "$2" ;;
    *) not_ok "$1" "no \"$2\" in: $SAW" ;;
  esac
}

eventually() { # SECONDS COMMAND...: tries until it succeeds
  tries=$(($1 * 10))
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || return 1
    usleep 100000
  done
}

# ---- looking, always by a route that is not anybind's

dir_of() {
  case $1 in
    */*) echo "/sys/bus/${1%%/*}/devices/${1#*/}" ;;
    *) echo "/sys/bus/pci/devices/$1" ;;
  esac
}

# The last part of what a link points to; "none" if there is no such link.
link_name() {
  if [ -L "$1" ]; then basename "$(readlink "$1")"; else echo none; fi
}

driver_of() { # DEVICE: its driver, "none", or "absent"
  if [ -e "$(dir_of "$1")" ]; then link_name "$(dir_of "$1")/driver"; else echo absent; fi
}

group_of() {
  link_name "$(dir_of "$1")/iommu_group"
}

override_of() { # DEVICE: what the kernel shows, "(null)" for none
  cat "$(dir_of "$1")/driver_override"
}

id_of() { # DEVICE: "8086:10d3"
  sed 's/^0x//' "$(dir_of "$1")/vendor" "$(dir_of "$1")/device" | tr '\n' ' ' | sed 's/ $//; s/ /:/'
}

instance_of() { # DEVICE: differs for each card that comes to the same address
  stat -L -c %i "$(dir_of "$1")"
}

state_of() { # DEVICE...: all that anybind may change about each
  for device; do
    echo "$device driver=$(driver_of "$device") override=$(override_of "$device")"
  done
}

members_of() { # GROUP: its devices, one a line
  ls "/sys/kernel/iommu_groups/$1/devices"
}

is_bound() { # DEVICE DRIVER
  [ "$(driver_of "$1")" = "$2" ]
}

uevents() { # how many there were since boot
  cat /sys/kernel/uevent_seqnum
}

# ---- doing

load() { # MODULE...
  for module; do
    modprobe "$module" || return 1
  done
}

# busybox does not load what ext4 wants softly; newer kernels have no such module.
load_ext4() {
  modprobe crc32c_generic 2>/dev/null || true
  load ext4
}

test_parameter() { # NAME [VALUE]: reads or sets a parameter of the test module
  parameter=/sys/module/anybind_test/parameters/$1
  if [ $# = 1 ]; then cat "$parameter"; else poke "$parameter" "$2"; fi
}

# ---- moments at which run.py does something from outside

ask() { # REQUEST: 0 when it was done. Only one at a time, also when it is made in the background
  echo "@$1" >&3
  read -r answer <&3
  [ "$answer" = ok ] || { echo "$1: $answer"; return 1; }
}

qmp() { # JSON
  ask "qmp $1"
}

hand_out() { # FILE: to the case's script outside
  base64 "$1" | sed "s/^/@file $(basename "$1") /"
}

hot_add() { # QEMU-DRIVER ID BUS [PROPERTY=VALUE...]
  arguments="\"driver\":\"$1\",\"id\":\"$2\",\"bus\":\"$3\""
  shift 3
  for property; do
    arguments="$arguments,\"${property%%=*}\":\"${property#*=}\""
  done
  qmp "{\"execute\":\"device_add\",\"arguments\":{$arguments}}"
}

hot_del() { # ID: asks the guest's kernel to let it go
  qmp "{\"execute\":\"device_del\",\"arguments\":{\"id\":\"$1\"}}"
}

wait_gone() { # ID: until the machine has let it go, so that its slot is free for another card
  ask "gone $1"
}

wait_on() { # DEVICE
  eventually 20 test -e "$(dir_of "$1")"
}

is_absent() {
  [ ! -e "$(dir_of "$1")" ]
}

wait_off() { # DEVICE
  eventually 20 is_absent "$1"
}

wait_bound() { # DEVICE DRIVER
  eventually 20 is_bound "$1" "$2"
}

# check_rc, and that the command was back in so many seconds.
within() { # SECONDS DESCRIPTION STATUS COMMAND...
  limit=$1
  shift
  read -r started _ </proc/uptime
  check_rc "$@"
  read -r now _ </proc/uptime
  took=$((${now%.*} - ${started%.*}))
  if [ $took -le "$limit" ]; then ok "  it returned" "after $took s"; else not_ok "  it returned late" "after $took s"; fi
}

# No process of anybind is left waiting in a read or a write.
nothing_waits() {
  ! ps -o comm | grep -q '^anybind-waits'
}
