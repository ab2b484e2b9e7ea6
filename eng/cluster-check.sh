#!/usr/bin/env bash
# Runs all tests of training on a cluster, those with Redis included: silos and workers as processes that are killed, stopped and started again, and Redis itself.
# Then samples/ClusterAppHost: a silo and two workers under Aspire. Installs redis-server where it is not there and that is possible. Fails where a test failed or
# was skipped, or a worker left no model.
#
# usage: eng/cluster-check.sh
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source eng/verbs.sh
source eng/native.sh

readonly project=test/Microsoft.ML.Leap.Tests results=artifacts/cluster-check
status=0

[[ $(uname -s) == Linux ]] || { echo "This check is for Linux." >&2; exit 1; }
command -v redis-server >/dev/null || install_packages "Redis server" redis-server
redis-server --version
dotnet build "$project" --configuration Release --verbosity quiet
rm -rf "$results"
"$project/bin/Release/net10.0/Microsoft.ML.Leap.Tests" --filter "FullyQualifiedName~Microsoft.ML.Leap.Tests.Cluster." \
  --output Detailed --no-progress --report-trx --results-directory "$PWD/$results" || status=$?

line=$(summarize_tests "$results") || status=1
echo "cluster-check: $line"
[[ $line != *skipped* ]] || { echo "cluster-check: tests were skipped, which count as failed here" >&2; status=1; }

# The app host goes on until it is told to end. Its silo would share its ports with one that has them, and its workers would find either.
if (: >/dev/tcp/127.0.0.1/30000) 2>/dev/null; then
  echo "cluster-check: port 30000 is in use, perhaps by another silo. End that, and run this again." >&2
  exit 1
fi
models=("$PWD/$results/apphost/first.zip" "$PWD/$results/apphost/second.zip")
head -n 60 docs/training.md >"$results/corpus.txt"
dotnet build samples/ClusterAppHost --configuration Release --verbosity quiet
dotnet run --no-build --configuration Release --project samples/ClusterAppHost -- "$results/corpus.txt" "$results/apphost" >"$results/apphost.log" 2>&1 &
host=$!
for _ in {1..300}; do
  [[ -s ${models[0]} && -s ${models[1]} ]] && break
  sleep 1
done
pkill --parent "$host" || true
wait "$host" || true
if [[ -s ${models[0]} && -s ${models[1]} ]]; then
  echo "cluster-check: the workers under Aspire left their models"
else
  echo "cluster-check: the workers under Aspire left no models; see $results/apphost.log" >&2
  status=1
fi

exit "$status"
