#!/usr/bin/env bash
# A Slurm of one node on this machine, for the tests: tests/slurm/start.sh FOLDER
# Its configuration, state and logs lie in FOLDER, its daemons listen on the loopback. Prints what
# to evaluate in the shell that uses it; tests/slurm/stop.sh FOLDER stops what was started here.
set -euo pipefail

[ $# = 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
mkdir -p "$1"
FOLDER=$(cd "$1" && pwd)
HERE=$(cd "$(dirname "$0")" && pwd)
PORT=${SLURM_TEST_PORT:-16820}
ME=$(id -un)

fail() {
  echo "Slurm for the tests did not start: $*" >&2
  for log in "$FOLDER"/log/*; do [ -s "$log" ] && { echo "--- $log"; tail -n 8 "$log"; }; done >&2
  "$HERE/stop.sh" "$FOLDER" >&2
  exit 1
}
until_true() { # SECONDS COMMAND...
  local end=$((SECONDS + $1)); shift
  until "$@" >/dev/null 2>&1; do [ $SECONDS -lt $end ] || return 1; sleep 0.1; done
}

# Debian's packages. Their own services are not started, and nothing of theirs is configured.
export PATH=$PATH:/usr/sbin
missing=()
for pair in munged:munge slurmctld:slurmctld slurmd:slurmd sbatch:slurm-client; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
if [ ${#missing[@]} -gt 0 ]; then
  if [ "$ME" != root ] || ! command -v apt-get >/dev/null; then
    echo "The Slurm tests need the packages ${missing[*]}; install them, for example with" \
      "\`sudo apt-get install --no-install-recommends ${missing[*]}\`." >&2
    exit 1
  fi
  policy=/usr/sbin/policy-rc.d
  [ -e $policy ] || {
    trap "rm -f $policy" EXIT
    printf '#!/bin/sh\nexit 101\n' >$policy
    chmod 755 $policy
  }
  export DEBIAN_FRONTEND=noninteractive
  apt-get install -qq --no-install-recommends "${missing[@]}" >"$FOLDER/apt.log" 2>&1 ||
    { apt-get update -qq && apt-get install -qq --no-install-recommends "${missing[@]}"; } \
      >"$FOLDER/apt.log" 2>&1 || { cat "$FOLDER/apt.log" >&2; exit 1; }
  [ -z "$(trap -p EXIT)" ] || { rm -f $policy; trap - EXIT; }
fi

"$HERE/stop.sh" "$FOLDER"
rm -rf "$FOLDER"/{state,spool,log}
mkdir -p "$FOLDER"/{etc,run,log,state,spool,munge,bin}
chmod 755 "$FOLDER" "$FOLDER"/*
HOST=$(hostname -s)
SOCKET=$FOLDER/munge/socket
[ -s "$FOLDER/munge/key" ] || head -c 1024 /dev/urandom >"$FOLDER/munge/key"
chmod 400 "$FOLDER/munge/key"

# No cgroups (containers have none to give), no accounting. The GPUs are character devices that
# nothing opens. cred_expire: how long a requeued job waits. MinJobAge: records that tests read.
cat >"$FOLDER/etc/slurm.conf" <<C
ClusterName=test
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=$PORT
SlurmUser=$ME
SlurmdUser=$ME
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket=$SOCKET,cred_expire=10
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
ProctrackType=proctrack/pgid
TaskPlugin=task/none
MpiDefault=none
SwitchType=switch/none
SchedulerType=sched/backfill
SchedulerParameters=bf_interval=1,sched_interval=1,sched_min_interval=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
GresTypes=gpu
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MinJobAge=7200
KillWait=2
ReturnToService=2
StateSaveLocation=$FOLDER/state
SlurmdSpoolDir=$FOLDER/spool
SlurmctldPidFile=$FOLDER/run/slurmctld.pid
SlurmdPidFile=$FOLDER/run/slurmd.pid
SlurmctldLogFile=$FOLDER/log/slurmctld.log
SlurmdLogFile=$FOLDER/log/slurmd.log
SlurmdParameters=config_overrides
NodeName=node NodeHostname=$HOST NodeAddr=127.0.0.1 Port=$((PORT + 1)) CPUs=4 RealMemory=100000 Gres=gpu:3
PartitionName=main Nodes=node Default=YES MaxTime=1-00:00:00 PriorityTier=1
PartitionName=urgent Nodes=node MaxTime=1-00:00:00 PriorityTier=2 PreemptMode=OFF
C
cat >"$FOLDER/etc/gres.conf" <<C
AutoDetect=off
Name=gpu File=/dev/null
Name=gpu File=/dev/zero
Name=gpu File=/dev/full
C
# Named outright: finding out which cgroups there are fails in containers.
printf 'CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n' >"$FOLDER/etc/cgroup.conf"

# The executor takes every SLURM_* variable from its jobs, the place of the configuration too.
for command in sbatch srun scancel scontrol sinfo squeue; do
  printf '#!/bin/sh\nSLURM_CONF=%s exec %s "$@"\n' "$FOLDER/etc/slurm.conf" \
    "$(command -v $command)" >"$FOLDER/bin/$command"
  chmod 755 "$FOLDER/bin/$command"
done
export SLURM_CONF=$FOLDER/etc/slurm.conf

munged --key-file="$FOLDER/munge/key" --socket="$SOCKET" --pid-file="$FOLDER/run/munged.pid" \
  --log-file="$FOLDER/log/munged.log" --seed-file="$FOLDER/munge/seed" >&2 || fail munged
until_true 10 munge -n -S "$SOCKET" || fail "munged does not answer"
slurmctld </dev/null >"$FOLDER/log/slurmctld.out" 2>&1 || fail slurmctld
until_true 20 scontrol ping || fail "slurmctld does not answer"
slurmd -N node </dev/null >"$FOLDER/log/slurmd.out" 2>&1 || fail slurmd
idle() { [ "$(sinfo -h -p main -o %t)" = idle ]; }
until_true 20 idle || fail "the node is $(sinfo -h -p main -o '%t (%E)')"

echo "export SNAKESTEER_TEST_SLURM='$FOLDER'"
echo "export PATH='$FOLDER/bin':\"\$PATH\""
