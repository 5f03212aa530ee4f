#compdef anybind
# zsh completion for anybind(8). What could stand on the line, anybind itself knows: see src/cli/complete.h.
_anybind() {
  local line word what
  local -a typed going_on going_on_shown whole whole_shown
  typed=("${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}")
  [[ $PREFIX != --*=* ]] || word=value
  while IFS= read -r line; do
    what=${line#*$'\t'}
    line=${line%%$'\t'*}
    case $line in
      (:files) [[ -z $word ]] || compset -P '*='; _files; return ;;
      (:dirs) [[ -z $word ]] || compset -P '*='; _files -/; return ;;
      (:users) [[ -z $word ]] || compset -P '*='; _users; return ;;
      (:commands) _command_names -e; return ;;
    esac
    [[ $what != $line ]] && what="$line  -- $what" || what=$line
    if [[ $line == *[:,/=] ]]; then
      going_on+=("$line") going_on_shown+=("$what")
    else
      whole+=("$line") whole_shown+=("$what")
    fi
  done < <("${(Q)words[1]}" --complete "${(@)typed}" 2>/dev/null)
  (( ! $#whole )) || compadd -l -d whole_shown -a whole
  (( ! $#going_on )) || compadd -S '' -l -d going_on_shown -a going_on
}
_anybind "$@"
