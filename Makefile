# make demo: the main job on the small pool that ships.   make test: every check that main must pass.
# Both set themselves up in $(VENV); Python 3.10 or newer and make are all they need.
VENV ?= .venv
PYTHON ?= python3
PIP = $(VENV)/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt
export HF_HUB_OFFLINE ?= 1
export OMP_NUM_THREADS ?= 1

.PHONY: demo test lint clean

demo: $(VENV)/.demo
	$(VENV)/bin/python -m prm_eval.cli demo

test: lint
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile

lint: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e .
	touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e ".[test]"
	touch $@ $(VENV)/.demo

clean:
	rm -rf .venv demo_out prm_eval_runs build *.egg-info
