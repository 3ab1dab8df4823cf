# make         sets up .venv/ with what the program needs
# make demo    registers the sample photographs: table, error against the truth, overlays
# make test    lint (security among it), formatting, types, and the tests that every change needs
# make test-all   the rest of the tests, too: browsers, servers, real photographs, long ones
# make docs    the pages of docs/ as a site, with search and the API, in out/site/
# make coverage   all tests, and the lines that they reach
# make clean   removes what make made
#
# Each does all the set-up it needs itself, given Python 3.11 or newer.
# Another Python: make PYTHON=/usr/bin/python3.12 demo

.PHONY: demo test test-rest test-all coverage docs core dev clean
.DEFAULT_GOAL := core

BIN := .venv/bin
STORE := out/demo.h5
OVERLAYS := out/overlays
REST := slow or real or browser or server
# one thread a process: as many processes as cores; what is compiled is kept, for the second run
PYTEST := OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses auto --dist loadfile \
	--no-loadscope-reorder

export PYTHON

demo: core
	@rm -rf $(STORE) $(STORE).parts $(OVERLAYS)
	$(BIN)/regengine register data_samples/*.jpg --tle data_samples/tle.txt \
		--lights data_samples/lights.tif --store $(STORE) --overlay $(OVERLAYS)
	$(BIN)/python -m benchmarks demo-truth $(STORE) $(OVERLAYS)

test: dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers auto
	$(PYTEST) -m "not ($(REST))"

test-rest: dev
	@sh .ci/setup.sh docs
	$(PYTEST) -m "$(REST)"

test-all: test test-rest

coverage: dev
	$(PYTEST) --cov --cov-report=term:skip-covered --cov-fail-under=90

docs:
	@sh .ci/setup.sh docs
	$(BIN)/python -m sphinx --quiet --fail-on-warning --builder html --conf-dir docs . out/site
	@echo out/site/docs/index.html

core dev:
	@sh .ci/setup.sh $@

clean:
	rm -rf .venv out build dist *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache
