# What a case can do: change the root and its initramfs, give each boot its own options, boot again, and cut the power.
# initramfs: dracut
# append2: anybind_case=second
# shellcheck shell=sh

hello() { # FILE: a script for the initramfs
  install -D -m 755 /dev/stdin "$1" <<'END'
#!/bin/sh
[ "$1" = prereqs ] || echo "hello from the initramfs" >/dev/kmsg
END
}

prepare() {
  if [ "$INITRAMFS" = dracut ]; then
    module=/usr/lib/dracut/modules.d/90hello
    hello $module/hello.sh
    # shellcheck disable=SC2016  # for dracut
    printf 'check() { return 0; }\ninstall() { inst_hook pre-udev 10 "$moddir/hello.sh"; }\n' >$module/module-setup.sh
  else
    hello /etc/initramfs-tools/scripts/init-top/hello
  fi
  check "the initramfs is made again" new_initramfs
  check "with the script in it" sh -c '. /anybind/lib.sh; in_initramfs | grep hello >/dev/null'
  check "the command can be installed" install -D /anybind/bin/anybind /usr/local/sbin/anybind
}

boot1() {
  check "the system is up" booted
  check "the script ran before the root was there" kernel_said "hello from the initramfs"
  check "the command runs" /usr/local/sbin/anybind list
  check_says "and sees the twins" "${TWIN_B#0000:}"
  check_eq "the option of the second boot is not there" 0 "$(grep -c anybind_case /proc/cmdline)"
  echo "was written" >/root/synced
  sync
  cut_power
}

boot2() {
  check "the system is up after the power was cut" booted
  check_eq "what was on the disk is there" "was written" "$(cat /root/synced)"
  check_eq "the option of this boot is there" 1 "$(grep -c anybind_case=second /proc/cmdline)"
}
