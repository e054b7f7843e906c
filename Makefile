# Everything a newcomer types. The logic lives in support_portal/devservices/.
PYTHON ?= python3
VENV ?= .venv
export PORT ?= 8000
export DATA_DIR ?= .data
# Extra arguments, for example: make test ARGS="-k citation"   make manage ARGS="ask 'Where is my parcel?'"
ARGS ?=
BENCHMARKS ?= benchmarks/delivery.py benchmarks/generation.py benchmarks/retrieval.py

PY := $(VENV)/bin/python
WITH_SERVICES := $(PY) -m support_portal.devservices.run
# Settings that exist only so that the checks can import the site; nothing listens with them.
CHECK_ENV := SECRET_KEY=only-for-make-check-0123456789-abcdefghijklmnopqrstuvwxyz-ABCDEFGH DEBUG=0 HTTPS=1 \
	ALLOWED_HOSTS=check.invalid TRUSTED_ORIGINS=https://check.invalid REDIS_URL=redis://127.0.0.1:1/0
NO_DATABASE := DATABASE_URL=postgresql://check@127.0.0.1:1/check

.PHONY: help install demo test check format bench gpu-check manage browser clean
.DEFAULT_GOAL := help

help:  ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

install:  ## make the virtual environment and install the packages (again only after a change)
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) was not found. Install Python 3.11 or newer, or name it: make PYTHON=/path/to/python3" >&2; exit 1; }
	@$(PYTHON) support_portal/devservices/install.py $(VENV)

demo: install  ## run everything on 127.0.0.1; PORT and DATA_DIR choose where
	@exec $(PY) -m support_portal.devservices.demo

test: install  ## all tests, with a real PostgreSQL, Valkey and Chromium
	@chromium=$$($(PY) -m support_portal.devservices.browser) && CHROMIUM="$$chromium" exec $(PY) -m pytest -n 2 $(ARGS)

check: install  ## format, lint, types, migrations, Django's deployment check
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(CHECK_ENV) $(NO_DATABASE) $(PY) -m mypy
	$(CHECK_ENV) $(WITH_SERVICES) --scratch -- $(PY) manage.py makemigrations --check --dry-run
	$(CHECK_ENV) $(NO_DATABASE) $(PY) manage.py check --deploy --fail-level WARNING

format:  ## put the code in order
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

bench: install  ## every benchmark, each in an empty database; BENCHMARKS=benchmarks/one.py for one
	@set -e; for script in $(BENCHMARKS); do echo "== $$script"; $(WITH_SERVICES) --scratch -- $(PY) $$script $(ARGS); done

gpu-check: install  ## on a GPU machine: contract and exactness on CUDA, then the benchmark's table
	@$(PY) -c "import sys, torch; torch.cuda.is_available() or sys.exit('PyTorch sees no GPU here: check the driver and that torch is a CUDA build.')"
	MODEL_DEVICE=cuda $(PY) -m pytest tests/engine/test_contract.py tests/engine/test_exactness.py
	MODEL_DEVICE=cuda $(PY) -m benchmarks.generation $(ARGS)

manage: install  ## a management command, with or without a running demo: make manage ARGS="migrate"
	@exec $(WITH_SERVICES) -- $(PY) manage.py $(ARGS)

browser: install  ## find Chromium for the browser tests, or install it
	@$(PY) -m support_portal.devservices.browser

clean:  ## remove caches and the virtual environment; data folders stay
	rm -rf $(VENV) $(VENV).lock .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
