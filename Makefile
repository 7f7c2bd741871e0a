# The course's commands. Each sets up .venv first when it is missing or stale.
#
#   make PYTHON=python3.12 lab                                       another Python than python3
#   make TORCH_INDEX=https://download.pytorch.org/whl/cpu lab        Linux without a GPU
#   make ARGS="--text my.txt" train                                  arguments for the training
#   make ARGS="--no-browser --port 9999" lab                         arguments for JupyterLab
#   make ARGS=--quick everything                                     the whole road, but short
#   make RUN=1 ARGS="ch02 ch03" playbook                             run two chapters, build their pages
#   make CH=ch04 slides                                              the slides of one chapter
#   make CH=ch04 OPEN=1 present                                      its run-sheet, as a page
#   make CH=ch04 SEED=3 quiz                                         ten of its questions
#   make CH=ch06 live                                                train live beside a talk
#   make PRESENT=ch04 lab                                            JupyterLab for a shared screen
#   make CONSTRAINTS= test                                           the newest packages, no pins

PYTHON = python3
CONSTRAINTS ?= setup/constraints.txt
TORCH_INDEX ?=
ARGS =
RUN =
CH =
PRESENT =
OPEN =
SEED =
SLIDES =

VENV_PYTHON = .venv/bin/python
READY = .venv/.ready
CHECKED = .venv/.checked
PIP_INSTALL = $(VENV_PYTHON) -m pip install $(if $(CONSTRAINTS),-c "$(CONSTRAINTS)")
# PyTorch's own index has few other packages: what torch needs comes with the next install.
TORCH_FROM = $(if $(TORCH_INDEX),--no-deps --index-url "$(TORCH_INDEX)")
# The notebooks, one a line: their names go through pipes, as they may hold blanks and brackets.
FIND_NOTEBOOKS = find . -name '*.ipynb' -not -path '*/.*' -not -path './my/*' -not -path './ko/*' -not -path './build/*' -not -path './runs/*' -not -path './playbook/_*' -not -name 'exercises-*.ipynb' | LC_ALL=C sort

# What `make quick` runs: the form of everything, and the parts of chapters 1 to 4.
QUICK = format notebooks lessons distilled imports exercises setup my terminal \
	ch01 ch02 ch03 ch04 generate kv_cache

# Threads that wait should sleep, not spin: much faster when the machine has other work as well.
export OMP_WAIT_POLICY = PASSIVE
# A notebook chooses its own way to draw.
unexport MPLBACKEND

.PHONY: help lab update quick test train everything playbook slides present rehearse live handout quiz progress \
	ko check notebooks format clean

help: ## show these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

lab: $(CHECKED) ## open your copies of the notebooks in JupyterLab (PRESENT=ch04: large, for a call)
	$(VENV_PYTHON) -m $(if $(PRESENT),slides lab $(PRESENT),course.my lab) $(ARGS)

# Needs no package: a set-up that does not work any more may be what the changes mend.
update: ## bring the course's changes; what you have done stays
	@$(PYTHON) -m course.my update

quick: $(READY) ## run what breaks most easily: at most three minutes
	MPLBACKEND=Agg $(VENV_PYTHON) -m pytest -q -n 2 -m "not slow" -k "not hears_what_is_off" \
		$(QUICK:%=tests/test_%.py)

# pytest takes no name with brackets, so it looks for the same notebooks itself. They come first:
# their runs leave what the tests start their sections with in new kernels.
test: $(READY) ## run every test and every notebook
	@$(FIND_NOTEBOOKS) | grep -q . || { echo "make test: there is no notebook to run"; exit 1; }
	@failed=0; \
	COURSE_LANGUAGE=en $(VENV_PYTHON) -m pytest --nbval --nbval-current-env \
		--nbval-sanitize-with tests/nbval_sanitize.cfg \
		-n 2 --dist loadfile -p no:cacheprovider . \
		--ignore=tests --ignore=ko --ignore=my --ignore=build --ignore=runs --ignore-glob='playbook/_*' \
		--ignore-glob='*/exercises-*.ipynb' -o python_files= || failed=1; \
	MPLBACKEND=Agg $(VENV_PYTHON) -m pytest -n 2 --dist loadfile tests || failed=1; \
	exit $$failed

train: $(READY) ## pretrain a small GPT on the course's story
	$(VENV_PYTHON) -m ch05.gpt_train $(ARGS)

everything: $(READY) ## the whole road: tokenizer, pretraining, finetuning, preferences, a talk
	$(VENV_PYTHON) -m playbook journey $(ARGS)

playbook: $(READY) ## gather what the notebooks found: a text, a site, a PDF (RUN=1: run them first)
	$(VENV_PYTHON) -m playbook build $(if $(filter-out 0,$(RUN)),--run) $(ARGS)

slides: $(READY) ## build the decks of all chapters, and their index (CH=ch04: of one)
	$(VENV_PYTHON) -m slides deck $(CH) $(ARGS)

present: $(READY) ## the run-sheet: clock, questions, an invitation (CH=ch04, OPEN=1: as a page)
	@$(VENV_PYTHON) -m slides sheet $(if $(filter-out 0,$(OPEN)),--open) $(SEED:%=--seed %) $(CH)

rehearse: $(READY) ## run a chapter here: can one go on stage? (CH=ch04)
	$(VENV_PYTHON) -m slides rehearse $(ARGS) $(CH)

live: $(READY) ## train a chapter's long cell beside your kernel, with a progress line (CH=ch06)
	@$(VENV_PYTHON) -m slides live $(CH)

quiz: $(READY) ## ten questions of a chapter (CH=ch04, SEED=3, SLIDES=1: as slides)
	@$(VENV_PYTHON) -m slides quiz $(if $(filter-out 0,$(SLIDES)),--slides) $(SEED:%=--seed %) $(CH)

handout: $(READY) ## one page of each chapter as PDF (CH=ch04: of one)
	$(VENV_PYTHON) -m slides handout $(CH)

ko: $(READY) ## bring the Korean texts up to date, build what follows, say what to look at
	@$(VENV_PYTHON) -m korean
	@$(VENV_PYTHON) -m korean list

progress: $(READY) ## which exercises are done, tried, open
	@$(VENV_PYTHON) -m exercises.progress

check: $(READY) ## look at Python, packages, memory, devices: one table
	$(VENV_PYTHON) setup/check_environment.py

# nbconvert takes names for patterns, in which [[] is a bracket.
notebooks: $(READY) ## execute all notebooks in place
	@$(FIND_NOTEBOOKS) | sed 's/\[/[[]/g' | tr '\n' '\0' | COURSE_LANGUAGE=en xargs -0 \
		$(VENV_PYTHON) -m jupyter nbconvert --to notebook --execute --inplace \
		--ExecutePreprocessor.record_timing=False \
		--ExecutePreprocessor.store_widget_state=False

format: $(READY) ## format modules and notebooks, and mend what ruff can
	$(VENV_PYTHON) -m ruff format .
	$(VENV_PYTHON) -m ruff check --fix .

clean: ## remove .venv and everything else that can be made again
	rm -rf .venv build *.egg-info .pytest_cache .ruff_cache playbook/_build slides/_build
	find . -path ./my -prune -o \( -name __pycache__ -o -name .ipynb_checkpoints \) -prune -exec rm -rf {} +

# The stamp is written last: a set-up that was interrupted or failed goes on at the next make.
$(READY): pyproject.toml setup/constraints.txt setup/get_vocabulary.py
	@rm -f $(READY) $(CHECKED)
	@$(PYTHON) -c 'import sys; v = sys.version_info; (3, 10) <= v < (3, 14) or sys.exit( \
		"The course needs Python 3.10 to 3.13, and $(PYTHON) is %d.%d: name another one, " \
		"for example make PYTHON=python3.12 lab" % v[:2])'
	@old=`$(VENV_PYTHON) -c 'import pip, sys; print(sys.version)' 2>&1`; \
	new=`$(PYTHON) -c 'import sys; print(sys.version)'`; \
	test "$$old" = "$$new" || $(PYTHON) -m venv --clear .venv
	$(PIP_INSTALL) $(TORCH_FROM) torch==2.13.0
	$(PIP_INSTALL) -e ".[test]"
	$(VENV_PYTHON) setup/get_vocabulary.py
	@$(VENV_PYTHON) -m slides.vendor || echo "Everything else is set up; only the slides need it."
	@touch $(READY)

$(CHECKED): $(READY) setup/check_environment.py
	$(VENV_PYTHON) setup/check_environment.py
	@touch $(CHECKED)
