#!/bin/sh
# The four training stages on generated data, from a tiny random model: one command, CPU, under three minutes.
# usage: runs/tiny.sh [FOLDER] [STEPS]
set -eu
cd "$(dirname "$0")/.."
folder=${1:-$(mktemp -d)}
PYTHONPATH=src:. OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} python -m tests.train.stages "$folder" "${2:-120}"
echo "the finished model: $folder/stage4_video/run/final"
