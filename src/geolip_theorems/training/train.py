"""Training a PatchSVAE on the noise families, generated on the fly.

The loss is the mean squared error of the reconstruction. Hidden weight matrices are stepped by Muon,
the rest by Adam, both under one cosine schedule. In the backward pass the singular vectors and values
of M count as constants: the exact derivative has terms in 1 / (difference of two squared singular
values), and the cross-attention moves a singular value by a few percent only, so leaving them out
costs little and removes the explosions.
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

from ..data.noise import ALL_FAMILIES, mixed_batch
from ..io.errors import InputError
from ..model.architectures import PatchSVAE, SVAEConfig, extract_patches, gram_svd, grid_shape
from ..model.writing import save_checkpoint, save_safetensors
from .evaluate import evaluate

SAVE_EVERY_S = 60.0
FLOAT32_FROM = 0.8  # the last fifth runs in float32 whatever came before
FINAL_LR_SHARE = 0.005


@dataclass(frozen=True)
class TrainConfig:
    """What a training run depends on.

    Attributes:
        model: sizes of the model.
        steps: optimiser steps, the length of the schedule.
        minutes: an upper bound on training time; the schedule then follows the clock where that is
            ahead of the steps, so the run still ends with a small learning rate. 0 for no bound.
        batch_size, image_size: images per step and their side in pixels.
        learning_rate: peak rate of Muon; Adam's is ``adam_rate``.
        warmup: steps of linear warm-up.
        families: the noise families, drawn evenly.
        seed: seeds the weights and the noise.
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


@dataclass(frozen=True)
class Progress:
    """One line of news from a running training: the loss is a moving average."""

    step: int
    loss: float
    fraction: float
    elapsed_s: float

    @property
    def left_s(self) -> float:
        """Seconds left at the average pace so far."""
        return self.elapsed_s * (1 - self.fraction) / max(self.fraction, 1e-9)


def round_trip(model: PatchSVAE, images: Tensor, bfloat16: bool) -> Tensor:
    """The reconstruction (B, 3, H, W), the same function as ``model(images)["recon"]`` up to rounding."""
    cast = torch.autocast(images.device.type, torch.bfloat16, enabled=bfloat16)
    with cast:
        M = model.matrices(extract_patches(images, model.patch_size))
    M = M.float()
    with torch.no_grad():
        _, S, Vt = gram_svd(M)
    gain = model.coordinate(S) / S
    M = M @ ((Vt.mT * gain.unsqueeze(-2)) @ Vt)
    with cast:
        return model.image_of(M, grid_shape(*images.shape[-2:], model.patch_size)).float()


class Trainer:
    """A resumable training run.

    Raises:
        InputError: torch is too old for Muon, or the folder holds a run with other settings.
    """

    def __init__(self, config: TrainConfig, folder: Path, device: str = "cpu") -> None:
        if not hasattr(torch.optim, "Muon"):
            raise InputError(
                f"training needs torch 2.9 or later for the Muon optimiser; found {torch.__version__}"
            )
        if min(config.steps, config.batch_size, config.warmup) < 1 or config.minutes < 0:
            raise InputError(
                f"steps {config.steps}, batch size {config.batch_size}, warm-up {config.warmup}, minutes "
                f"{config.minutes:g}; expected 1 or more of the first three and minutes from 0"
            )
        if config.image_size < 2 or config.image_size % config.model.patch_size:
            raise InputError(
                f"image size {config.image_size} is not a multiple of the patch size "
                f"{config.model.patch_size}"
            )
        self.config, self.folder, self.device = config, Path(folder), torch.device(device)
        torch.manual_seed(config.seed)
        self.model = PatchSVAE(config.model).to(self.device)
        self.optimizers = _optimizers(self.model, config)
        self.rates = [[group["lr"] for group in o.param_groups] for o in self.optimizers]
        self.generator = torch.Generator().manual_seed(config.seed + 1)
        self.step, self.elapsed, self.loss = 0, 0.0, math.nan
        if self.resume_path.exists():
            self._resume()

    @property
    def resume_path(self) -> Path:
        """Where an interrupted run is kept."""
        return self.folder / "unfinished.pt"

    @property
    def fraction(self) -> float:
        """Share of the schedule that is done, 0 to 1."""
        by_clock = self.elapsed / (60 * self.config.minutes) if self.config.minutes else 0.0
        return min(1.0, max(self.step / self.config.steps, by_clock))

    def run(self, report: Callable[[Progress], None], report_every_s: float = 5.0) -> dict:
        """Train to the end of the schedule, then evaluate and write the results into the folder.

        Returns:
            The evaluation, see :func:`geolip_theorems.training.evaluate.evaluate`.
        """
        begun, before = time.monotonic(), self.elapsed
        reported = saved = begun
        while self.fraction < 1.0:
            self._train_step()
            now = time.monotonic()
            self.elapsed = before + now - begun
            if now - reported > report_every_s:
                report(Progress(self.step, self.loss, self.fraction, self.elapsed))
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
        for optimizer, rates in zip(self.optimizers, self.rates, strict=True):
            for group, rate in zip(optimizer.param_groups, rates, strict=True):
                group["lr"] = rate * scale
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
                f"{self.folder.name} holds an unfinished run with other settings; "
                "give the same settings to resume it, or another --out"
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
    matrices = [
        p for name, p in model.named_parameters() if p.ndim == 2 and name.startswith(("enc_", "dec_"))
    ]
    chosen = set(map(id, matrices))
    rest = [p for p in model.parameters() if id(p) not in chosen]
    muon = torch.optim.Muon(
        matrices, lr=config.learning_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
    )
    return [muon, torch.optim.Adam(rest, lr=config.adam_rate)]
