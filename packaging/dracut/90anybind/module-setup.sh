#!/bin/bash
# Puts anybind, the rules and the boot list into the initramfs, with the modules of the drivers that
# the list names, so that devices are kept for them before udev loads any other driver
# (docs/policy.md, "At boot"). A copy of what went in stays in /var/lib/anybind/initramfs: by that
# "anybind doctor" knows whether this initramfs is out of date.
# dracut calls these functions and gives $initdir, $moddir and $kernel.

anybind_folders() {
	local folder
	for folder in etc/anybind.d usr/lib/anybind.d etc/driverctl.d; do
		[ -d "/$folder" ] && echo "$folder"
	done
	return 0
}

check() {
	[ -x /usr/sbin/anybind ]
}

depends() {
	return 0
}

installkernel() {
	local driver
	[ -e /etc/anybind.d/boot.list ] || return 0
	while read -r driver; do
		[ "$driver" = none ] || hostonly='' instmods "$driver"
	done < <(sed -n 's/^driver = "\([A-Za-z0-9_-]*\)"$/\1/p' /etc/anybind.d/boot.list | sort -u)
	return 0
}

install() {
	local folder root
	local copy=/var/lib/anybind/initramfs/${kernel:?}
	rm -rf "$copy"
	mkdir -p "$copy"
	for folder in $(anybind_folders); do
		for root in "${initdir:?}" "$copy"; do
			mkdir -p "$root/$folder"
			cp -a "/$folder/." "$root/$folder/"
		done
	done
	[ -e /etc/anybind.d/boot.list ] || return 0
	inst /usr/sbin/anybind
	inst_hook pre-udev 00 "${moddir:?}/keep-devices.sh"
}
