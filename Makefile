# make run, make test: on a machine with only Python 3.11+, its venv module, and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NPM_FLAGS := --silent --ignore-scripts --no-package-lock --no-audit --no-fund
WHEEL_CHECK := build/wheel-check
TWO_AT_ONCE := -n 2 --dist worksteal

.PHONY: run test check lint types layers wheel-test clients conformance bench mutants clean

run: $(VENV)/run
	$(BIN)/jwks-server serve sample_keys

test: $(VENV)/test
	$(BIN)/python -m pytest $(TWO_AT_ONCE)

check: lint types layers test wheel-test

lint: $(VENV)/dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check

types: $(VENV)/dev
	$(BIN)/mypy

layers: $(VENV)/dev
	$(BIN)/lint-imports

# What is released is the wheel: its tests run where the source folder can't be imported.
wheel-test: $(VENV)/dev
	rm -rf $(WHEEL_CHECK) dist
	$(BIN)/python -m build --wheel --outdir dist
	mkdir -p $(WHEEL_CHECK)
	cp -R tests sample_keys deploy docs README.md CHANGELOG.md pyproject.toml $(WHEEL_CHECK)
	$(PYTHON) -m venv $(WHEEL_CHECK)/.venv
	$(WHEEL_CHECK)/.venv/bin/pip install --quiet "$$(ls dist/*.whl)[test]"
	cd $(WHEEL_CHECK) && .venv/bin/python -m pytest $(TWO_AT_ONCE)

$(VENV)/run $(VENV)/test $(VENV)/clients $(VENV)/dev: $(VENV)/%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable ".$(if $(filter-out run,$*),[$*])"
	touch $@

# Real JWKS clients from PyPI and, where npm is, from npm; prints what each makes of the server.
clients: $(VENV)/clients
	! command -v npm >/dev/null || (cd tests/clients/js && npm install $(NPM_FLAGS)) || rm -rf tests/clients/js/node_modules
	cd tests && ../$(BIN)/python -m clients.matrix

# REDbot and schemathesis need other versions of some libraries than we do, so they live apart.
conformance: $(VENV)/test
	$(PYTHON) -m venv build/conformance
	build/conformance/bin/pip install --quiet redbot schemathesis
	$(BIN)/python tests/conformance.py build/conformance/bin

# Beside nginx, Go, plain aiohttp and a C floor: needs Debian's nginx, wrk, golang-go and gcc, and says so.
bench: $(VENV)/dev
	cd tests && ../$(BIN)/python -m bench.rotation
	cd tests && ../$(BIN)/python -m bench.issuers
	cd tests && ../$(BIN)/python -m bench.compare

# Puts small faults into a copy of the program, one at a time, and sees that a test notices each; about 10 minutes.
mutants: $(VENV)/dev
	cd tests && ../$(BIN)/python -m mutants.run

clean:
	rm -rf $(VENV) build dist tests/clients/js/node_modules
