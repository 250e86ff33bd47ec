# make demo: the main job on the small pool that ships.   make test: every check that main must pass.
# make documents: the generated parts of README.md and docs/.
# make results: the pool and the submissions of this project in results/, made anew (what is there already stays as it is).
# All set themselves up in $(VENV); Python 3.10 or newer and make are all they need.
VENV ?= .venv
PYTHON ?= python3
PIP = $(VENV)/bin/python -m pip install -q --disable-pip-version-check -c constraints.txt
export HF_HUB_OFFLINE ?= 1
export OMP_NUM_THREADS ?= 1

.PHONY: demo test lint browser results results-miniature clean

demo: $(VENV)/.demo
	$(VENV)/bin/python -m prm_eval.cli demo

test: lint browser
	rm -f .coverage .coverage.*
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder --cov --cov-report=
	$(VENV)/bin/python -m tests.floors

# What the documents take from code and results: the command line, the recipes, the board and its head.
.PHONY: documents
documents: $(VENV)/.demo
	$(VENV)/bin/python -m prm_eval.cli.document

RESULTS ?= results
EVAL = $(VENV)/bin/python -m prm_eval.cli
OURS = --licence Apache-2.0 --base-model none --training-data none --trained-on-math-test no --trained-on-prm800k no \
	--trained-on-this-pool no --contact prm_eval

results: $(VENV)/.demo
	$(VENV)/bin/python -m prm_eval.submissions.schemas $(RESULTS)/schema
	rm -rf build/demo-35x8
	$(EVAL) pool import prm_eval/demo/demo.jsonl -o build/demo-35x8 --policy hand-written
	$(EVAL) pool register build/demo-35x8 --id demo-35x8 -o $(RESULTS) \
		--title "Demonstration: 35 problems, 8 candidates each, written by hand"
	for rule in arithmetic boxed-support; do \
		$(EVAL) score $(RESULTS)/pools/demo-35x8 --reward-model $$rule --submission prm_eval/$$rule -o $(RESULTS) && \
		$(EVAL) submit-form $(RESULTS)/submissions/prm_eval__$$rule/rule-1/demo-35x8 $(OURS) < /dev/null && \
		$(EVAL) verify $(RESULTS)/submissions/prm_eval__$$rule/rule-1/demo-35x8 --reward-model $$rule --all --by prm_eval || exit 1; \
	done
	$(EVAL) check $(RESULTS)
	$(EVAL) leaderboard $(RESULTS) $(if $(filter results,$(RESULTS)),--readme docs/board.md)
	$(if $(filter results,$(RESULTS)),$(VENV)/bin/python -m prm_eval.cli.document)

# The miniature's models and rules on its pools, which are in results/pools already (results/README.md says how they were made).
MINIATURE = prm_eval/miniature/weights
THEIRS = --licence Apache-2.0 --base-model prm_eval/miniature-backbone --trained-on-math-test no --trained-on-prm800k no \
	--trained-on-this-pool no --contact prm_eval --training-data "miniature problems of the train split: candidates of the policy that ships \
	and of the noise process" --training-data "labelled by the oracle"

results-miniature: $(VENV)/.demo
	for pool in $(RESULTS)/pools/miniature-*/; do id=$$(basename $$pool); \
		for model in arithmetic boxed-support; do \
			to=$(RESULTS)/submissions/prm_eval__$$model/rule-1/$$id; [ -f $$to/verification.json ] || { \
			$(EVAL) score $$pool --reward-model $$model --submission prm_eval/$$model -o $(RESULTS) && \
			$(EVAL) submit-form $$to $(OURS) < /dev/null && \
			$(EVAL) verify $$to --reward-model $$model --all --by prm_eval; } || exit 1; \
		done; \
		for model in miniature-orm miniature-prm; do \
			[ -f $(RESULTS)/submissions/prm_eval__$$model/*/$$id/verification.json ] || { \
			$(EVAL) score $$pool --reward-model $(MINIATURE)/$$model --submission prm_eval/$$model -o $(RESULTS) && \
			to=$$(echo $(RESULTS)/submissions/prm_eval__$$model/*/$$id) && \
			$(EVAL) submit-form $$to $(THEIRS) < /dev/null && \
			$(EVAL) verify $$to --reward-model $(MINIATURE)/$$model --all --by prm_eval; } || exit 1; \
		done; \
	done
	$(EVAL) check $(RESULTS)
	$(EVAL) leaderboard $(RESULTS) $(if $(filter results,$(RESULTS)),--readme docs/board.md)
	$(if $(filter results,$(RESULTS)),$(VENV)/bin/python -m prm_eval.cli.document)

# Chromium for the tests of the board's page, where there is no browser and apt-get may bring one; it never fails.
browser:
	@bash .ci/browser

lint: $(VENV)/.test
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e ".[hf]"
	touch $@

$(VENV)/.test: $(VENV)/bin/python pyproject.toml constraints.txt
	$(PIP) -e ".[test]"
	touch $@ $(VENV)/.demo

clean:
	rm -rf .venv demo_out prm_eval_runs build *.egg-info
