#!/bin/sh
# Keeps devices for the drivers that rules give them, before udev starts and loads all other drivers.
/usr/sbin/anybind apply --early 2>&1 | while read -r line; do
	echo "<5>anybind: $line" >/dev/kmsg
done
