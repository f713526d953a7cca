# Everything a newcomer needs: `make quickstart` builds and queries real data, `make test` runs the tests,
# `make check` is what CI runs. Each works in a bare clone with Python 3.11+, make and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: quickstart test test-random test-vllm check format docs bench clean

$(BIN)/curate: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "curate needs Python 3.11 or newer: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[embedded]'
	@touch $@

$(VENV)/dev: pyproject.toml | $(BIN)/curate
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

quickstart: $(BIN)/curate
	$(BIN)/curate build
	@echo
	$(BIN)/curate query "SELECT language, count(*) AS rows, round(avg(score(scores, 'similarity')), 2) AS similarity FROM everyday GROUP BY language ORDER BY language"
	$(BIN)/curate query "SELECT step, reason, language, left(coalesce(messages[2].content, ''), 40) AS answer FROM everyday.rejected ORDER BY step, reason, language LIMIT 12"
	$(BIN)/curate query "SELECT parent.messages[1].content AS english, child.messages[1].content AS portuguese FROM \"everyday-translated\" AS child JOIN everyday AS parent ON child.lineage.parents[1] = parent.id ORDER BY child.group_id LIMIT 5"
	$(BIN)/curate query "SELECT attribute(attributes, 'code_switch.languages') AS mixture, messages[1].content AS request FROM \"everyday-switched\" ORDER BY group_id, 1 LIMIT 8"
	$(BIN)/curate query "SELECT messages[1].content AS request, left(messages[2].content, 70) AS toy_model_says FROM \"everyday-answers\" ORDER BY group_id LIMIT 5"
	$(BIN)/curate query "SELECT left(prompt[1].content, 50) AS request, left(chosen[1].content, 60) AS chosen, left(rejected[1].content, 60) AS rejected FROM \"everyday-imbalance\" WHERE language = 'pt' ORDER BY group_id LIMIT 5"
	$(BIN)/curate audit everyday-judged
	@echo "built:" && ls -d .curate/datasets/*/*/manifest.json | xargs -n1 dirname

test: $(VENV)/dev
	$(BIN)/python -m pytest -n auto --dist loadgroup

# What `make test` does with the same examples each time, with others and twenty times as many: for nights. Half an hour or more.
test-random: $(VENV)/dev
	HYPOTHESIS_PROFILE=random $(BIN)/python -m pytest -n auto -m hypothesis

# vLLM for CPU in an environment of its own: a few minutes and 4 GB; the last result is in docs/vllm.md.
test-vllm:
	bash tests/vllm/run.sh

check: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n auto --dist loadgroup

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

$(VENV)/docs: pyproject.toml | $(BIN)/curate
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@

# build/site/index.html opens without a server; a link that leads nowhere is an error.
docs: $(VENV)/docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "built: build/site/index.html"

bench: $(VENV)/dev
	$(BIN)/python benchmarks/overhead.py

clean:
	rm -rf $(VENV) .curate dist build
