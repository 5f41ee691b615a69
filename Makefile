# `make run` and `make test` need only Python 3.11 or later with its venv module, and make. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NPM_FLAGS := --silent --ignore-scripts --no-package-lock --no-audit --no-fund
WHEEL_CHECK := build/wheel-check
# Most tests wait for a server or a deadline and not for a core, so four at once keep two cores busy.
AT_ONCE := -n 4 --dist worksteal

.PHONY: help run test check lint workflows fmt types layers docs coverage wheel-test dist lock reference image-test sbom clients conformance bench rollouts systemd browser screenshots mutants clean

help: ## List the targets.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | awk -F'|' '{ printf "%-12s %s\n", $$1, $$2 }'

run: $(VENV)/run ## Serve sample_keys/ on 127.0.0.1:8080; ARGS="--bind 127.0.0.1:9080" chooses another port.
	@echo 'Other ports: make run ARGS="--bind 127.0.0.1:9080 --admin-bind 127.0.0.1:9081"'
	@$(BIN)/jwks-server serve sample_keys $(ARGS)

test: $(VENV)/test ## Run the tests.
	$(BIN)/python -m pytest $(AT_ONCE)

check: lint types layers test wheel-test ## Run everything that must pass before a change is merged.

lint: $(VENV)/dev workflows ## Check style and format with ruff, and the workflows with actionlint.
	$(BIN)/ruff check
	$(BIN)/ruff format --check

workflows: $(VENV)/dev ## Check .github/workflows with actionlint.
	@if test -x $(BIN)/actionlint; then $(BIN)/actionlint .github/workflows/*.yml; \
	else echo "actionlint is not available here; the workflows are not checked"; fi

fmt: $(VENV)/dev ## Format the code, and fix what ruff can fix by itself.
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(VENV)/dev ## Check the types with mypy.
	$(BIN)/mypy

layers: $(VENV)/dev ## Check the import layers.
	$(BIN)/lint-imports

docs: $(VENV)/docs ## Build the site of the documentation in build/site, and check its links.
	$(BIN)/zensical build --strict

# One limits the size of a process's files, and coverage writes one too; the other interrupts a start, which coverage slows.
NOT_MEASURED := --deselect tests/commands/test_render.py::test_a_failure_half_way --deselect tests/commands/test_wait.py::test_interrupted

coverage: $(VENV)/dev ## Run the tests and fail below the coverage floor (lines and branches, subprocesses included).
	rm -rf build/coverage
	mkdir -p build/coverage
	$(BIN)/coverage run -m pytest $(AT_ONCE) $(NOT_MEASURED)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

# The wheel is what is released, so the tests also run where the source folder can't be imported, and with another Python
# if WHEEL_PYTHON names one.
WHEEL_PYTHON ?= $(PYTHON)
wheel-test: $(VENV)/dev ## Build the wheel, install it elsewhere and run the tests against it.
	rm -rf $(WHEEL_CHECK) dist
	$(BIN)/python -m build --wheel --outdir dist
	mkdir -p $(WHEEL_CHECK)
	cp -R tests sample_keys deploy docs .github .pre-commit-config.yaml Makefile *.md *.toml $(WHEEL_CHECK)
	$(WHEEL_PYTHON) -m venv $(WHEEL_CHECK)/.venv
	$(WHEEL_CHECK)/.venv/bin/pip install --quiet "$$(ls dist/*.whl)[test]"
	cd $(WHEEL_CHECK) && .venv/bin/python -m pytest $(AT_ONCE)

dist: $(VENV)/dev ## Build the wheel and the source distribution in dist/.
	rm -rf dist
	$(BIN)/python -m build --outdir dist

# For any version of Python and any platform that is supported. The lists hold names, versions and hashes, no addresses.
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command "make lock" --upgrade
BUILD_REQUIRES := import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")

lock: $(VENV)/dev ## Renew the lists of locked dependencies that the image is built with.
	$(LOCK) --output-file deploy/requirements.txt pyproject.toml
	$(BIN)/python -c '$(BUILD_REQUIRES)' | $(LOCK) --output-file deploy/requirements-build.txt -

reference: $(VENV)/dev ## Write the generated parts of docs/reference, the man page and the chart's README again.
	cd tests && ../$(BIN)/python -m reference.pages && ../$(BIN)/python chart_docs.py

image-test: $(VENV)/test ## Build the image with buildah, and test it. Needs root.
	$(BIN)/python -m pytest -m image

# The list holds what the wheel installs and nothing that only a developer needs.
sbom: $(VENV)/dev ## List the wheel and its dependencies in build/sbom.cdx.json (CycloneDX).
	rm -rf build/sbom
	$(PYTHON) -m venv --without-pip build/sbom
	$(BIN)/pip --python build/sbom install --quiet dist/*.whl
	$(BIN)/cyclonedx-py environment --output-reproducible --output-file build/sbom.cdx.json build/sbom/bin/python

$(VENV)/run $(VENV)/test $(VENV)/clients $(VENV)/docs $(VENV)/browser $(VENV)/dev: $(VENV)/%: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --editable ".$(if $(filter-out run,$*),[$*])"
	touch $@

clients: $(VENV)/clients ## Run real JWKS clients from PyPI, and from npm if it is installed, against the server.
	! command -v npm >/dev/null || (cd tests/clients/js && npm install $(NPM_FLAGS)) || rm -rf tests/clients/js/node_modules
	cd tests && ../$(BIN)/python -m clients.matrix

# About a minute. Needs root, and Debian's systemd-container; where it can't boot a machine, the tests are skipped.
systemd: $(VENV)/dev ## Test the units in a machine with a real systemd.
	$(BIN)/python -m pytest -m booted

# About a minute. Needs Debian's chromium; where it is missing, the tests are skipped. axe-core is the checker of accessibility.
browser: $(VENV)/browser ## Look at the status page with Chromium.
	! command -v npm >/dev/null || (cd tests/browser && npm install $(NPM_FLAGS)) || rm -rf tests/browser/node_modules
	$(BIN)/python -m pytest -m browser

screenshots: $(VENV)/browser ## Take pictures of the status page, for build/ and for the documentation. Needs chromium.
	cd tests && ../$(BIN)/python -m browser.screenshots

# REDbot and schemathesis need other versions of some libraries, so they have a venv of their own.
conformance: $(VENV)/test ## Run REDbot and schemathesis against the server.
	$(PYTHON) -m venv build/conformance
	build/conformance/bin/pip install --quiet redbot schemathesis
	$(BIN)/python tests/conformance.py build/conformance/bin

# Needs Debian's nginx, wrk, golang-go and gcc; it names the packages that are missing.
bench: $(VENV)/dev ## Measure the server beside nginx, Go, plain aiohttp and a C floor.
	cd tests && ../$(BIN)/python -m bench.large
	cd tests && ../$(BIN)/python -m bench.scrapes
	cd tests && ../$(BIN)/python -m bench.compare

# About 5 minutes. Needs what `make systemd` needs.
rollouts: $(VENV)/dev ## Count what 100,000 requests lose in rolling restarts of each kind.
	cd tests && ../$(BIN)/python -m bench.rollouts

# About 10 minutes.
mutants: $(VENV)/dev ## Put small faults into a copy of the program, and check that a test notices each.
	cd tests && ../$(BIN)/python -m mutants.run

clean: ## Remove the venv and everything that was built.
	rm -rf $(VENV) build dist tests/clients/js/node_modules tests/browser/node_modules
