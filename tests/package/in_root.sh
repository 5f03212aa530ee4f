# The half of root_test.sh that runs inside the root, in the clone.
# shellcheck shell=sh
set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8
packages="anybind anybind-daemon anybind-compat libanybind-dev cockpit-anybind"
passed=0 failed=0

check() { # DESCRIPTION COMMAND...
  what=$1
  shift
  if said=$("$@" 2>&1); then
    passed=$((passed + 1))
    echo "ok - $what"
  else
    failed=$((failed + 1))
    printf 'not ok - %s [%s]\n' "$what" "$(printf %s "$said" | tail -n 20)"
  fi
}

# Every file of the root but what apt and dpkg note for themselves; what a trigger of another package writes is no part of this.
files() {
  find / -xdev \( -path /proc -o -path /sys -o -path /dev -o -path /run -o -path /tmp -o -path /anybind -o -path /var/cache -o -path /var/log \
    -o -path /var/lib/dpkg -o -path /var/lib/apt \) -prune -o -print | sort
}

install() {
  apt-get -qq -o Dpkg::Use-Pty=0 install -y --no-install-recommends "$@"
}

# The same packages with another version, so that one is an upgrade from the other.
with_version() { # VERSION FOLDER
  mkdir -p "$2"
  for deb in build/dist/*.deb; do
    dpkg-deb -R "$deb" /tmp/deb
    sed -i -e "s/^Version: .*/Version: $1/" -e "s/(\(>*\)= [^)]*upstream[^)]*)/(\1= $1)/g" /tmp/deb/DEBIAN/control
    dpkg-deb --root-owner-group -Zgzip -z1 -b /tmp/deb "$2/$(basename "${deb%%_*}").deb" >/dev/null
    rm -rf /tmp/deb
  done
}

none_is_left() {
  files >/tmp/after
  diff /tmp/before /tmp/after
}

notes_are_kept() {
  [ "$(cat /etc/anybind.d/mine.toml)" = "$rule" ] && [ "$(cat /run/anybind/note)" = kept ]
}

unknown_to_dpkg() {
  # shellcheck disable=SC2086  # a list of words
  ! dpkg-query -W -f '${Package} ${db:Status-Status}\n' $packages 2>/dev/null | grep -v ' not-installed$'
}

apt-get -qq update
# What the packages need stays behind, as apt leaves it; and so does the real driverctl, beside which they work, and Cockpit.
install cockpit-bridge driverctl kmod libsystemd0 pci.ids libstdc++-12-dev >/dev/null
files >/tmp/before
with_version 0.0.1~former-1 former

check "the former version installs" install ./former/*.deb
check "the command runs" anybind --version
check "and its manual is there" test -e /usr/share/man/man8/anybind.8.gz -a -e /usr/share/man/man5/anybind.d.5.gz
rule=$(printf '[[rule]]\nname = "mine"\nmatch = { device = "0000:ff:1f.7" }\ndriver = "vfio-pci"')
mkdir -p /etc/anybind.d /run/anybind
chmod 700 /run/anybind
printf '%s\n' "$rule" >/etc/anybind.d/mine.toml
echo kept >/run/anybind/note
check "here is no systemd that runs" test ! -d /run/systemd/system
printf 'this is = = no rule\n' >/etc/anybind.d/broken.toml

# As README says, but that nobody is there to be asked.
printf 'APT::Get::Assume-Yes "true";\nAPT::Install-Recommends "false";\n' >/tmp/apt.conf
line=$(sed -n 's/^    \(apt install .*\)/\1/p' README.md)
check "README has the line" test -n "$line"
check "this version installs over it" env APT_CONFIG=/tmp/apt.conf sh -c "$line"
check "and the library, and the drop-ins" install ./build/dist/libanybind-dev_*.deb ./build/dist/anybind-compat_*.deb
check "rules and memory are kept" notes_are_kept
check "a spec that was broken before is still there, and told of" sh -c 'anybind rules 2>&1 | grep -q broken.toml && ! anybind rules'
rm /etc/anybind.d/broken.toml
check "the rules are read" anybind rules
check "the daemon's libraries are there" sh -c '! ldd /usr/sbin/anybindd | grep "not found"'
check "the daemon starts" anybindd --version
check "the unit is enabled" test -L /etc/systemd/system/multi-user.target.wants/anybindd.service
check "the real driverctl is still there" test "$(command -v driverctl)" = /usr/sbin/driverctl
check "beside it stands the one of anybind-compat" sh -c '/usr/lib/anybind/compat/driverctl --help | grep -q "This is anybind"'
check "and that of DPDK" sh -c '/usr/lib/anybind/compat/dpdk-devbind.py --help | grep -q "This is anybind"'
check "its manuals are there" test -e /usr/share/man/man8/anybind-driverctl.8.gz -a -e /usr/share/man/man8/anybind-devbind.8.gz
printf 'vfio-pci\n' >/etc/driverctl.d/pci-0000:ff:1f.7
check "it reads what driverctl has saved" test "$(/usr/lib/anybind/compat/driverctl list-persisted)" = "0000:ff:1f.7 vfio-pci"
# shellcheck disable=SC2016  # for that shell
check "a path chooses it" sh -c 'PATH=/usr/lib/anybind/compat:$PATH; driverctl --help | grep -q "This is anybind"'
check "an alternative chooses it" update-alternatives --install /usr/local/sbin/driverctl driverctl /usr/lib/anybind/compat/driverctl 50
check "and another that of DPDK" update-alternatives --install /usr/local/bin/dpdk-devbind.py dpdk-devbind.py /usr/lib/anybind/compat/dpdk-devbind.py 50
check "for the same words" sh -c 'driverctl --help | grep -q "This is anybind" && dpdk-devbind.py --help | grep -q "This is anybind"'
rm /etc/driverctl.d/pci-0000:ff:1f.7
check "the page of Cockpit" install ./build/dist/cockpit-anybind_*.deb
check "is known to Cockpit" sh -c "cockpit-bridge --packages | grep -q '^anybind .*/usr/share/cockpit/anybind'"
check "bash completes" bash -c '. /usr/share/bash-completion/completions/anybind; compopt() { :; }; COMP_WORDS=(anybind re); COMP_CWORD=1; COMP_LINE="anybind re"; COMP_POINT=10; _anybind; [[ ${COMPREPLY[*]} = *restore* ]]'
check "zsh and fish can" test -s /usr/share/zsh/vendor-completions/_anybind -a -s /usr/share/fish/vendor_completions.d/anybind.fish
check "the lab of debian/tests runs" debian/tests/lab
check "the explorer survives the hardening" anybind race --scenario alone --scenario same-id --scenario kill

# shellcheck disable=SC2016  # for that shell
check "it looks at a container" sh -c 'anybind list && { anybind doctor || [ $? = 1 ]; }'
check "and says what a machine without IOMMU lacks" sh -c 'anybind --lab tests/cli/field/virtio.toml doctor | grep -q "there is no IOMMU"'

# shellcheck disable=SC2086  # a list of words
check "it is removed" apt-get -qq remove -y $packages
check "and rules and memory are still kept" notes_are_kept
check "the alternative is gone" test ! -e /usr/local/sbin/driverctl -a ! -L /usr/local/sbin/driverctl
check "the command is gone" test ! -e /usr/sbin/anybind
check "it is purged" dpkg --purge anybind-daemon anybind
check "nothing is left behind" none_is_left
check "no memory either" test ! -e /run/anybind
check "dpkg knows nothing of it" unknown_to_dpkg
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]
