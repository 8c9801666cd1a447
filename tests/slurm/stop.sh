#!/usr/bin/env bash
# Stops the Slurm that tests/slurm/start.sh FOLDER started, and its jobs; nothing else.
set -uo pipefail

[ $# = 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
FOLDER=$(cd "$1" 2>/dev/null && pwd) || exit 0

running() { # NAME: the daemon's id, if the process of its pid file is that daemon
  local id
  id=$(cat "$FOLDER/run/$1.pid" 2>/dev/null) && [ -n "$id" ] || return 1
  case $(readlink "/proc/$id/exe") in */"$1"*) echo "$id" ;; *) return 1 ;; esac
}
stop() { # NAME
  local id
  id=$(running "$1") || return 0
  kill -TERM "$id"
  for _ in $(seq 100); do readlink "/proc/$id/exe" >/dev/null || return 0; sleep 0.1; done
  kill -KILL "$id"
}

if running slurmctld >/dev/null; then
  jobs() { timeout 5 "$FOLDER/bin/squeue" -h -o %i; }
  jobs | xargs -r timeout 10 "$FOLDER/bin/scancel" --full
  for _ in $(seq 150); do [ -n "$(jobs)" ] || break; sleep 0.1; done
fi
stop slurmd
stop slurmctld
stop munged
rm -f "$FOLDER"/run/*.pid
