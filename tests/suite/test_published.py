"""A published claim from the command line: its verdict, its reading, its table."""

import pytest
import torch

from geolip_theorems.model.architectures import PatchSVAE
from geolip_theorems.model.writing import save_checkpoint

from .conftest import ROOT, SMALL

BAND = ROOT / "theorems" / "published_claims" / "test_band.py"


@pytest.fixture
def untrained(tmp_path):
    torch.manual_seed(3)
    model = PatchSVAE(V=32, D=4, patch_size=16, hidden=32, depth=1, n_cross_layers=1)
    save_checkpoint(tmp_path / "small.pt", model, epoch=0, test_mse=1.0, config={"img_size": 64})
    return tmp_path / "small.pt"


def test_the_band_of_an_untrained_network_is_free(run_suite, untrained):
    (untrained.parent / "own.toml").write_text("[thresholds]\nband_free = 0.9\n")
    own = ("--thresholds", untrained.parent / "own.toml")
    run = run_suite("--model", untrained, "--dataset", "scenes", *SMALL, *own, "-v", paths=(BAND,))
    assert run.result.ret == pytest.ExitCode.OK
    verdict = run.verdicts()["band_free"]
    assert set(run.verdicts()) == {"band_free"}, "a run of claims on request alone measures nothing else"
    measured = run.results["subjects"][0]["measurements"]
    assert set(measured["calibrated"]) == {"published_band"}
    assert (measured["controls"], measured["script"]) == (None, {})
    (properties,) = run.junit.values()
    assert (verdict["question"], verdict["verdict"], verdict["threshold"]) == ("band", "holds", 0.9)
    assert "equal to random rows (" in verdict["reading"] == properties["reading"]
    assert f"band: {verdict['reading'][:30]}" in run.text
    assert (properties["claim"], properties["verdict"]) == ("band_free", "holds")
    assert (properties["heading"], "theorem" in properties) == ("Published claims", False)
    assert "Published claims: small-scenes" in run.text
    assert "Theorem 3" not in run.text
    assert "Published claim: band" in run.text
    assert "Published claim: spectrum" not in run.text
