# Every target sets up .venv at its first use. ARGS are passed on, for instance
#   make sweep ARGS="objective.beta=1,4,16 seed=0,1,2"      make test ARGS="tests/metrics -x"
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready

.PHONY: setup sweep train test check format bench gpu docs answer lock
setup: $(READY)

sweep: $(READY)  ## the main job: which factors of a family of tones does a beta-VAE find, and which the contrastive method?
	$(BIN)/disentone train -m experiment=quickstart $(ARGS)

train: $(READY)  ## one run, or with -m a sweep
	$(BIN)/disentone train $(ARGS)

test: check  ## style, types and tests
	$(BIN)/python -m pytest -n logical --dist loadfile $(ARGS)

check: $(READY)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(READY)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

bench: $(READY)  ## how fast everything is, beside the alternatives; ARGS=synthesis for one
	$(BIN)/python -m benchmarks $(ARGS)
	$(BIN)/python docs/make_performance.py

gpu: $(READY)  ## on a machine with a GPU: its tests, its benchmarks, and the seed's question, whose table is kept
	$(BIN)/python -m pytest -m gpu
	$(BIN)/python -m benchmarks gpu vectorised
	$(BIN)/disentone train -m experiment=tones objective.beta=1,2,4,8,16,32 seed=0,1,2,3,4 \
		hydra/launcher=vectorised sweep=gpu_sweep $(ARGS)
	cp outputs/gpu_sweep/results.csv benchmarks/results/gpu_sweep.csv

docs: $(READY)  ## configuration.md from conf/ and the docstrings, performance.md from the benchmarks' results
	$(BIN)/python docs/make_configuration.py
	$(BIN)/python docs/make_performance.py
	$(BIN)/python docs/make_finding_factors.py

answer: sweep  ## README's first picture, from the runs of the sweep
	$(BIN)/python docs/make_answer.py

lock: $(READY)  ## new exact versions for the ranges of pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
		--generate-hashes --no-header --no-annotate --upgrade --quiet --output-file requirements.lock

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14) and "disentone needs Python 3.11, 3.12 or 3.13, make PYTHON=... names one; got " + sys.version)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.lock)"
	$(BIN)/uv pip install --python $(BIN)/python --require-hashes --compile-bytecode --requirement requirements.lock
	$(BIN)/uv pip install --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $(READY)
