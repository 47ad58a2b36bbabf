#!/usr/bin/env bash
# Runs run and sweep tests with the newest pre-releases of hydra-core and omegaconf, in an environment of their own on top of
# .venv (or the folder given). What fails there is reported, and fails nothing: it says what the next release will break.
set -uo pipefail
cd "$(dirname "$0")/.."
limit=${LIMIT:-180} # seconds for the installation, and for the tests
base=${1:-.venv}
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
if ! "$base/bin/python" -m venv "$place"; then
  echo "prerelease: skipped, as no second environment could be made"
  exit 0
fi
site() { "$1/bin/python" -c 'import site; print(site.getsitepackages()[0])'; }
echo "import site; site.addsitedir('$(site "$base")')" > "$(site "$place")/base.pth" # after its own packages
if ! timeout "$limit" "$place/bin/python" -m pip install --quiet --disable-pip-version-check --pre --ignore-installed hydra-core omegaconf; then
  echo "prerelease: skipped, as the pre-releases could not be installed in $limit s"
  exit 0
fi
"$place/bin/python" -c 'import hydra, importlib.metadata as m; print("prerelease: hydra-core", hydra.__version__, "omegaconf", m.version("omegaconf"))'
export PYTHONPATH="$PWD/src${PYTHONPATH:+:$PYTHONPATH}"
timeout "$limit" "$place/bin/python" -m pytest -q -m "" -n0 -p no:cacheprovider \
  tests/run/test_execute.py::test_the_record_tells_all \
  tests/run/test_execute.py::test_evaluate_gives_the_recorded_figures \
  tests/sweep/test_plan.py::test_every_option_is_what_hydra_composes \
  tests/sweep/test_launch.py::test_every_cell_gets_a_folder_a_record_and_a_line \
  tests/sweep/test_launch.py::test_the_same_command_again_does_nothing
code=$?
case $code in
  0) echo "prerelease: run and sweep tests pass" ;;
  124) echo "prerelease: given up after $limit s" ;;
  *) echo "prerelease: FAILED with these versions (exit code $code); nothing here depends on them yet" ;;
esac
exit 0
