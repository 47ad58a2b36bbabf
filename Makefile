# Every target makes .venv when it is missing or older than pyproject.toml, with uv where it is installed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# A file to a worker, in the order of tests/conftest.py, which begins with the files that take longest.
WORKERS := -n auto --dist loadfile --no-loadscope-reorder
UV := $(shell command -v uv 2>/dev/null)

.PHONY: install dev demo test slow plain prerelease check package benchmark lessons docs docs-test clean

install: $(VENV)/installed

dev: $(VENV)/installed-dev

$(VENV)/bin/python:
ifdef UV
	$(UV) venv --quiet --python $(PYTHON) $(VENV)
else
	$(PYTHON) -m venv $(VENV)
endif

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
ifdef UV
	$(UV) pip install --quiet --python $(BIN)/python -c constraints.txt -e .
else
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
endif
	@touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
ifdef UV
	$(UV) pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[dev]'
else
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
endif
	@touch $(VENV)/installed $@

demo: install ## trains LeNet-5 on scanned digits, then compares a few networks on them
	$(BIN)/experiments train data=digits model=lenet5 trainer.max_epochs=20
	$(BIN)/experiments train -m data=digits model=logistic_regression,mlp,simple_cnn trainer.max_epochs=20
	$(BIN)/experiments compare outputs

test: dev ## the quick tests
	$(BIN)/python -m pytest -q $(WORKERS)

slow: dev ## the tests that take longer
	$(BIN)/python -m pytest -q -m slow $(WORKERS)

plain: dev ## run, resume and sweep tests without any stand-in for parts of Lightning, torch and Hydra
	EXPERIMENTS_PLAIN=1 $(BIN)/python -m pytest -q -m "" $(WORKERS) -k "not bit_identical or cosine or workers" \
		tests/run/test_old_runs.py tests/run/test_resume.py \
		tests/run/test_execute.py::test_the_record_tells_all tests/run/test_execute.py::test_evaluate_gives_the_recorded_figures \
		tests/sweep/test_launch.py::test_every_cell_gets_a_folder_a_record_and_a_line \
		tests/sweep/test_launch.py::test_the_same_command_again_does_nothing

prerelease: dev ## run and sweep tests with the newest pre-releases of hydra-core and omegaconf; a failure is reported and no failure
	scripts/prerelease.sh $(VENV)

check: dev ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

package: ## wheel and source archive, checked, and used in a clean environment
	scripts/check_package.sh

benchmark: install ## the speed tables of docs/speed.md
	$(BIN)/python scripts/benchmark.py

lessons: dev ## writes the lessons with outputs and pictures of their commands, and the page of all keys
	$(BIN)/python scripts/lessons.py

docs-test: dev ## runs every command of the lessons, small
	$(BIN)/python scripts/lessons.py --check

docs: dev ## builds the site into site/ with its links checked; open site/index.html, which needs neither server nor network
	$(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache
