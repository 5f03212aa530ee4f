# shellcheck shell=sh
# The service on a whole Debian: sandboxed as its unit says, beside udev; early boot by dracut. Rules by files, hot-plug, a kill, a stop.
# initramfs: dracut
# payload: anybindd

prepare() {
  install_anybind
  install -D /anybind/payload/anybindd /usr/sbin/anybindd
  systemctl enable anybindd.service
  keep_twin_for vfio-pci
  install -D -m 644 /anybind/packaging/dbus/org.anybind.Manager1.conf /usr/share/dbus-1/system.d/org.anybind.Manager1.conf
  install -D -m 644 /anybind/packaging/polkit/org.anybind.policy /usr/share/polkit-1/actions/org.anybind.policy
  useradd guest
  cat >/etc/polkit-1/rules.d/50-anybind.rules <<EOF
polkit.addRule(function(action, subject) {
  if (subject.user != "guest") return;
  if (action.lookup("device") == "$TWIN_B" && action.lookup("driver") == "vfio-pci") return polkit.Result.YES;
  if (action.id == "org.anybind.restore" || action.lookup("rule") == "mine") return polkit.Result.YES;
});
EOF
  check "the initramfs is made again" new_initramfs
  for file in usr/sbin/anybind etc/anybind.d/boot.list vfio-pci.ko; do
    check "it has $file" is_in_initramfs "$file"
  done
}

boot1() {
  check "the system is up" booted
  check_eq "no unit failed" "" "$(failed_units)"
  check_eq "the card has the driver of its rule" vfio-pci "$(driver_of "$TWIN_A")"
  check "no driver of the host ever saw it" kernel_never_said "e1000e $TWIN_A"
  check "it was kept before the host's driver was there" kept_before_drivers e1000e
  check_eq "its twin is the host's" e1000e "$(driver_of "$TWIN_B")"
  check_rc "the service runs" 0 systemctl is-active anybindd
  check_rc "and says how it stands" 0 systemctl status anybindd
  check_says "that all is as declared" "1 of 1 devices as declared"

  # A rule for a slot that is empty.
  printf '[[rule]]\nname = "slot"\nmatch = { device = "%s" }\ndriver = "vfio-pci"\n' "0000:01:00.0" >/etc/anybind.d/20-slot.toml
  sleep 2
  check "a card is plugged in" hot_add e1000e nic slot1
  check "it goes where the rule says" wait_bound 0000:01:00.0 vfio-pci
  check "the journal knows by device" eventually 10 sh -c 'journalctl -b -o cat ANYBIND_DEVICE=bus/pci/devices/0000:01:00.0 | grep -q vfio-pci'

  # Somebody else.
  echo "$TWIN_A" >/sys/bus/pci/drivers/vfio-pci/unbind
  echo >"/sys/bus/pci/devices/$TWIN_A/driver_override"
  echo "$TWIN_A" >/sys/bus/pci/drivers/e1000e/bind
  check "what somebody has changed is put right" wait_bound "$TWIN_A" vfio-pci

  # Somebody who is not root asks the service, and that asks polkit.
  check_rc "who is not allowed to is refused" 5 runuser -u guest -- anybind unbind "$TWIN_B"
  check_says "with the reason" "this user may not change it"
  check_rc "who is allowed to takes the card" 0 runuser -u guest -- anybind bind "$TWIN_B" vfio-pci
  check_eq "which goes to its driver" vfio-pci "$(driver_of "$TWIN_B")"
  check_rc "and gives it back" 0 runuser -u guest -- anybind restore "$TWIN_B"
  check_eq "to the host" e1000e "$(driver_of "$TWIN_B")"
  check_rc "what root wants otherwise is left alone" 0 anybind unbind "$TWIN_A"
  check_rc "until somebody who may applies the rules" 0 runuser -u guest -- anybind apply
  check_eq "which makes it as declared" vfio-pci "$(driver_of "$TWIN_A")"
  check_rc "history is for everybody" 0 runuser -u guest -- anybind history
  check_says "and tells who asked" "bind $TWIN_B vfio-pci (user "

  check_rc "it is killed" 0 systemctl kill -s KILL anybindd
  check "and comes back" eventually 20 systemctl is-active anybindd
  check "metrics are to be read" eventually 10 grep -q "anybind_devices_met 2" /run/anybindd/metrics.prom
  check_eq "by everybody" 644 "$(stat -c %a /run/anybindd/metrics.prom)"
  check_rc "the sandbox is as tight as it is said to be" 0 sh -c 'systemd-analyze security anybindd --no-pager | tail -n 1'
  check_says "exposed by 3.4 and no more" " 3.4 "
  check_rc "it stops" 0 systemctl stop anybindd
  check_eq "and the cards stay where they are" "vfio-pci vfio-pci" "$(driver_of "$TWIN_A") $(driver_of 0000:01:00.0)"
}
