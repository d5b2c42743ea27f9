# make demo: the main job on Minitown, the embedded benchmark. make test: the tests. Both set up .venv first, once.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
BIN := .venv/bin

.PHONY: demo test lint clean
demo: .venv/ready
	$(BIN)/python -m localize +pipeline=parallel_search hydra.run.dir=outputs/demo

test: .venv/ready lint
	$(BIN)/python -m pytest -n logical --maxprocesses 4 --dist loadfile

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.venv/ready: setup.cfg pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; assert sys.version_info >= (3, 11), f"Python 3.11 or later is needed, {sys.executable} is {sys.version.split()[0]}; name one: make PYTHON=..."'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --use-pep517 -c constraints.txt -e ".[test]"
	@touch $@

clean:
	rm -rf .venv build dist outputs multirun *.egg-info
