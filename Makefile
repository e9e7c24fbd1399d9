# Two commands: `make demo` runs the main job on embedded data, `make test` runs all tests that are not slow.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

SOURCES := $(shell find src -name '*.py')
PAGES := mkdocs.yml README.md $(shell find docs examples -name '*.md' -o -name '*.py')

.PHONY: demo test beside style pytest slow lint docs clean

# Python compiles what is imported when it is imported: a tenth of what is installed.
$(VENV)/.demo: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable .
	touch $@

$(VENV)/.test: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --editable ".[test]"
	touch $@

demo: $(VENV)/.demo
	$(BIN)/nelbo fit vae --data digits --out runs/digits --overwrite
	$(BIN)/nelbo evaluate runs/digits --bound iwae --samples 1000
	$(BIN)/nelbo report runs/digits

# Types are checked and the documentation is built beside the tests, and not again until a source changes.
test: style
	$(MAKE) --jobs 2 beside pytest

beside:
	$(MAKE) $(VENV)/.types $(VENV)/.site

style: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

$(VENV)/.types: $(VENV)/.test $(SOURCES)
	$(BIN)/pyright
	touch $@

$(VENV)/.site: $(VENV)/.test $(SOURCES) $(PAGES)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --site-dir site
	touch $@

docs: $(VENV)/.site

# Each worker has half of the tests in their order, so that tests of a file share fixtures; who is done first helps.
pytest: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --dist worksteal

slow: $(VENV)/.test
	$(BIN)/python -m pytest -m slow

lint: style $(VENV)/.types

clean:
	rm -rf $(VENV) site .pytest_cache .ruff_cache
