#!/usr/bin/env bash
# With `--resources gpu=1` the cells of a GPU question run one after the other, while those of other questions go on beside them.
#
#     STUDY_PYTHON=.venv/bin/python tests/study/test_gpu_queue.sh PYTHON
#
# PYTHON has the extra `grid` (make grid installs it into .venv-grid); STUDY_PYTHON has the study, and is PYTHON itself if it has
# both. Needs no GPU: what is asked is the order. Takes some minutes, and works on a copy of the repository in a temporary folder.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
python=$(realpath -s "${1:?give the Python that has Snakemake}")
study=$(realpath -s "${STUDY_PYTHON:-$python}")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

mkdir "$place/study"
cp -r "$root"/{palcore,notebooks,study,_toc.yml,pyproject.toml} "$place/study"
cat > "$place/queue.yml" <<'EOF'
settings:
  synthetic: {backbone: compact, image_size: 32, epochs: 1, units: 16, train_share: 0.1, learning_rate: 0.001}
questions:
  large:
    asks: Do these wait for each other?
    dataset: synthetic
    gpu: true
    seeds: [0, 1]
    arms:
      - {strategy: none}
  small:
    asks: Do these wait for nobody?
    dataset: synthetic
    seeds: [2]
    arms:
      - {strategy: none}
EOF
cd "$place/study"
export PYTHONPATH="$place/study" STUDY_PYTHON="$study" TF_CPP_MIN_LOG_LEVEL=3
"$python" -m study.grid run --config grid="$place/queue.yml" questions=large,small --cores 6 --resources gpu=1 "${@:2}"

cat runs/grid/attempts.csv
"$study" - <<'EOF'
import csv

times = {}
for name, event, time in csv.reader(open("runs/grid/attempts.csv")):
    times.setdefault(name.rsplit("=", 1)[1], {})[event] = time
first, second = sorted((times[seed] for seed in "01"), key=lambda cell: cell["started"])
beside = times["2"]
assert second["started"] >= first["finished"], "both GPU cells ran at once"
assert beside["started"] < first["finished"] and first["started"] < beside["finished"], "the other cell waited for the GPU"
EOF
echo "1 passed, 0 failed"
