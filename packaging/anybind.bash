# bash completion for anybind(8). What could stand on the line, anybind itself knows: see src/cli/complete.h.
_anybind() {
  local words=() piece rest trimmed i current line value before
  # bash takes addresses apart at their colons, and options at "=": pieces between which there is no blank are one word.
  rest=${COMP_LINE:0:COMP_POINT}
  for ((i = 0; i <= COMP_CWORD; i++)); do
    trimmed=${rest#"${rest%%[![:space:]]*}"}
    piece=${COMP_WORDS[i]}
    ((i < COMP_CWORD)) || piece=$trimmed
    if ((i > 0)) && [[ $trimmed == "$rest" && -n $rest ]]; then
      words[${#words[@]} - 1]+=$piece
    else
      words+=("$piece")
    fi
    rest=${trimmed#"$piece"}
  done
  for i in "${!words[@]}"; do
    words[i]=${words[i]//[\"\'\\]/}
    # shellcheck disable=SC2088  # it is what was typed
    [[ ${words[i]} != '~/'* ]] || words[i]=$HOME/${words[i]:2}
  done
  current=${words[-1]}
  value=$current
  [[ $current != --*=* ]] || value=${current#*=}
  COMPREPLY=()
  while IFS= read -r line; do
    line=${line%%$'\t'*}
    case $line in
      :files) compopt -o filenames; mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$value") ;;
      :dirs) compopt -o filenames; mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$value") ;;
      :users) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -u -- "$value") ;;
      :commands) mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -c -- "$value") ;;
      *[:,/=]) compopt -o nospace; COMPREPLY+=("$line") ;;
      *) COMPREPLY+=("$line") ;;
    esac
  done < <("${words[0]}" --complete "${words[@]:1}" 2>/dev/null)
  # readline has only what follows the last of its own breaks, and puts a candidate in the place of that.
  before=${current%"${current##*[:=]}"}
  if [[ -n $before && $COMP_WORDBREAKS == *"${before: -1}"* ]]; then
    for i in "${!COMPREPLY[@]}"; do COMPREPLY[i]=${COMPREPLY[i]#"$before"}; done
  fi
}
complete -F _anybind anybind
