VENV := .venv
BIN := $(VENV)/bin

.PHONY: run test test-served test-brand-schemas test-browser screenshots soak bench check audit release venv lock

run: venv
	$(BIN)/wallet-hooks db upgrade
	$(BIN)/wallet-hooks demo --if-empty
	$(BIN)/gunicorn -c python:wallet_hooks.server wsgi:app

test: venv
	$(BIN)/pytest -n auto --dist worksteal

# The tests that run the service. Under gunicorn's own worker class: WALLET_HOOKS_TEST_WORKER_CLASS=gthread
test-served: venv
	$(BIN)/pytest -n auto --dist worksteal -m "served and not slow"

# The tests of behaviour with a schema for each brand.
test-brand-schemas: venv
	WALLET_HOOKS_BRAND_SCHEMAS=on $(BIN)/pytest -n auto --dist worksteal -m "not slow and not browser" \
		$(addprefix tests/,accounts_api betslips bookies brand_schemas cashier console customers finance identity ledger \
		limits sportsbook test_tenants.py)

# Needs Chromium, such as Debian's package.
test-browser: venv
	$(BIN)/pytest -m browser tests/browser

screenshots: venv
	$(BIN)/python -m tests.browser.screenshots

# Lets everything fail that can, while clients send, and checks what they were answered. SOAK="--seconds 3600" goes on.
soak: venv
	$(BIN)/python -m tests.faults.history $(SOAK)

bench: venv
	$(BIN)/python -m tests.bench $(BENCH)

check: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest tests/test_migrations.py tests/test_lock.py

# Fails where a package could not be checked, too.
audit: venv
	@$(BIN)/pip-audit --strict --disable-pip --requirement requirements.lock >$(VENV)/audit.txt 2>&1; status=$$?; \
		cat $(VENV)/audit.txt; \
		if [ $$status -ne 0 ]; then \
			grep -q "known vulnerabilit" $(VENV)/audit.txt && echo "audit: vulnerable" >&2 || echo "audit: not checked" >&2; \
			exit 1; \
		fi

release: venv
	.ci/release

venv: $(VENV)/.installed

INSTALL = $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes

# With one --quiet, pip shows the warnings of a build.
$(VENV)/.installed: requirements.lock pyproject.toml
	test -x $(BIN)/python || python3 -m venv $(VENV)
	$(INSTALL) -r requirements.lock || { \
		echo "make: once more without gunicorn's parser in C, in case that it could not be compiled" >&2; \
		awk '/^[a-z]/ { kept = !/^gunicorn-h1c==/ } kept' requirements.lock >$(VENV)/without-parser.lock && \
		$(INSTALL) -r $(VENV)/without-parser.lock; }
	$(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# Exact versions with hashes; no index address is written. deploy/requirements.lock has what the service itself needs.
COMPILE = $(BIN)/pip-compile --quiet --generate-hashes --strip-extras --no-emit-index-url --no-emit-trusted-host \
	--no-emit-find-links --no-header

lock: venv
	$(COMPILE) --extra dev --allow-unsafe -o requirements.lock pyproject.toml
	$(COMPILE) --constraint requirements.lock -o deploy/requirements.lock pyproject.toml
