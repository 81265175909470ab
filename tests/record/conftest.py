"""A small model's record, measured once."""

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from geolip_theorems.compare.pairing import Side
from geolip_theorems.extraction.cache import MapsCache
from geolip_theorems.model.sources import open_model, weights_sha256
from geolip_theorems.results.environment import environment
from geolip_theorems.results.record import Results, now
from geolip_theorems.run.analyse import analyse
from geolip_theorems.run.subject import RunOptions, open_subject

GOLDEN = str(Path(__file__).parents[1] / "data" / "svae_d4.pt")


def noisy(model, amount, seed=0):
    """A copy of a model whose every weight has Gaussian noise of ``amount`` standard deviations added."""
    worse = copy.deepcopy(model)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weights in worse.parameters():
            if weights.numel() > 1:
                weights.add_(amount * weights.std() * torch.randn(weights.shape, generator=generator))
    return worse


@pytest.fixture
def golden_model():
    """The golden model, to be changed at will."""
    return open_model(GOLDEN, offline=True).model


@pytest.fixture(scope="session")
def sides(tmp_path_factory):
    """Sides of comparisons: the golden model, and the same with little and much noise in its weights."""
    cache = MapsCache(tmp_path_factory.mktemp("cache"))
    options = RunOptions(max_images=80, ablation_images=40, controls=0, offline=True)
    subject = open_subject(GOLDEN, "scenes", options)
    model = subject.model.model

    def measured(name, changed, controls=0):
        loaded = replace(subject.model, model=changed, name=name, sha256=weights_sha256(changed))
        found = analyse(replace(subject, model=loaded, options=replace(options, controls=controls)), cache)
        run = Results([found.record], ["pytest", "theorems/"], environment(), now())
        return Side(run.to_dict()["subjects"][0], found.companion, name)

    return {
        "golden": measured("golden", model, controls=3),
        "slightly": measured("slightly", noisy(model, 0.002)),
        "noisy": measured("noisy", noisy(model, 0.5)),
    }
