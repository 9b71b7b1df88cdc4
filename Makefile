# make search   set up everything, and go the whole way on handwritten digits, from no network to a trained one and a page
#               that shows how it was found (a few minutes on two cores)
# make test     set up everything and run the tests
# make zoo      install torchvision, timm and transformers, and run the tests of small public networks
# make emulated only the CUDA kernels, executed on the host
# make docs     build the pages of the documentation, build/docs/index.html; a warning is an error
# make wheel    build the source distribution and a wheel for Linux machines with glibc 2.28 or newer (in dist/), check
#               them, and use the wheel in a fresh environment without a compiler
# make test-oldest  run the core of the tests with the oldest torch, pandas, ... that pyproject.toml names, in an
#               environment of its own; on Linux this torch brings CUDA libraries, unless TORCH names another. Needs
#               Python 3.10 or 3.11
# make lint     the checks of style and types
# make bench    measure the whole score against its peers and published scripts, some two hours on two cores. Each row
#               goes to BENCH_CSV as it is there, and a second run leaves out what is there
# make device-check  build the CUDA kernels for the GPU that is here, test and measure them, in at most 9 minutes; the
#               report is DEVICE_OUT/device-check.json and .csv. Installs nothing: PYTHON needs torch, numpy and pytest,
#               and cmake and nvcc are on the PATH. Without a GPU it runs in the emulator, with tiny sizes
# make clean    remove what the others made, runs/ and bench/results/ excepted
#
# Everything is installed into .venv; nothing outside of this folder is changed. Another Python or torch:
#   make test PYTHON=python3.12 TORCH=torch==2.4.0
# The tests of public networks run where torchvision, timm and transformers are: make zoo TORCHVISION=torchvision==0.19.0

PYTHON ?= python3
TORCH ?= torch>=2.4
TORCHVISION ?= torchvision
VENV := .venv
BIN := $(VENV)/bin
# Python compiles what it imports; pip would compile all of torch, sympy, plotly, ..., a minute and a half.
PIP_INSTALL := python -m pip --disable-pip-version-check install --no-compile
PIP := $(BIN)/$(PIP_INSTALL) --quiet
# The install is editable: only these need a new build, a change of Python files is seen at once.
BUILD_INPUTS := setup.py pyproject.toml CMakeLists.txt $(shell find csrc -type f)
RUN_FOLDER := runs/digits-$(shell date +%Y%m%d-%H%M%S)
TRIALS ?= 60
DEVICE_OUT ?= build/device-check
BENCH_CSV ?= build/bench/whole_score.csv
BENCH_ROUNDS ?= 5
PYTHON_CODE := lswag_fast tests bench release setup.py conftest.py docs/conf.py docs/conftest.py docs/_ext examples
WHEEL_PLATFORM := manylinux_2_28_$(shell uname -m)
FRESH := build/fresh
OLDEST := .venv-oldest
# The oldest Python that starts here: libraries as old as these have no wheels for Python 3.12 and newer.
OLDEST_PYTHON ?= $(firstword $(foreach python,python3.10 python3.11 $(PYTHON),\
  $(shell $(python) -c "print('$(python)')" 2>/dev/null)))
OLDEST_TORCH := $(if $(filter file,$(origin TORCH)),,"$(TORCH)")
# What depends on the versions of other libraries, without what takes long or needs none of them.
CORE_TESTS := $(addprefix tests/, reference passes proxies libra data plots study observe kernels evaluation testing files) \
  $(wildcard tests/test_*.py)

.PHONY: search test test-oldest emulated lint wheel zoo docs bench device-check clean

# The supernet's networks are measured, LIBRA chooses proxies on that table, and what it finds under a budget is trained
# beside the network of most parameters and three random ones of the budget. A budget of 90K +- 33 % asks for proxies that
# rank networks of one size, so the choice is made inside such windows.
search: export PYTHONPATH := examples
search: SPACE := small_vits:make
search: $(VENV)/.extra-train $(VENV)/.extra-report
	$(BIN)/lswag-fast supernet $(SPACE) --data digits --threads 1 --out $(RUN_FOLDER)/supernet
	$(BIN)/lswag-fast benchmark $(SPACE) --supernet $(RUN_FOLDER)/supernet --trials 150 --workers 2 \
	  --out $(RUN_FOLDER)/table.csv
	$(BIN)/lswag-fast evaluate $(SPACE) --table $(RUN_FOLDER)/table.csv --proxies lswag,zico,nwot,swap,params,flops \
	  --workers 2 --out $(RUN_FOLDER)/scores.csv
	$(BIN)/lswag-fast libra $(RUN_FOLDER)/scores.csv --target inherited_accuracy \
	  --window params:33% --held-out 20 --out $(RUN_FOLDER)/selection.json
	$(BIN)/lswag-fast compare $(SPACE) --supernet $(RUN_FOLDER)/supernet --params 60K..120K --trials $(TRIALS) \
	  --methods random --seeds 3 --out $(RUN_FOLDER)/compared
	$(BIN)/lswag-fast compare $(SPACE) --supernet $(RUN_FOLDER)/supernet --params 60K..120K --trials $(TRIALS) \
	  --methods libra:$(RUN_FOLDER)/selection.json,params,random --seeds 1 --out $(RUN_FOLDER)/compared
	$(BIN)/lswag-fast report $(RUN_FOLDER)/compared/libra-0/search
	$(BIN)/lswag-fast report $(RUN_FOLDER)/compared

