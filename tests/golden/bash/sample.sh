#!/usr/bin/env bash
# Deploys the shop.
set -euo pipefail

source ./lib.sh
. "$HOME/.shoprc"

readonly RATE=19

# Prints a message.
# Arguments: the message.
log() {
  local level="${2:-info}"
  echo "[$level] $1"
}

function deploy {
  if [[ -z "$1" && -n "$2" || -f "$3" ]]; then
    log "nothing to do"
    return 1
  elif [ "$1" = "all" ]; then
    for host in "${hosts[@]}"; do
      while read -r line; do
        [ -n "$line" ] || continue 2
      done < "$host"
    done
  else
    until ping -c 1 "$1"; do
      sleep 1
    done
  fi
  case "$1" in
    start|stop)
      log "$1"
      ;;
    *)
      log "unknown"
      ;;
  esac
  build && test || log "failed"
}

function with_parens() (
  cd /tmp
)

cat <<EOF
log() { not a function; }
EOF

deploy "$@"
