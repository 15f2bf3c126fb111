# Each target first makes .venv or repairs it, by environment.py, in no time where nothing has changed.
# `PYTHON=/path/to/python3.12 make lab` chooses the Python that .venv is made with.

ifeq ($(OS),Windows_NT)
$(error On Windows, use the commands in README.md: they need no make)
endif

SHELL := /bin/sh
# Python keeps what it compiles, also where it is told not to: pip leaves that to the first import.
export PYTHONDONTWRITEBYTECODE :=
# With glibc, a process keeps up to 1 GiB that one batch has freed, in blocks below 32 MiB, for the next: fewer page faults.
export MALLOC_TRIM_THRESHOLD_ := 1073741824
export MALLOC_MMAP_THRESHOLD_ := 33554432
PYTHONS := python3 python python3.14 python3.13 python3.12 python3.11
RUN := .venv/bin/python -m

define set_up
@[ -n "$$PYTHON" ] && set -- "$$PYTHON" || set -- $(PYTHONS); \
for python; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && exec "$$python" environment.py $(1); \
	version=$$("$$python" --version 2>&1) && found="$${found:+$$found, }$$python ($$version)"; \
done; \
echo "ganbook: the course needs Python 3.11 or newer, and found $${found:-none called $$*};" \
	"install one, or name it: PYTHON=/path/to/python3.12 make $(1)" >&2; exit 1
endef

help:
	@echo "make lab         install the course and open it in JupyterLab"
	@echo "make test        install and run everything: lint, tests, every notebook"
	@echo "make gpu         run what only an NVIDIA GPU can: its tests, the chapters, benchmarks/gpu.csv"
	@echo "make notebooks   build chapters/ and solutions/ from sources/"
	@echo "make lint        ruff alone"

lab:
	$(call set_up,lab)
	@flags=; \
	[ "$$(id -u)" != 0 ] || flags='--allow-root --no-browser'; \
	[ "$$(uname)" != Linux ] || [ -n "$$DISPLAY$$WAYLAND_DISPLAY$$BROWSER" ] || flags="$$flags --no-browser"; \
	export JUPYTERLAB_WORKSPACES_DIR="$$PWD/.venv/share/jupyter/lab/workspaces"; \
	echo "Opening the course in JupyterLab. Ctrl-C, twice, stops it."; \
	exec $(RUN) jupyterlab $$flags --Application.log_level=WARN --ServerApp.ip=127.0.0.1 --ServerApp.root_dir="$$PWD" \
		--LabApp.default_url=/lab/tree/chapters/00_start_here.ipynb

# On one thread each: several with several threads would fight for two cores. Three files at a time, because those of the browser
# and the set-up often wait. In this order, because the longest should not be left to the end: the browser, then the chapters.
test:
	$(call set_up,test)
	@failed=; \
	$(RUN) ruff check . && $(RUN) ruff format --check . || failed="$$failed lint"; \
	OMP_NUM_THREADS=1 TQDM_DISABLE=1 $(RUN) pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=1800 \
		-n 3 --dist loadfile --no-loadscope-reorder tests/test_browser.py chapters tests solutions || failed="$$failed tests"; \
	[ -z "$$failed" ] || { echo "make test: failed in$$failed" >&2; exit 1; }

# In one process, because the tests compare the device's random state and its sums.
gpu:
	$(call set_up,test)
	@failed=; \
	$(RUN) pytest -v tests/test_cuda.py || failed="$$failed tests"; \
	.venv/bin/python benchmarks/gpu.py || failed="$$failed benchmark"; \
	[ -z "$$failed" ] || { echo "make gpu: failed in$$failed" >&2; exit 1; }

notebooks:
	$(call set_up,test)
	@.venv/bin/python sources/build.py

lint:
	$(call set_up,test)
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .

.PHONY: help lab test gpu notebooks lint
