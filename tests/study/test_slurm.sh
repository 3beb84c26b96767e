#!/usr/bin/env bash
# Runs a grid of two small cells under a real SLURM: one node, on this machine, that lives as long as this script.
#
#     STUDY_PYTHON=.venv/bin/python tests/study/test_slurm.sh PYTHON
#
# PYTHON has the extra `grid` (make grid installs it into .venv-grid); STUDY_PYTHON has the study, and is PYTHON itself if it has
# both. Needs root and Debian's packages slurm-wlm and munge; takes some minutes. It works on a copy of the repository in a
# temporary folder, and leaves nothing running.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=$(realpath -s "${1:?give the Python that has Snakemake}")
study=$(realpath -s "${STUDY_PYTHON:-$python}")
for program in munged slurmctld slurmd sbatch squeue; do
  [ -x "$(command -v "$program")" ] || { echo "no $program here: install slurm-wlm and munge" >&2; exit 1; }
done
[ "$(id -u)" = 0 ] || { echo "SLURM's daemons need root: run this as root" >&2; exit 1; }

conf=/etc/slurm/slurm.conf
linked=no
[ ! -e "$conf" ] || { echo "$conf is there already: this machine has a SLURM of its own; run this elsewhere" >&2; exit 1; }
place=$(mktemp -d /tmp/slurm-XXXXXX)
started=()
stop() {
  code=$?
  scancel --me 2>/dev/null && sleep 3  # a job's processes outlive the daemons otherwise
  for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
  wait 2>/dev/null || true
  if [ "$code" != 0 ]; then find "$place" -name '*.log' -exec tail -v -n 20 {} +; fi
  if [ "$linked" = yes ]; then rm -f "$conf"; fi
  rm -rf "$place"
  exit "$code"
}
trap stop EXIT

# One node with what this machine has: `slurmd -C` prints it.
hardware=$(slurmd -C | head -n 1 | tr ' ' '\n' | grep -E '^(CPUs|RealMemory)=' | tr '\n' ' ')
mkdir -p "$place"/{state,spool,munge}
chmod 755 "$place"
dd if=/dev/urandom of="$place/munge/key" bs=1024 count=1 status=none
chmod 400 "$place/munge/key"
cat > "$place/slurm.conf" <<EOF
ClusterName=test
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
SlurmctldPort=16817
SlurmdPort=16818
AuthType=auth/munge
AuthInfo=socket=$place/munge/socket
CredType=cred/munge
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
SlurmctldLogFile=$place/slurmctld.log
SlurmdLogFile=$place/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
MinJobAge=3600
MpiDefault=none
NodeName=$(hostname -s) NodeAddr=127.0.0.1 $hardware State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
# At its usual place, since Snakemake clears SLURM's variables, SLURM_CONF among them, before it submits.
mkdir -p /etc/slurm
ln -s "$place/slurm.conf" "$conf"
linked=yes

munged --foreground --force --key-file="$place/munge/key" --socket="$place/munge/socket" --pid-file="$place/munge/pid" \
  --seed-file="$place/munge/seed" --log-file="$place/munged.log" > "$place/munged.out.log" 2>&1 &
started+=($!)
for _ in $(seq 50); do [ -S "$place/munge/socket" ] && break; sleep 0.2; done
slurmctld -D > "$place/slurmctld.out.log" 2>&1 &
started+=($!)
slurmd -D > "$place/slurmd.out.log" 2>&1 &
started+=($!)
for _ in $(seq 100); do sinfo -h -o %T 2>/dev/null | grep -q idle && break; sleep 0.3; done
sinfo

# There is no accounting here. Snakemake would ask sacct all the same where scontrol is slow to answer; it looks for it by `which`.
mkdir "$place/bin"
printf '#!/bin/sh\n[ "$1" = sacct ] && exit 1\nexec %s "$@"\n' "$(command -v which)" > "$place/bin/which"
chmod +x "$place/bin/which"
export PATH="$place/bin:$PATH"

copy="$place/study"
mkdir "$copy"
cp -r "$root"/{palcore,notebooks,study,_toc.yml,pyproject.toml} "$copy"
cat > "$place/two.yml" <<EOF
settings:
  synthetic: {backbone: compact, image_size: 32, epochs: 1, units: 16, train_share: 0.1, learning_rate: 0.001}
questions:
  two:
    asks: Does the grid run under SLURM?
    dataset: synthetic
    seeds: [0]
    arms:
      - {strategy: [none, mean]}
EOF
cd "$copy"
export PYTHONPATH="$copy" STUDY_PYTHON="$study" TF_CPP_MIN_LOG_LEVEL=3
"$python" -m study.grid run --profile study/profiles/slurm --config grid="$place/two.yml" --latency-wait 10 \
  --slurm-no-account --slurm-status-command squeue --slurm-init-seconds-before-status-checks 5 "${@:2}"

squeue --states=all --format "%.6i %.10T %.6C %.8M %.20R"
[ "$(squeue -h --states=COMPLETED --format %i | wc -l)" = 2 ] || { echo "not two completed jobs" >&2; exit 1; }
for strategy in none mean; do
  record="runs/grid/synthetic-compact-$strategy-seed=0/record.json"
  "$study" -c 'import sys; from palcore.runs.records import read_record; r = read_record(sys.argv[1])
print(r["config"]["strategy"], r["metrics"]["test"]["faces"], "test faces,", r["seconds"], "s on", r["device"])' "$record"
done
cat runs/grid/attempts.csv
echo "1 passed, 0 failed"
