#!/bin/sh
# Refreshes the index of the repository in the background, if it has one; for hooks of git, which it never fails.
# What it says is in the folder of git, in code-index.log.
[ -d "${CODE_INDEX_DIR:-.code-index}" ] || exit 0
git=$(git rev-parse --absolute-git-dir) || exit 0
echo $$ >"$git/code-index.turn"
{
    # Of many commits in a row, as in a rebase, the last one indexes.
    sleep 2
    [ "$(cat "$git/code-index.turn")" = $$ ] || exit
    : >"$git/code-index.log"
    exec code-index index >>"$git/code-index.log" 2>&1
} </dev/null >/dev/null 2>&1 &
