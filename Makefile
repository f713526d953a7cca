# Everything a newcomer needs: `make quickstart` builds and queries real data, `make test` runs the tests,
# `make check` is what CI runs. Each works in a bare clone with Python 3.11+, make and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

# Environments for tests whose libraries are too heavy for `dev`, or do not get along with the rest.
HEAVY := $(basename $(notdir $(wildcard tests/heavy/*.in)))

.PHONY: quickstart quickstart-llm test test-recipes test-slow test-random test-reliability heavy-environments test-heavy $(HEAVY:%=test-heavy-%) skips test-vllm check check-part format docs bench
.PHONY: constraints constraints-heavy clean

# The versions that were tested together; CONSTRAINTS= installs the newest instead.
CONSTRAINTS ?= constraints.txt
PIP_QUIETLY = --quiet --disable-pip-version-check --no-compile
PIP = $(BIN)/python -m pip install $(PIP_QUIETLY) $(if $(CONSTRAINTS),--constraint $(CONSTRAINTS)) --editable

$(BIN)/curate: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "curate needs Python 3.11 or newer: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) '.[translate]'
	@touch $@

# What more the targets below need: models that run by themselves, tests, the site.
$(VENV)/embedded $(VENV)/dev $(VENV)/docs: $(VENV)/%: pyproject.toml $(CONSTRAINTS) | $(BIN)/curate
	$(PIP) '.[$*]'
	@touch $@

quickstart: $(BIN)/curate
	$(BIN)/curate build --quiet --catalog catalog-llm.yaml
	@echo
	$(BIN)/curate query \
	  "SELECT language, count(*) AS rows, round(avg(score(scores, 'similarity')), 2) AS similarity, any_value(left(messages[2].content, 40)) AS an_answer FROM everyday GROUP BY ALL ORDER BY 1" \
	  "SELECT parent.messages[1].content AS english, child.messages[1].content AS portuguese FROM \"everyday-translated\" child JOIN everyday parent ON child.lineage.parents[1] = parent.id ORDER BY child.group_id LIMIT 3" \
	  "SELECT step, reason, language, left(messages[2].content, 50) AS dropped_answer FROM everyday.rejected WHERE step != 'duplicates' ORDER BY ALL LIMIT 5" \
	  "SELECT left(prompt[1].content, 40) AS request, left(chosen[1].content, 50) AS chosen, left(rejected[1].content, 50) AS rejected FROM \"everyday-imbalance\" WHERE language = 'pt' ORDER BY group_id LIMIT 3"
	@echo
	@echo "next:  . $(BIN)/activate         then it is only: curate"
	@echo "       curate show everyday      what each step dropped, in which language, and why"
	@echo "       curate view everyday      look at rows in the browser, move thresholds, label"
	@echo "       curate new FILE           a first catalog for a file of your own"
	@echo "       curate recipes            published methods, to begin with"
	@echo "       make quickstart-llm       ask the language model whose recorded answers are used above, a minute more"
	@echo "       docs/tutorial.md          from here to a published dataset; catalog.yaml is all that it takes"

quickstart-llm: $(VENV)/embedded
	$(BIN)/curate build --quiet --catalog catalog-llm.yaml --set variables.writer=smollm2
	@echo
	$(BIN)/curate query \
	  "SELECT left(messages[1].content, 50) AS request, left(messages[2].content, 60) AS toy_model_says FROM \"everyday-answers\" ORDER BY group_id LIMIT 4" \
	  "SELECT left(prompt[1].content, 40) AS request, left(chosen[1].content, 50) AS chosen, left(rejected[1].content, 50) AS rejected FROM \"everyday-imbalance\" WHERE language = 'pt' ORDER BY group_id LIMIT 4" \
	  "SELECT language, figure, value, \"limit\", rows, note FROM curate.audits WHERE refused ORDER BY ALL"

test: $(VENV)/dev
	$(BIN)/python -m pytest -n auto --dist loadgroup --junitxml=build/tests/dev.xml -m "not slow and not recipes"

# Every recipe is built, and its rows pass its statements (recipes/*/expect.sql).
test-recipes: $(VENV)/dev
	$(BIN)/python -m pytest -n auto --dist loadgroup --junitxml=build/tests/recipes.xml -m recipes

# The tests marked slow: texts of 200 MiB, builds killed again and again, files damaged in every way, Ray clusters, live models. Four minutes.
test-slow: $(VENV)/dev
	$(BIN)/python -m pytest -n auto --dist loadgroup --junitxml=build/tests/slow.xml -m slow

# The tests marked heavy: about 7 GB, ten minutes the first time. `make test-heavy-common` runs those of one environment.
test-heavy: $(HEAVY:%=test-heavy-%)

$(HEAVY:%=test-heavy-%): test-heavy-%: $(VENV)-%/installed
	AXOLOTL_DO_NOT_TRACK=1 DO_NOT_TRACK=1 $(VENV)-$*/bin/python -m pytest -n auto --dist loadgroup --junitxml=build/tests/$*.xml -m "heavy(env='$*')" \
	  $$(grep -rl --include='test_*.py' 'heavy(env="$*")' tests)

heavy-environments: $(HEAVY:%=$(VENV)-%/installed)

# The list has every package, so nothing is left to resolve, but those that come with torch.
$(VENV)-%/installed: tests/heavy/%.txt pyproject.toml
	test -x $(@D)/bin/python || $(PYTHON) -m venv $(@D)
	$(@D)/bin/python -m pip install $(PIP_QUIETLY) torch==2.13.0
	$(@D)/bin/python -m pip install $(PIP_QUIETLY) --no-deps --requirement $<
	$(@D)/bin/python -m pip install $(PIP_QUIETLY) --no-deps --editable .
	@touch $@

# Which tests of the last `make test` and `make test-heavy` ran nowhere, and why; MOST=10 allows no more than these.
skips:
	$(BIN)/python -m tests.skips $(if $(MOST),--most $(MOST)) build/tests/*.xml

# What `make test` does with the same examples each time, with others and twenty times as many: for nights. Half an hour or more.
test-random: $(VENV)/dev
	HYPOTHESIS_PROFILE=random $(BIN)/python -m pytest -n auto -m hypothesis

# Builds, gc, forget and publish under a thousand kills, full disks, wrong clocks and second builds, then on Ray: for nights, two hours.
RUNS ?= 1000
test-reliability: $(VENV)/dev
	$(BIN)/python -m tests.reliability --runs $(RUNS)
	$(BIN)/python -m tests.reliability --ray $(shell expr $(RUNS) / 20)

# vLLM for CPU in an environment of its own: a few minutes and 4 GB; the last result is in docs/measurements/vllm.md.
test-vllm:
	bash tests/vllm/run.sh

check: $(VENV)/dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m pytest -n auto --dist loadgroup

# What a new source, step, model or output still lacks: `make check-part NAME=shape`. Seconds.
check-part: $(VENV)/dev
	$(BIN)/python -m tests.check_part $(NAME)

format: $(VENV)/dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# build/site/index.html opens without a server; a link that leads nowhere is an error.
docs: $(VENV)/docs
	$(BIN)/python website/picture.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet --strict
	@echo "built: build/site/index.html"

bench: $(VENV)/dev
	$(BIN)/python benchmarks/overhead.py

# The newest versions of everything, in an environment of their own, written down if the tests pass with them.
constraints:
	rm -rf build/newest
	$(MAKE) VENV=build/newest CONSTRAINTS= quickstart quickstart-llm build/newest/dev build/newest/docs test test-recipes test-slow
	build/newest/bin/python -m pip freeze --exclude-editable | sed 's/+[a-z0-9.]*$$//' > constraints.txt

# The lists of tests/heavy/ anew, for Python 3.11, if their tests pass with them. torch brings packages of its own, and
# torchvision, torchaudio and xformers load only beside the torch that they were built for; no test needs them.
constraints-heavy: $(VENV)/dev
	$(BIN)/python -m pip install $(PIP_QUIETLY) uv
	mkdir -p build/heavy
	set -e; for env in $(HEAVY); do \
	  $(BIN)/uv pip compile --quiet --no-annotate --no-header --python-version 3.11 pyproject.toml tests/heavy/$$env.in -o build/heavy/$$env.txt >/dev/null; \
	  grep -vE '^(nvidia-[cn]|cuda-|triton=|torch(vision|audio)?=|xformers=)' build/heavy/$$env.txt > tests/heavy/$$env.txt; \
	done
	$(MAKE) --keep-going VENV=build/heavy/env test-heavy

clean:
	rm -rf $(VENV) $(HEAVY:%=$(VENV)-%) .curate dist build
