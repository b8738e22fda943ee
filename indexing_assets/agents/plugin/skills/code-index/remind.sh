#!/bin/sh
# Reminds a coding agent, before it greps, that the repository is indexed: once in a session, and only where there is
# an index. It reads the call of the tool as JSON on standard input and answers with context for the model.
# It never blocks: it decides nothing, always ends with status 0, and says nothing when anything is unclear.

LC_ALL=C
export LC_ALL
umask 077

field() {
    # The value of a string in the JSON, as far as it needs no escape.
    printf '%s' "$input" | sed -n "s/.*\"$1\"[[:space:]]*:[[:space:]]*\"\([^\"\\\\]*\).*/\1/p" | head -n 1
}

is_indexed() {
    case ${CODE_INDEX_DIR:-} in
        /*) [ -f "$CODE_INDEX_DIR/index.json" ] && return 0 ;;
    esac
    folder=$(pwd -P) || return 1
    steps=0
    while [ "$steps" -lt 64 ]; do
        [ -f "$folder/.code-index/index.json" ] && return 0
        # As a search does, it stops at the top of the checkout.
        [ -e "$folder/.git" ] && return 1
        [ "$folder" = / ] && return 1
        folder=${folder%/*}
        folder=${folder:-/}
        steps=$((steps + 1))
    done
    return 1
}

is_first() {
    session=$(field session_id)
    case $session in
        '' | *[!A-Za-z0-9_-]*) return 1 ;;
    esac
    [ "${#session}" -le 64 ] || return 1
    case ${XDG_STATE_HOME:-} in
        /*) state=$XDG_STATE_HOME ;;
        *)
            case ${HOME:-} in
                /*) state=$HOME/.local/state ;;
                *) return 1 ;;
            esac
            ;;
    esac
    state=$state/code-index/reminded
    mkdir -p "$state" || return 1
    # One of two calls at the same time makes the folder; the other one is quiet.
    mkdir "$state/$session" || return 1
    find "$state" -mindepth 1 -maxdepth 1 -type d -mtime +7 -exec rmdir {} +
    return 0
}

main() {
    input=$(head -c 65536; cat >/dev/null)
    case $(field tool_name) in
        Grep | grep) ;;
        *)
            case $(field command) in
                'grep '* | 'egrep '* | 'rg '* | 'ag '* | 'ack '* | 'git grep '*) ;;
                *) return ;;
            esac
            ;;
    esac
    is_indexed || return
    is_first || return
    cat <<'ANSWER'
{"hookSpecificOutput": {"hookEventName": "PreToolUse", "additionalContext": "This repository is indexed by code-index. To find where something is done, where a name is defined, who calls it, or what a task touches, its tools search, symbol, related and context (MCP server code-index; or the command code-index search) answer for fewer tokens than grep and reading. grep stays right for every occurrence of an exact string. This is said once in a session."}}
ANSWER
}

main 2>/dev/null
exit 0
