# bash completion for anybind(8): verbs, options, devices of this machine, and for bind the drivers.
_anybind() {
  local current=${COMP_WORDS[COMP_CWORD]} verb="" word
  local verbs="list show explain doctor bind unbind restore undo vfs history recover rules status apply import kernel-args monitor capture lab race help"
  local options="--sysfs --lab --state --json --no-color --quiet --verbose --threads --help"
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case " $verbs " in *" $word "*) verb=$word; break ;; esac
  done
  case $verb in
    list) options="$options --groups --ids --except" ;;
    bind) options="$options --persist --rules --group --mechanism --owner --no-iommu --dry-run --except --skip-in-use --ignore --timeout" ;;
    unbind) options="$options --persist --rules --group --dry-run --except --skip-in-use --ignore --timeout" ;;
    restore) options="$options --persist --rules --group --all --dry-run --except --skip-in-use --ignore --timeout" ;;
    undo) options="$options --dry-run --ignore --timeout" ;;
    vfs) options="$options --persist --rules --driver --owner --recreate --dry-run --ignore --timeout" ;;
    apply) options="$options --dry-run --early" ;;
    monitor) options="$options --for" ;;
    recover) options="$options --timeout" ;;
    race) options="$options --mechanism --scenario --kernel --pairs --html --random --seed --script" ;;
  esac
  if [[ -z $verb ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$verbs $options --version" -- "$current")
  elif [[ ${COMP_WORDS[COMP_CWORD-1]} == --ignore ]]; then
    mapfile -t COMPREPLY < <(compgen -W "boot-display bridge console default-route denied-device holder input interface-away \
      interface-member interface-up interrupt-remapping login loop mounted open pci-header reserved-region root-filesystem \
      same-id swap tsm-bound vf-in-use vfio-user zfs" -- "$current")
  elif [[ $verb == bind && ${COMP_WORDS[COMP_CWORD-1]} == --owner ]]; then
    mapfile -t COMPREPLY < <(compgen -u -- "$current")
  elif [[ $verb == bind && ${COMP_WORDS[COMP_CWORD-1]} == --mechanism ]]; then
    mapfile -t COMPREPLY < <(compgen -W "driver_override preferred_driver drvctl bind sysfs_bind_only vfio_bind \
      driver_probe_id autoprobe-flag new_id new_id-window" -- "$current")
  elif [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
  else
    local words
    if [[ $verb == race ]]; then
      mapfile -t COMPREPLY < <(compgen -W "replay" -- "$current")
      return
    fi
    if [[ $verb == import ]]; then
      mapfile -t COMPREPLY < <(compgen -W "driverctl modprobe proxmox" -- "$current")
      return
    fi
    if [[ $verb == kernel-args || $verb == monitor || $verb == rules || $verb == status || $verb == apply ]]; then
      mapfile -t COMPREPLY < <(compgen -f -- "$current")
      return
    fi
    words=$(cd /sys/bus/pci/devices 2>/dev/null && printf '%s\n' *; cd /sys/class/net 2>/dev/null && printf '%s\n' *)
    case $verb in
      bind | explain) words="$words none $(cd /sys/bus/pci/drivers 2>/dev/null && printf '%s\n' *)" ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
    # An address has colons, at which readline breaks words.
    if declare -F __ltrim_colon_completions >/dev/null; then __ltrim_colon_completions "$current"; fi
  fi
}
complete -F _anybind anybind
