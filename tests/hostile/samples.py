"""Good files of every kind, small; the hostile ones are made from them."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision.datasets import CIFAR10

from geolip_theorems.data.sources import cifar10 as cifar
from geolip_theorems.model.architectures import SVAEConfig
from geolip_theorems.model.sources import random_twin
from geolip_theorems.model.writing import save_safetensors
from geolip_theorems.results import companion
from geolip_theorems.results.environment import environment
from geolip_theorems.results.record import Results, SubjectRecord, Verdict, now

SIZES = SVAEConfig(V=8, hidden=16, depth=1)
CONFIG = {**SIZES.as_dict(), "img_size": 16, "dataset": "noise"}
SENTINEL = "a note to be replaced"


def content(**changes) -> dict:
    """A checkpoint's dictionary."""
    base = {"epoch": 1, "test_mse": 0.5, "model_state_dict": weights(), "config": dict(CONFIG)}
    return {**base, **changes}


def weights() -> dict[str, torch.Tensor]:
    return dict(random_twin(SIZES, 0).state_dict())


def saved(found, archive: bool = True) -> bytes:
    """What torch.save writes, as an archive or in the older format."""
    stream = io.BytesIO()
    torch.save(found, stream, _use_new_zipfile_serialization=archive)
    return stream.getvalue()


def members(data: bytes) -> dict[str, bytes]:
    """The members of an archive."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(path: Path, found: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in found.items():
            archive.writestr(name, data)
    return path


def header(shape: str, descr: str = "'|u1'", order: str = "False") -> bytes:
    """How an .npy file begins whose header holds these texts."""
    text = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text


def npy(array, allow_pickle: bool = False) -> bytes:
    stream = io.BytesIO()
    np.lib.format.write_array(stream, np.asanyarray(array), allow_pickle=allow_pickle)
    return stream.getvalue()


def pictures(n: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, 8, 8, 3), np.uint8)


def picture(path: Path, mode: str = "RGB", size: tuple[int, int] = (12, 10), **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(1).integers(0, 256, (size[1], size[0], 3), np.uint8)
    Image.fromarray(noise).convert(mode).save(path, **options)
    return path


def cifar_root(folder: Path, batch: object = None, meta: object = None) -> Path:
    """A data root with CIFAR-10's two files; bytes are taken as they are, anything else is pickled."""
    inside = folder / CIFAR10.base_folder
    inside.mkdir(parents=True)
    batch = good_batch() if batch is None else batch
    meta = {"label_names": [f"class {k}" for k in range(10)]} if meta is None else meta
    for name, found in ((cifar.TEST, batch), (cifar.META, meta)):
        (inside / name).write_bytes(found if isinstance(found, bytes) else pickle.dumps(found, protocol=2))
    return folder


def good_batch(n: int = 20) -> dict:
    data = np.random.default_rng(2).integers(0, 256, (n, 3072), np.uint8)
    return {"data": data, "labels": [k % 10 for k in range(n)]}


ASKED = {"probe": "ridge", "ablation_images": None}


def results() -> dict:
    """A record with one subject and one verdict."""
    verdict = Verdict(
        theorem=3,
        question="q1",
        claim="spatial_cv",
        metric="spatial_cv.corrected",
        title="error varies over patches",
        value=0.4,
        ci95=[0.3, 0.5],
        method="bootstrap",
        threshold=0.1,
        comparison=">",
        n=60,
        p=None,
        verdict="holds",
        reason="the interval is past the threshold",
    )
    model = {"name": "m", "source": "a file", "sha256": "0" * 64, "implementation": "builtin"}
    images = {"name": "d", "source": "a file", "sha256": "0" * 64, "preprocessing": "", "n_images": 60}
    subject = SubjectRecord(
        id="m-d",
        model={**model, "substitute_for": None, "config": CONFIG},
        dataset={**images, "substitute_for": None, "classes": ["a", "b"], "image_size": [16, 16]},
        seed=0,
        device="cpu",
        protocol={**dict.fromkeys(("extraction", "measures", "controls", "control_images"), 1), **ASKED},
        verdicts=[verdict],
    )
    return Results([subject], ["pytest"], environment(), now()).to_dict()


def write_samples(folder: Path) -> dict[str, Path]:
    """One good file for every loader."""
    (folder / "good.pt").write_bytes(saved(content()))
    (folder / "old.pt").write_bytes(saved(content(), archive=False))
    save_safetensors(folder / "good.safetensors", random_twin(SIZES, 0), CONFIG)
    np.savez(folder / "good.npz", images=pictures(), labels=np.arange(6) % 2, classes=["a", "b"])
    for mode, name in (("RGB", "a.png"), ("P", "b.png"), ("L", "c.tif"), ("RGB", "d.jpg"), ("RGB", "e.webp")):
        picture(folder / "images" / "one" / name, mode)
        picture(folder / "images" / "two" / name, mode)
    companion.write(folder / "good.maps.npz", {"per_image/error": np.zeros(3, np.float32)})
    (folder / "results.json").write_text(json.dumps(results()))
    (folder / "thresholds.toml").write_text("[thresholds]\nspatial_cv = 0.2\n")
    return {
        "archive": folder / "good.pt",
        "legacy": folder / "old.pt",
        "safetensors": folder / "good.safetensors",
        "twin": folder / "good.pt",
        "npz": folder / "good.npz",
        "folder": folder / "images",
        "trusted cifar": cifar_root(folder / "cifar"),
        "results": folder / "results.json",
        "compare": folder / "results.json",
        "companion": folder / "good.maps.npz",
        "toml": folder / "thresholds.toml",
    }
