"""Images per second of every kind of built-in model beside the default's, at Freckles' size.

    python benchmarks/variants.py [--images 8] [--rounds 7]

Random weights, images of 64x64, one thread and its own processor time; the extraction's round trip, and the
plain module's. The kinds take turns, each keeps its best round, and the default comes first and last, so that
a machine that slowed down meanwhile shows.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch

from geolip_theorems.model.architectures import fast_forward, read_config
from geolip_theorems.model.architectures.layers import ACTIVATIONS
from geolip_theorems.model.architectures.patch_svae import SITES
from geolip_theorems.model.sources import random_twin

SIZE = {"V": 48, "D": 4, "patch_size": 4, "hidden": 384, "depth": 4, "n_cross_layers": 2}
SPHERE = {"linear_readout": True, "svd_mode": "none"}


def kinds() -> dict[str, dict[str, Any]]:
    """Configs by name; the first is the default model's."""
    found = {"default": {}}
    found |= {f"svd_mode {mode}": {"svd_mode": mode} for mode in ("fp32", "fp64", "batch_shared")}
    found |= {f"row_norm {norm}": {"row_norm": norm} for norm in ("layernorm", "scale", "none")}
    found |= {"sphere-solver": SPHERE, "sphere-solver, unmatched": {**SPHERE, "match_params": False}}
    found |= {"one channel": {"channels": 1}, "five channels": {"channels": 5}, "D 24": {"D": 24}}
    for address, decode_mode in (("soft", "tied"), ("hard", "mlp"), ("none", "dict")):
        name = f"aleph {address} {decode_mode}"
        found[name] = {"model_type": "aleph", "address": address, "decode_mode": decode_mode}
    found |= {f"{name} everywhere": {"activations": dict.fromkeys(SITES, name)} for name in ACTIVATIONS}
    return {**found, "default again": {}}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    runs = {}
    for name, changes in kinds().items():
        config = {**SIZE, **changes}
        model = random_twin(read_config(config), 1)
        images = torch.rand(options.images, model.channels, 64, 64)
        runs[name] = (fast_forward(model), model, images)
    best = {name: [float("inf"), float("inf")] for name in runs}
    with torch.inference_mode():
        for _ in range(options.rounds):
            for name, (fast, model, images) in runs.items():
                for i, run in enumerate((fast, model)):
                    start = time.thread_time()
                    run(images)
                    best[name][i] = min(best[name][i], time.thread_time() - start)
    base = best["default"][0]
    print(f"one thread, {options.images} images of 64x64, best of {options.rounds} rounds")
    print(f"{'kind':28s} {'images/s':>9s} {'of default':>10s} {'plain module':>13s}")
    for name, (fast, plain) in best.items():
        n = options.images
        print(f"{name:28s} {n / fast:9.1f} {base / fast:10.2f} {n / plain:13.1f}")


if __name__ == "__main__":
    main()
