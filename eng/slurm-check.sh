#!/usr/bin/env bash
# Scores a file by samples/Slurm/score.sbatch under a real Slurm, whose only node is this machine, kills shards while they run, and compares the joined output with
# that of one process: eng/slurm-check.sh [MODEL.zip [TEXTS]]
# Without arguments it trains a tiny model on this repository's pages, and scores copies of them. It needs Linux, and was run as root; on Debian or Ubuntu root
# installs slurmctld, slurmd, slurm-client and munge, which stay (where systemd runs, Debian starts munge by itself). The daemons of the check are its own: their
# configuration, state and logs are in a temporary folder, they listen on free ports, and all of it is gone at the end. /etc is not touched.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

readonly shards=16 seconds_per_shard=${LEAP_SECONDS_PER_SHARD:-8}
readonly batch=$PWD/samples/Slurm/score.sbatch tool=$PWD/src/Leap.Tool/bin/Release/net10.0/Leap.Tool
work=$(mktemp -d)
readonly work
export PATH=$PATH:/usr/sbin
# What runs a node has this in its environment.
readonly mark=LEAP_SLURM_CHECK_NODE=$work

say() { echo "== $*"; }
fail() {
  echo "slurm-check: $*" >&2
  tail -n 20 "$work"/*.out "$work"/*.log "$work"/jobs/*.log >&2 || true
  exit 1
}

install_slurm() {
  local program missing=
  for program in slurmctld slurmd sbatch munged; do command -v "$program" >/dev/null || missing=$program; done
  [[ $missing ]] || return 0
  if ! command -v apt-get >/dev/null || ((EUID != 0)); then
    echo "There is no $missing: install slurmctld, slurmd, slurm-client and munge (Debian and Ubuntu: apt-get install, as root)." >&2
    exit 1
  fi
  say "installing Slurm"
  export DEBIAN_FRONTEND=noninteractive
  apt-get -qq update </dev/null
  apt-get -qq install -y --no-install-recommends slurmctld slurmd slurm-client munge </dev/null
}

# The processes of the node: its daemon, what that started, and the jobs.
list_node() {
  grep -lsz "^$mark" /proc/[0-9]*/environ | cut -d / -f 3 || true
  pgrep -f "$work/spool" || true
  pgrep -f "^leap score $work" || true
}

start_node() {
  env "$mark" slurmd -D >>"$work/slurmd.out" 2>&1 &
  node=$!
  # Bash need not tell that it was killed.
  disown "$node"
}

controller='' munge=''
finish() {
  local code=$?
  trap - EXIT
  say "taking Slurm down"
  if [[ $controller ]]; then timeout 20 scancel --quiet --user "$(id -un)" || true; fi
  local i
  for i in {1..20}; do
    [[ $controller && $(timeout 5 squeue --noheader --states=running,completing 2>/dev/null) ]] || break
    sleep 0.5
  done
  # shellcheck disable=SC2046
  kill -9 $(list_node) $controller $munge 2>/dev/null || true
  wait 2>/dev/null || true
  rm -rf "$work"
  exit "$code"
}

free_port() {
  local port=$((20000 + RANDOM % 10000))
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
  echo "$port"
}

start_slurm() {
  local host user
  host=$(hostname -s) user=$(id -un)
  mkdir -m 700 "$work"/{munge,state,spool,jobs}
  (umask 077 && dd if=/dev/urandom of="$work/munge/key" bs=128 count=1 status=none)
  munged --foreground --force --key-file="$work/munge/key" --socket="$work/munge/socket" --pid-file="$work/munge/pid" --seed-file="$work/munge/seed" \
    >>"$work/munged.out" 2>&1 &
  munge=$!

  # cred_expire is also how long a requeued job waits before it starts again, usually 120 s; SlurmdTimeout is when a node that does not answer is down, usually 300 s.
  cat >"$work/slurm.conf" <<EOF
ClusterName=leap-check
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
AuthType=auth/munge
AuthInfo=socket=$work/munge/socket,cred_expire=10
SlurmUser=$user
SlurmdUser=$user
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
MpiDefault=none
ReturnToService=2
SlurmdTimeout=15
KillWait=5
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=2000 State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
EOF
  export SLURM_CONF=$work/slurm.conf
  slurmctld -D -i >>"$work/slurmctld.out" 2>&1 &
  controller=$!
  start_node
  local i
  for i in {1..60}; do
    if [[ $(sinfo --noheader --format=%t 2>/dev/null) == idle ]]; then return; fi
    sleep 0.5
  done
  fail "the node did not come up"
}

# State of a task of the array, such as RUNNING; the tasks of one state, as "1 2 3".
state() { scontrol --oneliner show job "${job}_$1" | sed -n 's/.* JobState=\([A-Z_]*\).*/\1/p'; }
restarts() { scontrol --oneliner show job "${job}_$1" | sed -n 's/.* Restarts=\([0-9]*\).*/\1/p'; }
name() { printf '%s/scored-%05d-of-%05d.jsonl' "$work" "$1" "$shards"; }

# Waits until a shard is under way: its process has begun to write, and is not done.
await_shard() {
  local i
  for i in {1..1200}; do
    if [[ -s $(name "$1").part ]]; then return; fi
    [[ -e $(name "$1") ]] && fail "shard $1 was done before it could be killed: LEAP_SECONDS_PER_SHARD must be more than $seconds_per_shard"
    sleep 0.1
  done
  fail "shard $1 did not start"
}

