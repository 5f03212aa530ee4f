# fish completion for anybind(8). What could stand on the line, anybind itself knows: see src/cli/complete.h.
function __anybind_complete
    set -l words (commandline -opc) (commandline -ct)
    set -l current $words[-1]
    set -l value (string replace -r -- '^--[^=]*=' '' $current)
    set -l before (string sub -l (math (string length -- $current) - (string length -- $value)) -- $current)
    for line in ($words[1] --complete $words[2..-1] 2>/dev/null)
        switch $line
            case ':files'
                string replace -r -- '^' $before (__fish_complete_path $value)
            case ':dirs'
                string replace -r -- '^' $before (__fish_complete_directories $value '')
            case ':users'
                string replace -r -- '^' $before (__fish_complete_users)
            case ':commands'
                __fish_complete_subcommand --fcs-skip=4
            case '*'
                echo $line
        end
    end
end
complete -c anybind -f -a '(__anybind_complete)'
