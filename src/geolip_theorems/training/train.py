"""Training a PatchSVAE on the noise families, generated on the fly.

Hidden weight matrices are stepped by Muon, the rest by Adam, both under one cosine schedule. In the backward
pass the singular vectors and values of M count as constants: the exact derivative has terms in 1 /
(difference of two squared singular values), and leaving them out costs little and removes the explosions.
"""

from __future__ import annotations

import math
import pickle
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from ..data.noise import ALL_FAMILIES, FAMILIES, mixed_batch, sample
from ..io.errors import InputError
from ..model.architectures import PatchSVAE, SVAEConfig, architecture_named, gram_svd
from ..model.architectures.layers import extract_patches, grid_shape
from ..model.writing import save_checkpoint, save_safetensors

SAVE_EVERY_S = 60.0
FLOAT32_FROM = 0.8  # the last fifth runs in float32 whatever came before
FINAL_LR_SHARE = 0.005


@dataclass(frozen=True)
class TrainConfig:
    """What a training run depends on.

    Attributes:
        steps: optimiser steps, the length of the schedule.
        minutes: an upper bound on training time, 0 for none; where the clock is ahead of the steps the
            schedule follows it, so the run still ends with a small learning rate.
        image_size: pixels a side.
        learning_rate, adam_rate: peak rates of Muon and of Adam, after ``warmup`` steps.
        bfloat16: autocast the matrix products before the last fifth.
    """

    model: SVAEConfig = field(default_factory=SVAEConfig)
    steps: int = 5300
    minutes: float = 0.0
    batch_size: int = 64
    image_size: int = 32
    learning_rate: float = 5e-3
    adam_rate: float = 1.5e-3
    warmup: int = 50
    families: tuple[str, ...] = ALL_FAMILIES
    seed: int = 0
    bfloat16: bool = True


def round_trip(model: PatchSVAE, images: Tensor, bfloat16: bool) -> Tensor:
    """The reconstruction (B, 3, H, W), the same function as ``model(images)["recon"]`` up to rounding."""
    cast = torch.autocast(images.device.type, torch.bfloat16, enabled=bfloat16)
    with cast:
        M = model.matrices(extract_patches(images, model.patch_size))
    M = M.float()
    with torch.no_grad():
        _, S, Vt = gram_svd(M)
    gain = model.cross_attn(S) / S
    M = M @ ((Vt.mT * gain.unsqueeze(-2)) @ Vt)
    with cast:
        return model.image_of(M, grid_shape(*images.shape[-2:], model.patch_size)).float()


def effective_rank(S: Tensor) -> Tensor:
    """exp of the entropy of the singular values taken as shares of their sum: (..., D) -> (...)."""
    share = (S / S.sum(-1, keepdim=True)).clamp(min=1e-12)
    return torch.exp(-(share * share.log()).sum(-1))


@torch.inference_mode()
def evaluate(model: PatchSVAE, *, seed: int, images_per_family: int = 64, image_size: int = 64) -> dict:
    """The mean squared error a noise family, on fresh noise of this seed, of a model in evaluation mode.

    Also ``mean_mse`` over the 16 original families, and over these ``effective_rank`` and ``s0_over_last``,
    mean first over mean last singular value after the cross-attention.
    """
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(seed)
    mse, spectra = {}, []
    for family in ALL_FAMILIES:
        errors = []
        for batch in sample(family, images_per_family, image_size, generator).split(16):
            out = model(batch.to(device))
            errors.append(F.mse_loss(out["recon"].cpu(), batch, reduction="none").flatten(1).mean(1))
            if family in FAMILIES:
                spectra.append(out["svd"]["S"].cpu().flatten(0, 1))
        mse[family] = torch.cat(errors).mean().item()
    S = torch.cat(spectra)
    mean = S.mean(0)
    return {
        "mse_per_family": mse,
        "mean_mse": sum(mse[family] for family in FAMILIES) / len(FAMILIES),
        "effective_rank": effective_rank(S).mean().item(),
        "s0_over_last": (mean[0] / mean[-1]).item(),
        "images_per_family": images_per_family,
        "image_size": image_size,
        "seed": seed,
    }