# In two processes of one thread: many tests wait for processes of their own.
test: $(VENV)/.extra-test emulated
	OMP_NUM_THREADS=1 $(BIN)/pytest -m "not slow" -n 2 --dist loadfile
	$(BIN)/pytest --doctest-modules lswag_fast
	OMP_NUM_THREADS=1 $(BIN)/pytest docs -n 2 --dist loadfile

# The CUDA kernels, executed on the host: needs neither nvcc nor a GPU. Where nvcc is, the install above compiled them too.
emulated: $(VENV)/.extra-test
	$(BIN)/cmake -S . -B build/emulated -DLSWAG_TESTS=ON -DLSWAG_CUDA=OFF -DLSWAG_PYTHON=ON \
	  -DPython_EXECUTABLE="$(CURDIR)/$(BIN)/python"
	$(BIN)/cmake --build build/emulated --target emulated --parallel 2
	$(BIN)/ctest --test-dir build/emulated -L simt --parallel 2 --output-on-failure
	$(BIN)/python tests/kernels/cuda/emulated.py build/emulated/tests/kernels/emulator

lint: $(VENV)/.extra-lint
	$(BIN)/ruff check $(PYTHON_CODE)
	$(BIN)/ruff format --check $(PYTHON_CODE)
	$(BIN)/mypy
	$(BIN)/lint-imports
	find csrc tests/kernels -name '*.h' -o -name '*.cpp' -o -name '*.inl' | xargs $(BIN)/clang-format --dry-run --Werror

# The editable install sees the source tree; this looks at what a distribution puts on a disk. Each step is the proof of
# the one before: the wheel is built from the source distribution, and used where nothing else is.
wheel: $(VENV)/.extra-release
	rm -rf dist build/dist $(FRESH)
	CMAKE_ARGS="-DLSWAG_CUDA=OFF -DCMAKE_TOOLCHAIN_FILE=$(CURDIR)/release/glibc_2_28.cmake" \
	  LSWAG_ZIG="$(CURDIR)/$(BIN)/python -m ziglang" $(BIN)/python -m build --outdir build/dist
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/auditwheel repair --only-plat --plat $(WHEEL_PLATFORM) --exclude libgomp.so.1 \
	  --wheel-dir dist build/dist/*.whl
	mv build/dist/*.tar.gz dist
	$(BIN)/twine check --strict dist/*
	$(BIN)/auditwheel show dist/*.whl
	$(BIN)/python -m release.check dist
	$(PYTHON) -m venv $(FRESH)
	$(FRESH)/bin/$(PIP_INSTALL) --quiet "$(TORCH)" dist/*.whl
	env -i PATH="$(CURDIR)/$(FRESH)/bin" python release/use.py
	env -i PATH="$(CURDIR)/$(FRESH)/bin" lswag-fast info

# Its own environment, and an editable install: the tests look at the source tree.
test-oldest: export CMAKE_ARGS := -DLSWAG_CUDA=OFF
test-oldest:
	$(OLDEST_PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/$(PIP_INSTALL) --quiet tomli
	$(OLDEST)/bin/python release/oldest.py $(OLDEST_TORCH) > $(OLDEST)/constraints.txt
	$(OLDEST)/bin/$(PIP_INSTALL) --constraint $(OLDEST)/constraints.txt --editable ".[test]"
	OMP_NUM_THREADS=1 $(OLDEST)/bin/pytest -m "not slow" -n 2 --dist loadfile $(CORE_TESTS)

# Public networks, small: `make test` runs them too once their libraries are installed.
zoo: $(VENV)/.extra-test $(VENV)/.extra-zoo
	$(BIN)/pytest -m "not slow" tests/zoo

docs: $(VENV)/.extra-docs
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --fresh-env --quiet docs build/docs

bench: $(VENV)/.extra-bench
	$(BIN)/python -m bench.score.run --rounds $(BENCH_ROUNDS) --out $(BENCH_CSV)
	$(BIN)/python -m bench.score.table $(BENCH_CSV)

# No environment of its own: it is for machines without a package registry.
device-check:
	$(PYTHON) -m bench.device --out $(DEVICE_OUT)

clean:
	rm -rf $(VENV) $(OLDEST) build dist *.egg-info lswag_fast/_core*.so .pytest_cache .mypy_cache .ruff_cache .hypothesis .benchmarks

# torch first: whoever wants a certain version gets it, and the package is content with any from 2.4 on.
$(VENV)/.torch:
	$(PYTHON) -m venv $(VENV)
	$(PIP) "$(TORCH)"
	touch $@

$(VENV)/.built: $(VENV)/.torch $(BUILD_INPUTS)
	$(PIP) --editable .
	touch $@

# Each torchvision goes with one torch.
$(VENV)/.extra-zoo: $(VENV)/.built pyproject.toml
	$(PIP) "lswag-fast[zoo]" "$(TORCH)" "$(TORCHVISION)"
	touch $@

# The package is there, so that only what the extra asks for is added, with the same torch.
$(VENV)/.extra-%: $(VENV)/.built pyproject.toml
	$(PIP) "lswag-fast[$*]" "$(TORCH)"
	touch $@
