#!/usr/bin/env bash
# Compiles, trains and evaluates on a GPU machine in one go, and leaves the results under $OUT.
#
#   training/on_device.sh SECONDS [more options of training.train]
#
# SECONDS are of training; compiling takes about half a minute, evaluation one to two minutes. Needs nvcc, Python >= 3.11
# with torch and what holotime needs (wheels from .whl/perceive are used for what is missing), and finds ground-truth
# clips and pictures in .whl/perceive if they are there. Everything in OUT stays below 16 MiB.
set -euo pipefail
cd "$(dirname "$0")/.."
seconds=$1
shift
: "${OUT:?the folder for results}"
extra=.whl/perceive
if compgen -G "$extra/*.whl" >/dev/null; then
  python3 -m pip install -q --no-index --no-deps --no-compile --no-cache-dir --upgrade --target /tmp/site "$extra"/*.whl
  export PYTHONPATH=/tmp/site:$PWD/$extra/stub:${PYTHONPATH:-}
fi
export PYTHONPATH=$PWD:${PYTHONPATH:-} PYTHONUNBUFFERED=1 OMP_NUM_THREADS=16 PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True
nvidia-smi --query-gpu=name,memory.total --format=csv,noheader | tee "$OUT/device.txt"

# The generator must say on the GPU what it says on the CPU; a build that does not is made again with less optimisation.
python3 -m training.check_generator | tee "$OUT/generator.json"
python3 -m training.look "$OUT/kinds.jpg" --device cuda --height 256 --samples 4

hours=$(python3 -c "print($seconds / 3600)")
mkdir -p /tmp/run
for kept in "$extra"/weights.safetensors; do  # to go on from an earlier run's weights
  [ -f "$kept" ] && set -- --init "$kept" "$@"
done
timeout $((seconds + 90)) python3 -m training.train /tmp/run --hours "$hours" --device cuda "$@" || echo "training ended early" | tee "$OUT/early.txt"
cp /tmp/run/log.jsonl "$OUT/"
cp /tmp/run/weights.safetensors "$OUT/"

# Evaluation of what was trained, by the package itself.
cp /tmp/run/weights.safetensors holotime/perceive/data/panonet.safetensors
options=()
[ -d "$extra/gt4d" ] && options+=(--gt4d "$extra/gt4d")
[ -d "$extra/pictures" ] && options+=(--pictures "$extra/pictures")
timeout 150 python3 -m training.evaluate "$OUT" "${options[@]}" --procedural 96 --device cuda || echo "evaluation ended early" | tee -a "$OUT/early.txt"
ls -la "$OUT"