class Trainer:
    """A resumable training run; ``loss`` is a moving average, ``elapsed`` in seconds.

    Raises:
        InputError: a setting is out of range, or the folder holds a run with other settings or a damaged one.
    """

    def __init__(self, config: TrainConfig, folder: Path, device: str = "cpu") -> None:
        if min(config.steps, config.batch_size, config.warmup) < 1 or config.minutes < 0:
            raise InputError(
                f"steps {config.steps}, batch size {config.batch_size}, warm-up {config.warmup}, minutes "
                f"{config.minutes:g}; expected 1 or more of the first three and minutes from 0"
            )
        grid_shape(config.image_size, config.image_size, config.model.patch_size)
        self.config, self.folder, self.device = config, Path(folder), torch.device(device)
        self.resume_path = self.folder / "unfinished.pt"
        torch.manual_seed(config.seed)
        self.model = architecture_named(config.model.model_type).build(config.model).to(self.device)
        self.optimizers = _optimizers(self.model, config)
        self.generator = torch.Generator().manual_seed(config.seed + 1)
        self.step, self.elapsed, self.loss = 0, 0.0, math.nan
        if self.resume_path.exists():
            self._resume()

    @property
    def fraction(self) -> float:
        """Share of the schedule that is done, 0 to 1."""
        by_clock = self.elapsed / (60 * self.config.minutes) if self.config.minutes else 0.0
        return min(1.0, max(self.step / self.config.steps, by_clock))

    @property
    def left_s(self) -> float:
        """Seconds left at the average pace so far."""
        return self.elapsed * (1 - self.fraction) / max(self.fraction, 1e-9)

    def run(self, report: Callable[[Trainer], None], report_every_s: float = 5.0) -> dict:
        """Train to the end of the schedule, write the results into the folder, give what `evaluate` gives."""
        begun, before = time.monotonic(), self.elapsed
        reported = saved = begun
        while self.fraction < 1.0:
            self._train_step()
            now = time.monotonic()
            self.elapsed = before + now - begun
            if now - reported > report_every_s:
                report(self)
                reported = now
            if now - saved > SAVE_EVERY_S:
                self._save_unfinished()
                saved = now
        return self._finish()

    def _train_step(self) -> None:
        config, fraction = self.config, self.fraction
        warm = min(1.0, (self.step + 1) / config.warmup)
        cosine = 0.5 * (1 + math.cos(math.pi * fraction))
        scale = warm * (FINAL_LR_SHARE + (1 - FINAL_LR_SHARE) * cosine)
        for optimizer, rate in zip(self.optimizers, (config.learning_rate, config.adam_rate), strict=True):
            optimizer.param_groups[0]["lr"] = rate * scale
            optimizer.zero_grad(set_to_none=True)
        images = mixed_batch(config.families, config.batch_size, config.image_size, self.generator)
        images = images.to(self.device)
        bfloat16 = config.bfloat16 and fraction < FLOAT32_FROM
        loss = F.mse_loss(round_trip(self.model, images, bfloat16), images)
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        if torch.isfinite(norm):
            for optimizer in self.optimizers:
                optimizer.step()
        value = loss.item()
        self.loss = value if math.isnan(self.loss) else 0.98 * self.loss + 0.02 * value
        self.step += 1

    def _settings(self) -> dict:
        return {**asdict(self.config), "families": list(self.config.families)}

    def _save_unfinished(self) -> None:
        save_checkpoint(
            self.resume_path,
            self.model,
            epoch=self.step,
            test_mse=self.loss,
            config={"dataset": "noise", "img_size": self.config.image_size},
            optimizer_state_dicts=[o.state_dict() for o in self.optimizers],
            generator=self.generator.get_state(),
            elapsed=self.elapsed,
            settings=self._settings(),
        )

    def _resume(self) -> None:
        try:
            state = torch.load(self.resume_path, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError):
            raise InputError(
                f"{str(self.resume_path)!r} is damaged and the training in it cannot be resumed; "
                "delete it to begin again, or give another --out"
            ) from None
        if state["settings"] != self._settings():
            raise InputError(
                f"{self.folder.name} holds an unfinished run with other settings; give the same ones to "
                "resume it, or another --out"
            )
        self.model.load_state_dict(state["model_state_dict"])
        for optimizer, saved in zip(self.optimizers, state["optimizer_state_dicts"], strict=True):
            optimizer.load_state_dict(saved)
        self.generator.set_state(state["generator"])
        self.step, self.elapsed, self.loss = state["epoch"], state["elapsed"], state["test_mse"]

    def _finish(self) -> dict:
        results = evaluate(self.model.eval(), seed=self.config.seed + 2)
        results.update(steps=self.step, train_seconds=round(self.elapsed, 1), settings=self._settings())
        config = {"dataset": "noise", "img_size": self.config.image_size, "lr": self.config.learning_rate}
        save_checkpoint(
            self.folder / "best.pt", self.model, epoch=self.step, test_mse=results["mean_mse"], config=config
        )
        save_safetensors(self.folder / "model.safetensors", self.model, config)
        self.resume_path.unlink(missing_ok=True)
        return results


def _optimizers(model: PatchSVAE, config: TrainConfig) -> list[torch.optim.Optimizer]:
    """Muon for the weight matrices of the two MLPs, Adam for everything else."""
    matrices, rest = [], []
    for name, weights in model.named_parameters():
        (matrices if weights.ndim == 2 and name.startswith(("enc_", "dec_")) else rest).append(weights)
    how = {"weight_decay": 0.0, "adjust_lr_fn": "match_rms_adamw"}
    muon = torch.optim.Muon(matrices, lr=config.learning_rate, **how)
    return [muon, torch.optim.Adam(rest, lr=config.adam_rate)]
