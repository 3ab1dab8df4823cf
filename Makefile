# make         sets up .venv/ with what the program needs
# make demo    registers twelve photographs of NASA: table, errors against the truth, contact sheet
# make test    lint (security among it), formatting, types, and the tests that every change needs
# make test-rest  the other tests: browsers, servers, long ones
# make test-real  tests on the real photographs, in the folder REGENGINE_REAL_DATA
# make figures  records anew what tests/figures holds
# make docs    the pages of docs/ as a site, with search and the API, in out/site/
# make coverage   all tests, and the lines that they reach
# make mutants    how many small errors the tests find, by which lines they reach (make contexts)
# make clean   removes what make made
#
# Each does all the set-up it needs itself, given Python 3.11 to 3.13.
# Another Python: make PYTHON=/usr/bin/python3.12 demo

.PHONY: demo test test-rest test-real figures coverage contexts mutants docs core dev clean
.DEFAULT_GOAL := core

BIN := .venv/bin
STORE := out/demo.h5
OVERLAYS := out/overlays
# what `make test` runs: .ci/run runs the longer ones with them
TESTS := not (slow or real or browser or server or nightly)
# profile of Hypothesis, see tests/conftest.py
EXAMPLES := quick
SEED := 0
WANTED := 0
# one thread a process: as many processes as cores; what is compiled is kept, for the second run
test test-rest test-real figures coverage contexts: export OMP_NUM_THREADS ?= 1
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest
PARALLEL := --numprocesses auto --dist worksteal
# what processes that begin together would each compile for themselves
COMPILE := $(BIN)/python -c 'from regengine.registration.prepare_photo import load_compiled; load_compiled()'

export PYTHON

demo: core
	@rm -rf $(STORE) $(STORE).* $(OVERLAYS)
	@mkdir -p out
	$(BIN)/regengine register data_samples/photos --store $(STORE) --overlay $(OVERLAYS) --workers 2
	$(BIN)/regengine solve data_samples/photos/ISS043-E-298868.jpg --json --overlay $(OVERLAYS) > out/stars.ndjson
	$(BIN)/python -m benchmarks demo $(STORE) $(OVERLAYS) out/stars.ndjson --out out/demo.html

test: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@$(COMPILE) & $(BIN)/mypy --num-workers auto; code=$$?; wait $$! || code=1; exit $$code
	$(PYTEST) $(PARALLEL) --hypothesis-profile $(EXAMPLES) -m "$(TESTS)"

test-rest: dev
	$(PYTEST) $(PARALLEL) -m "(slow or browser or server) and not (real or nightly)"

test-real: dev
	$(PYTEST) $(PARALLEL) -m real

figures: dev
	$(BIN)/python -m tests.figures.record

coverage: dev
	$(PYTEST) $(PARALLEL) --cov --cov-report=term:skip-covered --cov-fail-under=90

contexts: dev
	COVERAGE_FILE=out/contexts $(PYTEST) -m "$(TESTS)" \
		--cov --cov-report= --cov-context=test --junitxml=out/times.xml

mutants: dev
	$(BIN)/python -m benchmarks mutants --contexts out/contexts --times out/times.xml --workers 2 \
		--seed $(SEED) --wanted $(WANTED) --minutes 100

docs: dev
	$(BIN)/python -m sphinx --quiet --fail-on-warning --builder html --conf-dir docs . out/site
	@echo out/site/docs/index.html

core dev:
	@sh .ci/setup.sh $@

clean:
	rm -rf .venv out build dist *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache
