"""The script's protocol the script's way and the suite's way, on the same images, in one run.

    python benchmarks/against_script.py --images 2000
    python benchmarks/against_script.py --images 10000

The script runs the model over all images for the error maps, over 256 again for the mode energies, and over
the first 2,000 once more for the friction, in batches of 64, and fits seven probes. The model and the solver
are those of geolip-svae and geolip-core where both can be imported, else this package's own put together in
the same way. The suite extracts once, shard by shard into an empty cache, and computes the same figures;
then once more with the cache it has filled. Ablation, controls and calibration are in neither. Both sides get
the same 8-bit 32x32 images and resize them to 64. Imports and compilation are not counted.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torchvision import transforms

from geolip_theorems.conduit import conduit
from geolip_theorems.data.imageset import ImageSet, from_arrays
from geolip_theorems.data.sources import load_images
from geolip_theorems.extraction.cache import MapsCache
from geolip_theorems.extraction.extract import Extraction
from geolip_theorems.model.architectures import PatchSVAE, extract_patches
from geolip_theorems.model.sources import load_model
from geolip_theorems.run.subject import RunOptions, live_subject
from geolip_theorems.script import script_protocol
from geolip_theorems.script.protocol import PROBES, ridge_probe

SIZE, BATCH, MODE_IMAGES, MOST_MAPS, CLASSES = 64, 64, 256, 2000, 10
NO_ABLATION = np.arange(0)


def pictures(npz: Path | None, count: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 32, 32, 3) uint8 and (N,) labels: of a file, repeated as often as needed, or generated."""
    some = load_images(str(npz or "scenes"), image_size=32, max_images=count)
    pixels = [some.tensor(i, i + 256).mul(255).round().byte() for i in range(0, len(some), 256)]
    pixels = torch.cat(pixels).permute(0, 2, 3, 1).numpy()
    again = np.arange(count) % len(some)
    return pixels[again], some.labels[again]


class Pictures(torch.utils.data.Dataset):
    """What torchvision's CIFAR-10 gives the script: an image through Resize and ToTensor, and its label."""

    def __init__(self, pixels: np.ndarray, labels: np.ndarray) -> None:
        self.pixels, self.labels = pixels, labels
        self.transform = transforms.Compose([transforms.Resize(SIZE), transforms.ToTensor()])

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[i])), int(self.labels[i])


class Originals:
    """The original model and solver with our weights, or our own parts, called as the script calls them."""

    def __init__(self, model: PatchSVAE) -> None:
        config = model.config
        try:
            from geolip_core.linalg.conduit import FLEighConduit
            from geolip_svae.model import PatchSVAE as Original
        except ImportError:
            self.names = "this package's model, one torch operation at a time"
            self.model, self.solver = model, lambda G: conduit(G, backend="torch").friction
            return
        self.names = "geolip-svae's model and geolip-core's solver"
        sizes = ("V", "D", "patch_size", "hidden", "depth", "n_cross_layers")
        original = Original(**{_its_name(name): getattr(config, name) for name in sizes})
        original.load_state_dict(model.state_dict())
        solver = FLEighConduit()
        self.model, self.solver = original.eval(), lambda G: solver(G).friction


def _its_name(name: str) -> str:
    return {"patch_size": "ps", "n_cross_layers": "n_cross"}.get(name, name)


def error_of(images: torch.Tensor, recon: torch.Tensor, ps: int) -> torch.Tensor:
    """(B, N) mean squared error of each patch."""
    return (extract_patches(images, ps) - extract_patches(recon, ps)).pow(2).mean(-1)


def script(parts: Originals, data: Pictures, workers: int) -> dict[str, float]:
    """The script's figures, its way; some of them, to compare."""
    loader = torch.utils.data.DataLoader(data, batch_size=BATCH, num_workers=workers)
    ps, model = parts.model.patch_size, parts.model
    grid = (SIZE // ps, SIZE // ps)
    sums, counts = torch.zeros(CLASSES, *grid), torch.zeros(CLASSES)
    squares, kept = torch.zeros(CLASSES, *grid), []
    for images, labels in loader:
        with torch.no_grad():
            out = model(images)
            error = error_of(images, out["recon"], ps).unflatten(1, grid)
        for one, label in zip(error, labels.tolist(), strict=True):
            sums[label] += one
            squares[label] += one.pow(2)
            counts[label] += 1
            if len(kept) < MOST_MAPS:
                kept.append((one, label))
    spread = [one.std() / (one.mean() + 1e-10) for one, _ in kept]
    means = F.normalize((sums / counts.clamp(min=1)[:, None, None]).flatten(1), dim=-1)
    pairs = (means @ means.T)[~torch.eye(CLASSES, dtype=torch.bool)]
    energies = _energies(model, data, ps)
    first = probe(torch.stack([one.flatten() for one, _ in kept]), torch.tensor([c for _, c in kept]))
    accuracies = _conduit_pass(parts, loader, ps)
    return {
        "spatial CV": float(torch.stack(spread).mean()),
        "least cosine": float(pairs.min()),
        "energy of mode 0": float(energies[0].mean()),
        "probe on release": first,
        **accuracies,
    }


def _energies(model: torch.nn.Module, data: Pictures, ps: int) -> list[torch.Tensor]:
    """Each mode's share of energy; the script also puts every mode's matrices together, and drops them."""
    few = torch.utils.data.Subset(data, range(min(MODE_IMAGES, len(data))))
    found: list[list[torch.Tensor]] = []
    for images, _ in torch.utils.data.DataLoader(few, batch_size=BATCH):
        with torch.no_grad():
            out = model(images)
            S, U, Vt = (out["svd"][key] for key in ("S", "U", "Vt"))
            error_of(images, out["recon"], ps)
            for k in range(S.shape[-1]):
                alone = torch.zeros_like(S)
                alone[..., k] = S[..., k]
                torch.einsum("bnvd,bnd,bndk->bnvk", U, alone, Vt)
                share = S[..., k].pow(2) / (S.pow(2).sum(-1) + 1e-10)
                found += [[] for _ in range(k + 1 - len(found))]
                found[k].append(share)
    return [torch.cat(shares) for shares in found]


def _conduit_pass(parts: Originals, loader: torch.utils.data.DataLoader, ps: int) -> dict[str, float]:
    """The third pass and the six probes."""
    rows: dict[str, list[torch.Tensor]] = {"release": [], "eigenvalues": [], "friction": []}
    classes: list[int] = []
    for images, labels in loader:
        if len(classes) >= MOST_MAPS:
            break
        with torch.no_grad():
            out = parts.model(images)
            S, Vt = out["svd"]["S"], out["svd"]["Vt"]
            G = torch.einsum("bnij,bnj,bnjk->bnik", Vt.transpose(-2, -1), S.pow(2), Vt)
            friction = parts.solver(G.flatten(0, 1)).reshape(S.shape)
            error = error_of(images, out["recon"], ps)
        for i in range(min(len(images), MOST_MAPS - len(classes))):
            for name, values in (("release", error), ("eigenvalues", S), ("friction", friction)):
                rows[name].append(values[i].flatten())
            classes.append(int(labels[i]))
    blocks, y = {name: torch.stack(values) for name, values in rows.items()}, torch.tensor(classes)
    return {
        f"probe {name}": probe(torch.cat([blocks[part] for part in needed], 1), y)
        for name, needed in PROBES.items()
    }


def probe(X: torch.Tensor, y: torch.Tensor) -> float:
    """The script's ridge probe with the suite's split: its test accuracy."""
    order = torch.randperm(len(y), generator=torch.Generator().manual_seed(0))
    return float(ridge_probe(X, y, order, int(0.8 * len(y)), CLASSES)["test"])


def suite(model: PatchSVAE, images: ImageSet, folder: Path) -> dict:
    """The suite's form of the script's protocol through a cache."""
    subject = live_subject(model, images, RunOptions(), "model")
    cache = MapsCache(folder)
    found = cache.maps(subject.maps_key(NO_ABLATION), Extraction(model, images, ablated=NO_ABLATION))
    return cache.analysis(found, {"what": "script"}, lambda: (script_protocol(found.maps), {}))[0]


def agreement(script_figures: dict[str, float], figures: dict) -> list[tuple[str, float, float]]:
    """Figures of the two ways, beside each other."""
    ours = {"spatial CV": figures["spatial_cv"]["mean"], "least cosine": figures["class_cosine"]["min"]}
    ours |= {f"probe {name}": figures["probes"][name]["test"] for name in PROBES}
    return [(name, script_figures[name], value) for name, value in ours.items()]


def timed(run, *arguments) -> tuple[float, object]:
    """Wall-clock seconds and the result."""
    begun = time.perf_counter()
    result = run(*arguments)
    return time.perf_counter() - begun, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, nargs="+", default=[2000], help="how many (default 2000)")
    parser.add_argument("--npz", type=Path, help="take images and labels from this file, not generated ones")
    parser.add_argument(
        "--model", default="auto", help="a built-in architecture (default: the embedded model)"
    )
    parser.add_argument("--loader-workers", type=int, default=4, help="the script's DataLoader (default 4)")
    parser.add_argument("--rounds", type=int, default=1, help="the best of so many counts (default 1)")
    options = parser.parse_args()
    model = load_model(options.model, offline=True)[0]
    parts = Originals(model)
    print(f"{torch.get_num_threads()} threads; the script's side: {parts.names}")
    for count in options.images:
        pixels, labels = pictures(options.npz, count)
        data = Pictures(pixels, labels)
        images = from_arrays(pixels, labels, image_size=SIZE)
        few = Pictures(pixels[:BATCH], np.arange(BATCH) % CLASSES)  # compiles what is compiled
        script(parts, few, 0)
        best = dict.fromkeys(("script", "suite", "cache"), float("inf"))
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                suite(model, from_arrays(few.pixels, few.labels, image_size=SIZE), Path(folder))
                # A new image set each time, so that its hash is computed each time as in a run of its own.
                fresh = from_arrays(pixels, labels, image_size=SIZE)
                seconds, figures = timed(suite, model, fresh, Path(folder))
                best["suite"] = min(best["suite"], seconds)
                seconds, _ = timed(suite, model, images.prefix(None), Path(folder))
                best["cache"] = min(best["cache"], seconds)
            seconds, theirs = timed(script, parts, data, options.loader_workers)
            best["script"] = min(best["script"], seconds)
        passes = 1 + (min(count, MODE_IMAGES) + min(count, MOST_MAPS)) / count
        print(f"\n{count} images; the script makes {passes:.1f} passes")
        for name, seconds in best.items():
            ratio = best["script"] / seconds
            print(f"{name:7s} {seconds:8.2f} s  {seconds / count * 1e3:7.2f} ms/image  {ratio:7.2f} times")
        for name, their, our in agreement(theirs, figures):
            print(f"  {name:38s} script {their:.4f}  suite {our:.4f}")


if __name__ == "__main__":
    main()
