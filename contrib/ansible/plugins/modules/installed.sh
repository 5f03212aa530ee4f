#!/bin/sh
# WANT_JSON: the file of arguments is JSON. Hands it to the anybind that this host has installed, by the name by which that knows that
# Ansible calls. Not for playbooks: the modules device, functions, rules and facts call it.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin
if ! program=$(command -v anybind); then
  printf '{"changed": false, "failed": true, "anybind_missing": "%s", "msg": "anybind is not installed on this host; next: install the package anybind"}\n' "$(uname -m)"
  exit 0
fi
link=${0%/*}/anybind-ansible
[ -L "$link" ] || ln -s "$program" "$link"
exec "$link" "$1"
