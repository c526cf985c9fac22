# demo    the whole loop on real data, in one command
# test    checks and all tests, as in CI
# check   formatting, lint, types and floors only
# bench   measure nbops beside its peers
# lock    pin the newest packages that work together
PYTHON ?= python3

.PHONY: demo test check bench lock docs clean

demo:
	@$(PYTHON) scripts/demo.py

test:
	@$(PYTHON) scripts/check.py $(ARGS)

check:
	@$(PYTHON) scripts/check.py --no-tests

bench:
	@$(PYTHON) scripts/bench.py $(ARGS)

docs:
	@$(PYTHON) scripts/reference.py

lock:
	@$(PYTHON) scripts/lock.py

clean:
	rm -rf .venv build dist src/nbops/labextension extension/lib
