"""How far the extraction is from the floor of its matrix products, step by step.

    python benchmarks/floor.py [--model MODEL] [--images 64] [--image-size 64] [--rounds 7]

The floor is the time of the model's linear layers alone at the rate torch's sgemm reaches in the same run,
on the same thread, in products of the same shape. Steps are timed by the thread's own processor time, so
that other programs on the machine disturb less; each round times every step once and the best counts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch

from geolip_theorems.conduit import conduit_from_svd
from geolip_theorems.data.imageset import from_arrays
from geolip_theorems.extraction import patch_maps
from geolip_theorems.extraction.extract import Extraction
from geolip_theorems.extraction.tiles import tile_size
from geolip_theorems.model.architectures import FastForward, PatchSVAE, extract_patches, kernels
from geolip_theorems.model.architectures.spectra import gram_eigh
from geolip_theorems.model.sources import load_model


def flop(model: PatchSVAE, patches: int) -> int:
    """Multiplications and additions of the linear layers on so many patches."""
    mlps = (model.enc_in, model.enc_blocks, model.enc_out, model.dec_in, model.dec_blocks, model.dec_out)
    layers = [m for part in mlps for m in part.modules() if isinstance(m, torch.nn.Linear)]
    return 2 * patches * sum(layer.in_features * layer.out_features for layer in layers)


def steps(model: PatchSVAE, images: torch.Tensor) -> dict[str, Callable[[], object]]:
    """The parts of a tile's work by name; ``all`` is the whole of it as the extraction does it."""
    device, ps = torch.device("cpu"), model.patch_size
    tile = len(images)
    forward = FastForward(model)
    out = forward(images)
    svd, recon = out["svd"], out["recon"]
    grid = (images.shape[2] // ps, images.shape[3] // ps)
    patches = extract_patches(images, ps)
    flat, hidden = patches.flatten(0, 1), svd["M"].flatten(-2).flatten(0, 1)
    one = min(tile, max(1, (forward.rows or 1024) // (grid[0] * grid[1])))  # images of a chunk
    runner = Extraction(model, from_arrays(images), ablated=[], device=device)._runner()
    rows = min(len(flat), forward.rows or len(flat))
    a, b = torch.randn(rows, model.config.hidden), torch.randn(model.config.hidden, model.config.hidden)
    return {
        "sgemm": lambda: [a @ b for _ in range(16)],
        "encoder": lambda: forward.stages.encoder(flat),
        "unit rows": lambda: [model.matrices(p, forward.stages) for p in patches.split(one)],
        "Gram, eigh": lambda: [gram_eigh(m) for m in svd["M"].split(one)],
        "attention": lambda: [model.cross_attn(s) for s in svd["S_orig"].split(one)],
        "decoder": lambda: forward.stages.decoder(hidden),
        "smoothing": lambda: [model.boundary_smooth(r) for r in recon.split(one)],
        "forward": lambda: forward(images),
        "model(images)": lambda: model(images),
        "conduit": lambda: conduit_from_svd(svd["Vt"], svd["S"]),
        "error maps": lambda: patch_maps._error_maps(images, recon, ps),
        "input maps": lambda: patch_maps._input_maps(images, ps),
        "all": lambda: runner(0, tile),
        "sgemm shape": lambda: (rows, model.config.hidden),
    }


def measure(model: PatchSVAE, images: torch.Tensor, rounds: int) -> dict[str, float]:
    """Best processor seconds of each step for the tile, and ``rate`` in FLOP/s."""
    with torch.inference_mode():
        todo = steps(model, images)
        rows, width = todo.pop("sgemm shape")()
        best = dict.fromkeys(todo, float("inf"))
        for _ in range(rounds):
            for name, step in todo.items():
                begun = time.thread_time()
                step()
                best[name] = min(best[name], time.thread_time() - begun)
    best["unit rows"] -= best["encoder"]
    rate = 16 * 2 * rows * width**2 / best.pop("sgemm")
    return {**best, "rate": rate}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--model", default="auto", help="a built-in architecture (default: the embedded model)"
    )
    parser.add_argument("--image-size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = load_model(options.model, offline=True)[0]
    tile = tile_size(torch.device("cpu"))
    images = torch.rand(
        tile, 3, options.image_size, options.image_size, generator=torch.Generator().manual_seed(0)
    )
    best = measure(model, images, options.rounds)
    rate = best.pop("rate")
    work = flop(model, (options.image_size // model.patch_size) ** 2)
    floor = work / rate
    print(f"one thread, tile of {tile} images, linear layers by {kernels(torch.device('cpu'))}")
    print(
        f"sgemm {rate / 1e9:.1f} GFLOP/s; {work / 1e9:.3f} GFLOP an image; "
        f"floor {floor * 1e3:.2f} ms per image"
    )
    print(f"{'step':15s} {'ms per image':>12s} {'of the whole':>13s}")
    for name, seconds in best.items():
        print(f"{name:15s} {seconds / tile * 1e3:12.3f} {seconds / best['all']:13.0%}")
    for name in ("forward", "all"):
        print(f"{name}: {floor * tile / best[name]:.0%} of the sgemm rate")


if __name__ == "__main__":
    main()