process_of() { pgrep -f "^leap score $work.* --shard $1/$shards\$"; }

now() { date +%s.%N; }
since() { awk -v from="$1" -v to="$(now)" 'BEGIN { printf "%.1f", to - from }'; }

install_slurm
trap finish EXIT
dotnet build src/Leap.Tool --configuration Release --verbosity quiet --nologo
mkdir "$work/bin"
ln -s "$tool" "$work/bin/leap"
export PATH=$work/bin:$PATH

cat README.md docs/*.md | grep . >"$work/page.txt"
if (($# > 0)); then
  cp "$1" "$work/model.zip"
else
  say "training a tiny model"
  leap backend >/dev/null
  leap train "$work/page.txt" -o "$work/model.zip" --steps 60 --hidden 64 --layers 2 --heads 2 --context 128 --tokenizer bpe:1024 --memory 1 2>"$work/train.log" \
    || fail "$(cat "$work/train.log")"
fi

input=$work/texts.txt
if (($# > 1)); then
  cp "$2" "$input"
else
  DOTNET_PROCESSOR_COUNT=1 leap score "$work/model.zip" "$work"/page{,,,}.txt --json >/dev/null 2>"$work/speed"
  # Without what the start takes.
  seconds=$(sed -n 's/.* tokens in \([0-9.]*\) s.*/\1/p' "$work/speed")
  copies=$(awk -v seconds="$seconds" -v wanted="$((shards * seconds_per_shard))" 'BEGIN { print int(4 * wanted / seconds) + 1 }')
  for ((i = 0; i < copies; i++)); do cat "$work/page.txt"; done >"$input"
fi
say "input: $(wc -l <"$input") rows, $(wc -c <"$input") bytes, for $shards shards"

say "one process"
from=$(now)
leap score "$work/model.zip" "$input" -o "$work/whole.jsonl"
say "one process took $(since "$from") s"

start_slurm
say "Slurm $(sinfo --version | cut -d ' ' -f 2): controller and node are up, with $(nproc) processors"
from=$(now)
cd "$work/jobs"
job=$(sbatch --parsable "$batch" "$work/model.zip" "$input" "$work/scored.jsonl")
say "sbatch: job $job, array of $shards"

await_shard 1
kill -9 "$(process_of 1)"
say "shard 1: its process was killed; score.sbatch puts it back"

await_shard 2
scontrol requeue "${job}_2"
say "shard 2: the running task was requeued by 'scontrol requeue'"

await_shard 3
scancel --signal=KILL --full "${job}_3"
for _ in {1..200}; do [[ $(state 3) =~ RUNNING|COMPLETING ]] || break; sleep 0.1; done
ended=$(state 3)
[[ $ended =~ FAILED|CANCELLED ]] || fail "shard 3 is $ended after 'scancel --signal=KILL --full'"
scontrol requeue "${job}_3"
say "shard 3: its task was ended by 'scancel --signal=KILL --full', was $ended, and was requeued by hand"

# Whatever runs when a fourth part is under way.
for _ in {1..1200}; do
  lost=$(for ((i = 4; i <= shards; i++)); do [[ -s $(name "$i").part ]] && echo "$i"; done || true)
  [[ $lost ]] && break
  sleep 0.1
done
[[ $lost ]] || fail "no shard after the third one started"
# Listed first, then killed at once, and the daemon before the others, so that it tells nobody.
processes=$(list_node)
# shellcheck disable=SC2086
kill -9 "$node" $processes 2>/dev/null || true
# What began in between.
# shellcheck disable=SC2046
kill -9 $(list_node) 2>/dev/null || true
lost=$(for i in $lost; do [[ -e $(name "$i") ]] || echo "$i"; done)
[[ $lost ]] || fail "the shards were done before their node was killed: set LEAP_SECONDS_PER_SHARD to more than $seconds_per_shard"
from_node=$(now)
for _ in {1..240}; do
  [[ $(sinfo --noheader --format=%t) == down* ]] && break
  sleep 0.5
done
say "shard ${lost//$'\n'/ and }: the node was killed with all its processes; after $(since "$from_node") s it is $(sinfo --noheader --format=%t), and starts again"
start_node

for _ in {1..3600}; do
  [[ $(squeue --noheader --job "$job" 2>/dev/null) ]] || break
  sleep 0.5
done
took=$(since "$from")
total=0
for ((i = 1; i <= shards; i++)); do
  [[ $(state "$i") == COMPLETED ]] || fail "shard $i is $(state "$i")"
  total=$((total + $(restarts "$i")))
  echo "shard $i: $(state "$i"), started again $(restarts "$i") times"
done
for i in 1 2 3 $lost; do (($(restarts "$i") > 0)) || fail "shard $i was killed, and not started again"; done

cat "$work"/scored-*-of-000$shards.jsonl | cmp - "$work/whole.jsonl" || fail "the shards differ from one process"
[[ $(compgen -G "$work/*.part") ]] && fail "there are unfinished files"
say "slurm-check: $shards shards took $took s, $total tasks were started again; joined, they are byte for byte the output of one process," \
  "$(wc -c <"$work/whole.jsonl") bytes, SHA-256 $(sha256sum "$work/whole.jsonl" | cut -c 1-16)"
