"""Training: it learns, resumes to the same weights, and writes what can be read."""

import json
import math

import pytest
import torch

from geolip_theorems import load_model
from geolip_theorems.cli import main
from geolip_theorems.io.errors import InputError
from geolip_theorems.model.architectures import PatchSVAE, SVAEConfig
from geolip_theorems.training import train as train_module
from geolip_theorems.training.train import TrainConfig, Trainer, effective_rank, evaluate, round_trip

SMALL = SVAEConfig(V=8, hidden=16, depth=1)


def config(**changes):
    base = {"model": SMALL, "steps": 12, "batch_size": 4, "image_size": 8, "bfloat16": False, "warmup": 3}
    return TrainConfig(**{**base, **changes})


def quiet(_):
    """A report nobody reads."""


def test_the_training_pass_is_the_models_function():
    torch.manual_seed(0)
    model = PatchSVAE(SMALL)
    images = torch.randn(2, 3, 8, 12)
    torch.testing.assert_close(round_trip(model, images, False), model(images)["recon"], rtol=1e-4, atol=1e-5)


def test_training_lowers_the_error(tmp_path):
    size = SVAEConfig(V=24, hidden=48, depth=1)
    trainer = Trainer(config(model=size, steps=160, image_size=16, batch_size=8), tmp_path)
    before = evaluate(trainer.model.eval(), seed=1, images_per_family=2, image_size=16)["mean_mse"]
    trainer.run(quiet)
    after = evaluate(trainer.model.eval(), seed=1, images_per_family=2, image_size=16)["mean_mse"]
    assert after < 0.7 * before


def weights(trainer):
    return trainer.model.state_dict()


@pytest.fixture
def short_evaluation(monkeypatch):
    def short(model, *, seed):
        return evaluate(model, seed=seed, images_per_family=1, image_size=8)

    monkeypatch.setattr(train_module, "evaluate", short)


class StopError(Exception):
    pass


def test_an_interrupted_run_goes_on_as_if_it_had_not_been(tmp_path, monkeypatch, short_evaluation):
    whole = Trainer(config(), tmp_path / "whole")
    whole.run(quiet)
    monkeypatch.setattr(train_module, "SAVE_EVERY_S", 0.0)
    first = Trainer(config(), tmp_path / "parts")
    step = Trainer._train_step

    def interrupted(self):
        if self.step == 7:
            raise StopError
        step(self)

    monkeypatch.setattr(Trainer, "_train_step", interrupted)
    with pytest.raises(StopError):
        first.run(quiet)
    monkeypatch.setattr(Trainer, "_train_step", step)
    second = Trainer(config(), tmp_path / "parts")
    assert second.step == 7
    second.run(quiet)
    for key, value in weights(whole).items():
        assert torch.equal(weights(second)[key], value), key
    assert not (tmp_path / "parts" / "unfinished.pt").exists()


def test_other_settings_do_not_take_over_a_run(tmp_path, monkeypatch):
    trainer = Trainer(config(), tmp_path)
    trainer._save_unfinished()
    with pytest.raises(InputError, match="unfinished run with other settings"):
        Trainer(config(seed=5), tmp_path)


def test_the_seed_decides_everything(tmp_path, short_evaluation):
    trainers = [
        Trainer(config(seed=seed, steps=3), tmp_path / name) for seed, name in ((1, "a"), (1, "b"), (2, "c"))
    ]
    for trainer in trainers:
        trainer.run(quiet)
    a, b, c = map(weights, trainers)
    assert all(torch.equal(a[key], b[key]) for key in a)
    assert not torch.equal(a["dec_out.weight"], c["dec_out.weight"])


def test_the_clock_can_end_a_run(tmp_path):
    trainer = Trainer(config(steps=10**9, minutes=1.0), tmp_path)
    trainer.elapsed = 30.0
    assert trainer.fraction == pytest.approx(0.5)
    trainer.elapsed = 61.0
    assert trainer.fraction == 1.0


def test_the_command_writes_a_checkpoint_that_loads(tmp_path, capsys, short_evaluation):
    options = (
        "--steps 2 --rows 8 --hidden 16 --depth 1 --batch-size 2 --image-size 8 --families gaussian,blocks"
    )
    assert main(["train", "--out", str(tmp_path), *options.split()]) == 0
    assert "mean of the 16" in capsys.readouterr().out
    for name in ("best.pt", "model.safetensors"):
        model, stored = load_model(str(tmp_path / name))
        assert model.config == SMALL
        assert (stored["dataset"], stored["img_size"]) == ("noise", 8)
    results = json.loads((tmp_path / "evaluation.json").read_text())
    assert len(results["mse_per_family"]) == 18
    assert math.isfinite(results["mean_mse"])


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--families", "gausian"], "unknown noise family 'gausian'; did you mean 'gaussian'"),
        (["--device", "cuda:7"], "device 'cuda:7' is not there"),
        (["--image-size", "30"], "not a multiple of the model's patch size"),
        (["--rows", "2"], "expected V >= D"),
    ],
)
def test_mistakes_are_one_line(tmp_path, capsys, options, says):
    assert main(["train", "--out", str(tmp_path / "out"), *options]) == 2
    error = capsys.readouterr().err.strip()
    assert says in error
    assert "\n" not in error
    assert not (tmp_path / "out").exists()


def test_effective_rank_of_known_spectra():
    S = torch.tensor([[1.0, 1.0, 1.0, 1.0], [1.0, 0.0, 0.0, 0.0], [1.0, 1.0, 0.0, 0.0]])
    torch.testing.assert_close(effective_rank(S), torch.tensor([4.0, 1.0, 2.0]), rtol=1e-4, atol=1e-4)


def test_a_damaged_unfinished_run_is_one_clear_line(tmp_path):
    trainer = Trainer(config(), tmp_path)
    trainer._save_unfinished()
    whole = trainer.resume_path.read_bytes()
    for damaged in (b"", b"not a checkpoint", whole[: len(whole) // 2], whole.replace(b"PK", b"KP", 1)):
        trainer.resume_path.write_bytes(damaged)
        with pytest.raises(InputError, match="damaged"):
            Trainer(config(), tmp_path)
