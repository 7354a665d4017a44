# Everything is set up inside the checkout, in .venv; python3 (3.11 or newer), make and git are all it needs.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: setup demo test check lint types imports format bench corpus lab cluster cluster-down pictures docs lock clean

setup: .venv/ready

.venv/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "fastops needs Python 3.11 or newer; this is $$($(PYTHON) --version). Say which one: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "python3 cannot make a virtual environment here; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: setup        ## six sick services and the console on them; nothing is left behind
	@$(BIN)/fastops demo

test: setup        ## all tests; those of an engine that is not here are skipped, with the reason
	$(BIN)/python -m pytest $(PYTEST)

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: setup
	$(BIN)/mypy

imports: setup
	$(BIN)/lint-imports

check: lint types imports test   ## what CI runs

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup       ## measures fastops beside its peers, in one run; `make bench ARGS=kubernetes` a part of it
	$(BIN)/python -m tests.bench $(ARGS)

corpus: setup      ## recall and precision of each signature over the output of real servers
	$(BIN)/python -m tests.corpus.score

lab: setup         ## builds and starts the lab's sick containers; `make lab ARGS=down` removes them
	$(BIN)/python -m tests.lab $(or $(ARGS),up)

cluster: setup     ## a real Kubernetes for the tests, with the lab's images; `make cluster-down` leaves nothing behind
	$(BIN)/python -m tests.cluster up
	$(BIN)/python -m tests.cluster images

cluster-down:
	$(PYTHON) -m tests.cluster down

pictures: setup    ## the pictures of the README, from a real run
	$(BIN)/python docs/pictures.py

docs: setup        ## regenerates the pages that are made from code
	$(BIN)/python docs/generate.py

lock:              ## pins every dependency anew, with hashes
	$(BIN)/python -m pip install --quiet uv
	$(BIN)/uv pip compile pyproject.toml --extra demo --extra mysql --group dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" -o requirements.lock

clean:
	rm -rf .venv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
