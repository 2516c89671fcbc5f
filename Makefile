# Every verb sets up what it needs: a fresh machine wants only make and Python 3.11 or newer with venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.install-stamp
PROTOS := $(wildcard proto/keyweave_proto/*/*.proto)
# Programs of others that tests/interop plays against when they are there; none is needed.
DEBIAN_PEERS := netconfd yangcli libyuma-base libyangrpc-dev
# Two workers by default: the suite starts whole networks, and a laptop has at least two cores.
TEST_WORKERS ?= 2

.PHONY: help setup demo test test-deps check lint types contracts proto proto-fresh yang-lint lock bench clean

help:  ## list the verbs
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(STAMP)  ## make the virtual environment from the lock file

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Keyweave needs Python 3.11 or newer; set PYTHON=..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "no venv module: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP)  ## play the whole network: start, ask for keys, cut, repair, refuse, bill (ARGS=--keep leaves it running)
	$(BIN)/keyweave demo $(ARGS)

test: $(STAMP)  ## run every test
	$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadgroup $(ARGS)

test-deps:  ## install the Debian programs that tests/interop plays against (optional; apt-get, sudo when not root)
	@sh tests/interop/install-debian.sh $(DEBIAN_PEERS)

check: lint types contracts proto-fresh yang-lint  ## lint, types, import contracts, generated code, YANG

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

contracts: $(STAMP)
	$(BIN)/lint-imports

proto: $(STAMP)  ## generate the gRPC and relay messages again
	$(BIN)/python -m grpc_tools.protoc -I proto --python_out=proto --pyi_out=proto --grpc_python_out=proto $(PROTOS)

proto-fresh: $(STAMP)
	$(BIN)/python tests/proto_fresh.py

yang-lint: $(STAMP)
	$(BIN)/python -m keyweave_yang.lint

lock: $(STAMP)  ## resolve the newest versions and write the lock file
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --extra dev pyproject.toml -o requirements.lock

bench: $(STAMP)  ## measure and write benchmarks/results
	$(BIN)/python -m benchmarks $(ARGS)

clean:  ## remove the environment and everything generated outside the repository's files
	rm -rf $(VENV) run .mypy_cache .ruff_cache .pytest_cache .hypothesis
