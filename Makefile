# `make demo` and `make test` do everything a fresh machine needs: virtual environment, packages, the run. A second run installs nothing.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin
export OMP_NUM_THREADS ?= 2

.PHONY: demo run test check attack mutants translations clean
.DEFAULT_GOAL := demo

demo: .venv/installed  ## the whole path on the sample client, on the embedded base
	$(BIN)/python avatar_pipeline.py demo

run: .venv/installed  ## the menu
	$(BIN)/python avatar_pipeline.py

test: .venv/installed-dev  ## every test
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: .venv/installed-dev  ## format, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

attack: .venv/installed-dev  ## kills, power cuts, full disks, hostile files ...: ROUNDS=short (minutes), long (hours) or a number
	OMP_NUM_THREADS=1 $(BIN)/python -m attack all --rounds $(or $(ROUNDS),short)

MUTANTS ?=
JOBS ?= 1
mutants: .venv/installed-dev  ## small wrong changes, each of which the tests must notice; MUTANTS=training tries those of a package
	$(BIN)/python mutants/run.py --jobs $(JOBS) $(if $(MUTANTS),$(MUTANTS),--write)

translations: .venv/installed-dev  ## read the texts from the source into locales/ and compile them
	$(BIN)/pybabel -q extract -F locales/babel.cfg -k N_ -o locales/avatar_pipeline.pot --no-location --project "Avatar Pipeline" .
	$(BIN)/pybabel -q update -D avatar_pipeline -i locales/avatar_pipeline.pot -d locales -l es --no-fuzzy-matching --ignore-obsolete
	$(BIN)/pybabel -q compile -D avatar_pipeline -d locales

clean:  ## everything that can be made again; clients/ stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache

.venv/bin/python:
	@test -n "$(PYTHON)" && $(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "Python 3.11, 3.12 or 3.13 is needed: https://www.python.org/downloads/ (or ./install.sh, which brings one). Here: $(PYTHON)"; exit 1; }
	$(PYTHON) -m venv .venv

.venv/installed: requirements.txt vendor/onnxruntime-shim/pyproject.toml | .venv/bin/python
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements.txt
	touch $@

.venv/installed-dev: requirements-dev.txt requirements-upscale.txt requirements-tune.txt requirements-machines.txt .venv/installed
	$(BIN)/python -m pip install --disable-pip-version-check -q -r requirements-dev.txt
	touch $@
