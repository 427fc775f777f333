# One command each: `make demo`, `make run`, `make test`, `make check`.
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help setup setup-test demo run test test-fast test-xr test-readers bench check format build clean

help:
	@echo "make demo    set up and run the whole system once, without headset or robot"
	@echo "make run     set up and serve the openarm rig"
	@echo "make test    set up and run every test"
	@echo "make test-readers  what LeRobot, PyTorch and others read of it (several GB)"
	@echo "make bench   measure retargeting beside pink and mink"
	@echo "make check   format, lint, strict types, import arrows"

setup: $(VENV)/.ready
$(VENV)/.ready: pyproject.toml constraints.txt scripts/setup.sh
	sh scripts/setup.sh $(VENV)

setup-test: $(VENV)/.ready-test
$(VENV)/.ready-test: $(VENV)/.ready package.json scripts/setup-test.sh
	sh scripts/setup-test.sh $(VENV)

demo: setup
	$(BIN)/telecap demo

run: setup
	$(BIN)/telecap run

# What keeps real time has the machine to itself.
REAL := system

test: test-fast test-xr
	$(BIN)/python -m pytest -m "$(REAL)"

test-fast: setup-test
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not ($(REAL) or xr)"

test-xr: setup-test
	sh scripts/setup-xr.sh build/xr
	sh scripts/test-xr.sh $(BIN)/python

# Several GB, on Python 3.12: what LeRobot, PyTorch, imagecodecs and zarrs read of what we wrote.
test-readers:
	sh scripts/setup-readers.sh build/readers
	sh scripts/test-readers.sh build/readers

bench: setup
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[humanoid,hands,bench]"
	$(BIN)/python -m bench.retarget --doc docs/benchmarks.md
	$(BIN)/python -m bench.hands --doc docs/benchmarks.md

check: setup-test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup-test
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

build: setup-test
	$(BIN)/python -m pip wheel --no-deps --wheel-dir dist .

clean:
	rm -rf $(VENV) build dist node_modules
