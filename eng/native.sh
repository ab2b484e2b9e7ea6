# What eng/native-check.sh, eng/arm64-check.sh and eng/cluster-check.sh share; sourced in the repository's root.

# Installs packages of Debian for a purpose where that is possible, and says which are needed where it is not.
install_packages() {
  local purpose=$1
  shift
  if ((EUID == 0)) && command -v apt-get >/dev/null; then
    apt-get -qq update </dev/null
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends "$@" >/dev/null
  else
    echo "There is no $purpose. Install it; on Debian and Ubuntu: sudo apt-get install $*" >&2
    exit 1
  fi
}

# Gives the quick start's model, which it trains where it is not in the folder yet.
quick_start_model() {
  local model=$1/quickstart.leap.zip
  [[ -e $model ]] || TMPDIR=$(realpath "$1") verb_quickstart >&2
  echo "$model"
}

# A line, and the pages' lines: a few hundred documents, with empty ones among them.
write_documents() {
  echo "Returns the number of elements in the collection." >"$1/one.txt"
  head -q -n 10 README.md docs/*.md >"$1/many.txt"
}

# Prints a figure; where its goal is missed, sets $missed.
report() {
  local name=$1 figure=$2 reached=$3 goal=$4
  if ((reached)); then
    echo "$name: $figure ($goal)"
  else
    echo "$name: $figure; missed: $goal"
    missed=1
  fi
}

# Compares log-likelihoods per token, and the numbers of lines and tokens.
report_difference() {
  local name=$1 expected=$2 got=$3 difference
  difference=$(paste "$expected" "$got" | awk -F '\t' '
    NF != 6 || $3 != $6 { print "not the same lines"; failed = 1; exit }
    $3 > 0 { d = ($2 - $5) / $3; if (d < 0) d = -d; if (d > most) most = d }
    END { if (!failed) printf "%.1e", most }')
  report "$name, greatest difference of a log-likelihood per token" "$difference of $(wc -l <"$got") documents" \
    "$(awk "BEGIN { print (\"$difference\" ~ /^[0-9]/ && $(wc -l <"$expected") > 100 && \"$difference\" + 0 <= $most_difference) }")" "at most $most_difference"
}
