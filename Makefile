# make demo: track the shipped clip.  make test: run every check.  make docs: build the pages into build/docs/.
# All create .venv if it is not there. make venv creates it empty, so that another build of PyTorch can be installed first.

SHELL := /bin/sh
# Nothing from outside the virtual environment may leak into it.
unexport PYTHONPATH PYTHONHOME PIP_TARGET PIP_PREFIX
export PIP_USER := 0
export PYTHONNOUSERSITE := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3.10 python3; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys, venv; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 && echo $$p && break; done)
BIN := .venv/bin

.PHONY: demo test venv lint docs format clean

demo: .venv/.installed
	$(BIN)/persam-vos demo --output out/demo

test: .venv/.installed-dev lint
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist worksteal

lint: .venv/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/.installed-dev
	$(BIN)/sphinx-build --fail-on-warning --nitpicky --quiet docs build/docs
	@echo build/docs/index.html

format: .venv/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

venv: $(BIN)/python

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.10 or newer with venv is needed; set PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv

.venv/.installed: $(BIN)/python pyproject.toml
	$(BIN)/python -m pip install --quiet --editable '.[openvino,studio]'
	@touch $@

# vos-benchmark asks for opencv-python, which would lie over opencv-python-headless; what it needs is here already.
.venv/.installed-dev: .venv/.installed
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	$(BIN)/python -m pip install --quiet --no-deps 'vos-benchmark>=0.1'
	@touch $@

clean:
	rm -rf .venv out build dist
