# `make theorems` and `make test` do all the set-up on a fresh machine.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
COUNTED := RELIABILITY_COUNTS=reports/reliability.json
SECONDS := 120
STAMP := $(VENV)/.installed

.PHONY: theorems test lint dist train published bench calibrate calibrate-published bank against-script large minute gpu
.PHONY: torture fuzz reliability clean

theorems: $(STAMP)  ## the main job: the six questions on the embedded model and the digits, offline
	$(BIN)/pytest theorems/ --offline --junitxml reports/latest/junit.xml $(ARGS)

test: $(STAMP) lint  ## the suite's own tests
	OMP_NUM_THREADS=1 $(BIN)/pytest tests/ -n auto --dist loadfile $(ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

dist: $(STAMP)  ## build the source archive and the wheel
	$(BIN)/python -m hatchling build -d dist

train: $(STAMP)  ## train a model like the embedded one (about 40 minutes on two cores)
	$(BIN)/geolip-theorems train --out reports/train --steps 5300 $(ARGS)

# make bench MODEL=a.pt SAVE=a                          times of one version, kept as "a"
# make bench MODEL=b.pt COMPARE=a FAIL=median:10%       another against them; slower by more than that fails
# make bench MODEL=a.pt MODEL2=b.pt FAIL=median:10%     old and new in turn, which noise disturbs least
bench: $(STAMP)  ## time the conduit, the model's steps and the probes beside their peers
	$(BIN)/pytest theorems/benchmarks --benchmark-only --junitxml reports/bench/junit.xml \
	    $(if $(MODEL),--model $(MODEL)) $(if $(MODEL2),--model $(MODEL2)) \
	    $(if $(SAVE),--benchmark-save=$(SAVE)) $(if $(COMPARE),--benchmark-compare=$(COMPARE)) \
	    $(if $(FAIL),--benchmark-compare-fail=$(FAIL)) $(ARGS)

calibrate: $(STAMP)  ## untrained models, and simulated subjects with known truth: what the verdicts say (hours)
	$(BIN)/python -m benchmarks.calibration.untrained --out reports/untrained.md
	$(BIN)/python -m benchmarks.calibration.real_maps
	$(BIN)/python -m benchmarks.calibration.run --simulations 2000 --out reports/calibration.md $(ARGS)

# make published                             the embedded model, an untrained one, two small ones trained first
# make published MODEL=v40_freckles_noise    every published figure of that version
published: $(STAMP)  ## what the public articles claim, in one table: reports/published/table.md (10 minutes)
	$(BIN)/python -m benchmarks.published $(if $(MODEL),--model $(MODEL)) $(ARGS)

calibrate-published: $(STAMP)  ## random rows and planted ones under the published claims (10 minutes)
	$(BIN)/python -m benchmarks.calibration.published --out reports/calibration_published.md $(ARGS)

bank: $(STAMP)  ## measure the random-weight twins that come with the suite again (half an hour on two cores)
	$(BIN)/python -m benchmarks.twin_bank $(ARGS)

against-script: $(STAMP)  ## the script's protocol its own way and the suite's, side by side (10 minutes)
	$(BIN)/python benchmarks/against_script.py --images 2000 $(ARGS)
	$(BIN)/python benchmarks/against_script.py --images 10000 $(ARGS)

large: $(STAMP)  ## memory and cost per image, from 2,000 to 200,000 images
	$(BIN)/python benchmarks/large.py $(ARGS)

minute: $(STAMP)  ## times of a first run and of a large one beside their limits (5 minutes on two quiet cores)
	$(BIN)/python -m benchmarks.minute $(ARGS)

gpu: $(STAMP)  ## every check on a CUDA card, ten minutes; without a card: make gpu ARGS=--dry
	$(BIN)/python -m benchmarks.gpu $(ARGS)

torture: $(STAMP)  ## kill runs at 30 random moments, workers at 20 or so; theorems in random orders (15 minutes)
	$(COUNTED) $(BIN)/python -m benchmarks.torture --points 30
	$(COUNTED) $(BIN)/python -m benchmarks.torture_workers --points 8
	for seed in 1 2 3; do SHUFFLE=$$seed $(BIN)/python -m pytest -q theorems/ -p tests.suite.shuffled --offline \
	    --report-dir reports/shuffled || exit 1; done

fuzz: $(STAMP)  ## damaged files to every reader for SECONDS in all (120), other ones each time
	FUZZ_SECONDS=$$(($(SECONDS) / 13)) $(COUNTED) $(BIN)/pytest tests/hostile/test_fuzz.py \
	    tests/report/test_commands.py $(ARGS)

reliability: $(STAMP)  ## the table of docs/reliability.md (5 minutes)
	$(COUNTED) $(BIN)/python -m benchmarks.reliability

$(STAMP): pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .benchmarks build dist
