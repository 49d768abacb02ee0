PYTHON ?= $(if $(wildcard .venv/bin/python),.venv/bin/python,python3)
ARGS ?=

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: classifier pictures tables help install check format-check lint types test nightly format docs notebook bench evidence clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: ## Make .venv and install the suite into it with every extra
	python3 -m venv .venv
	.venv/bin/pip install -e '.[all]'

check: format-check lint types test ## Everything that CI runs, in its order

format-check: ## Fail if a file is not formatted
	$(PYTHON) -m ruff format --check .

lint: ## Look for mistakes that can be seen without running
	$(PYTHON) -m ruff check .

types: ## Check types, strictly
	$(PYTHON) -m mypy

test: ## Run the tests, on every core; ARGS="-k name" picks some, ARGS="-n 0" runs them in one process
	$(PYTHON) -m pytest -n auto --dist worksteal $(ARGS)

nightly: ## Run the tests with the long sweeps, which `test` leaves out
	$(PYTHON) -m pytest -n auto --dist worksteal -m "nightly or not nightly" $(ARGS)

format: ## Format every file and mend what can be mended
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

docs: export NO_MKDOCS_2_WARNING = 1
docs: ## Build the documentation site into site/; a warning is an error
	$(PYTHON) -m mkdocs build --strict $(ARGS)

notebook: ## Run the tutorial and keep what it printed and drew
	$(PYTHON) -m nbconvert --to notebook --execute --inplace --ExecutePreprocessor.record_timing=False docs/notebooks/*.ipynb

bench: ## Measure throughput against Stable-Baselines3; ARGS=--quick for a short look
	$(PYTHON) -m benchmarks.throughput $(ARGS)

evidence: ## What the agents learn, beside Stable-Baselines3's, and how fast; the paper's Fig. 2; all methods compared: hours
	$(PYTHON) -m benchmarks.learning --out results/reference/learning/learning.json $(ARGS)
	$(PYTHON) -m benchmarks.learning --default-budget --agent a2c ppo --out results/reference/learning/default_budget.json $(ARGS)
	$(PYTHON) -m benchmarks.parity --out results/reference/parity/parity.json $(ARGS)
	$(PYTHON) -m benchmarks.parity --agent ppo --out results/reference/parity/ppo.json $(ARGS)
	$(PYTHON) -m benchmarks.precision --out results/reference/precision/precision.json
	$(PYTHON) -m benchmarks.members --out results/reference/stable-baselines/members.json $(ARGS)
	$(PYTHON) -m benchmarks.families --out results/reference/families/families.json
	$(PYTHON) -m benchmarks.overlap --out results/reference/overlap/overlap.json
	$(PYTHON) -m benchmarks.ray_overhead --out results/reference/ray/ray_overhead.json
	$(PYTHON) -m benchmarks.soak --out results/reference/soak/soak.json
	$(PYTHON) -m benchmarks.start --out results/reference/start/start.json
	$(PYTHON) -m benchmarks.growth --out results/reference/growth/growth.json
	$(PYTHON) -m benchmarks.jax_population --out results/reference/jax/jax_population.json
	$(PYTHON) -m benchmarks.controller --out results/reference/controller/controller.json
	$(PYTHON) -m benchmarks.first_run --out results/reference/first-run/first_run.json
	$(PYTHON) -m benchmarks.exploration --out results/reference/exploration/exploration.json $(ARGS)
	$(PYTHON) -m benchmarks.study
	$(PYTHON) -m benchmarks.figure_2 --seeds 0 1 2 3 4 5 6 7 8 9
	$(PYTHON) -m benchmarks.comparison --env CartPole-v1 --out results/reference/comparison/cartpole-v1 --trim --only methods replay --frames 100k --interval 10k --eval-episodes 2
	$(PYTHON) -m benchmarks.comparison --env Acrobot-v1 --out results/reference/comparison/acrobot-v1 --trim --frames 50k --interval 5k --eval-episodes 2
	$(PYTHON) -m benchmarks.comparison --env LunarLander-v3 --out results/reference/comparison/lunarlander-v3 --trim --only methods replay --frames 60k --interval 10k --eval-episodes 2
	$(PYTHON) -m benchmarks.comparison --env MinAtar/Breakout-v1 --out results/reference/comparison/minatar-breakout-v1 --trim --only methods replay --frames 60k --interval 6k --eval-episodes 2

# The space of the tables of Acrobot, wide enough that most of its points fail; and what a run of it is judged by.
ACROBOT := --env Acrobot-v1 --search learning_rate=log:1e-5:1e-1 entropy_cost=log:1e-4:1e-1 discount=horizon:0.9:0.999 --frames 100k --interval 5k --eval-episodes 4 --anytime-tests 0
tables: ## Record the table of learning curves that methods are tested on, and check it: about five CPU minutes
	$(PYTHON) -m rl_pbt.bench $(ACROBOT) --methods grid --population 30 --grid-points learning_rate=5 entropy_cost=2 discount=3 --seeds 0 1 2 --test-episodes 8 --out results/acrobot-table/grid
	$(PYTHON) -m rl_pbt.bench $(ACROBOT) --methods explore-only --resample-probability 1 --population 8 --seeds 10 --test-episodes 8 --out results/acrobot-table/changing
	$(PYTHON) -m rl_pbt.bench $(ACROBOT) --methods pbt random --resample-probability 0.25 --population 16 --seeds 20 21 --out results/acrobot-table/pbt
	$(PYTHON) -m rl_pbt table results/acrobot-table/grid --check results/acrobot-table/changing results/acrobot-table/pbt --out results/reference/tables/acrobot-v1-a2c.json

classifier: ## Train the classifier that judges GANs again: two minutes; its file in the package changes
	$(PYTHON) -m benchmarks.gan_classifier

pictures: ## Draw README's figures again, from committed ledgers
	$(PYTHON) -m benchmarks.pictures

clean: ## Remove caches and build leftovers, never results
	rm -rf build dist site *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +
