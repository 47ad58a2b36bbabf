"""What `experiments completion` prints for each shell, and the line that calls it."""

from __future__ import annotations

SCRIPTS = {
    "bash": r"""_experiments() {
    local IFS=$'\n' line="${COMP_LINE:0:$COMP_POINT}" word before one
    COMPREPLY=($(experiments completion line "$line" 2>/dev/null))
    word="${line//\\ /__}"; word="${word##* }"
    if [[ "$word" == *[=:]* && "$COMP_WORDBREAKS" == *=* ]]; then
        before="${word%"${word##*[=:]}"}"
        COMPREPLY=("${COMPREPLY[@]#"$before"}")
    fi
    for one in "${COMPREPLY[@]}"; do
        case "$one" in *=|*.|*/) compopt -o nospace ;; esac
    done
    return 0
}
complete -F _experiments experiments
""",
    "zsh": r"""#compdef experiments
_experiments() {
    local -a found unfinished
    found=("${(@f)$(experiments completion words zsh "${(@)words[2,$CURRENT]}" 2>/dev/null)}")
    found=("${(@)found:#}")
    unfinished=("${(@M)found:#*[=./]}")
    found=("${(@)found:|unfinished}")
    (( $#unfinished )) && compadd -Q -S '' -- "${unfinished[@]}"
    (( $#found )) && compadd -Q -- "${found[@]}"
    return 0
}
if [[ "$funcstack[1]" = _experiments ]]; then
    _experiments "$@"
elif (( $+functions[compdef] )); then
    compdef _experiments experiments
else
    autoload -Uz compinit && compinit && compdef _experiments experiments
fi
""",
    "fish": r"""function __experiments_words
    set -l words (commandline -opc) (commandline -ct)
    experiments completion words fish $words[2..-1] 2>/dev/null
end
complete -c experiments -f -a '(__experiments_words)'
""",
}
INSTALL = {
    "bash": 'eval "$(experiments completion bash)"   # in ~/.bashrc',
    "zsh": 'eval "$(experiments completion zsh)"    # in ~/.zshrc',
    "fish": "experiments completion fish | source   # in ~/.config/fish/config.fish",
}
