#!/usr/bin/env bash
# Builds wheel and source archive, checks their metadata, and uses the wheel in a clean environment outside the repository.
# CLEAN=0 leaves the clean environment out, which downloads torch.
set -euo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
unset PYTHONPATH # else the clean environment would import what stands there
rm -rf dist
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
"$python" -m venv "$scratch/tools"
"$scratch/tools/bin/pip" install --quiet build twine
"$scratch/tools/bin/python" -m build --outdir dist .
"$scratch/tools/bin/twine" check --strict dist/*
inside=$("$python" -m zipfile -l dist/*.whl) # whole: grep -q on a pipe leaves it early, and pipefail calls that a failure
for file in experiments/py.typed experiments/conf/train.yaml; do
  grep -q "$file" <<< "$inside" || { echo "the wheel lacks $file"; exit 1; }
done
[ "${CLEAN:-1}" = 0 ] && exit 0
"$python" -m venv "$scratch/clean"
"$scratch/clean/bin/pip" install --quiet dist/*.whl
cd "$scratch"
clean/bin/experiments train data=digits model=lenet5 trainer.max_epochs=1 hydra.run.dir=run
clean/bin/experiments compare run
clean/bin/python -c 'import experiments; print(experiments.__version__, experiments.load("run"))'
