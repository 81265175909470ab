"""Times of the conduit beside its peers, in turn and in one run: the tables of docs/conduit.md.

Run by benchmarks/conduit_tables.py. On one thread the clock is the process's own processor time, which other
programs disturb less; on more it is the wall's.
"""

from __future__ import annotations

import functools
import platform
import statistics
import time
from collections.abc import Callable
from unittest import mock

import numpy as np
import torch

from geolip_theorems.conduit import conduit, conduit_from_svd
from geolip_theorems.data.sources import load_images
from geolip_theorems.extraction.extract import extract
from geolip_theorems.model.sources import open_model
from tests.conduit.matrices import clustered, grams

Table = list[list[str]]

SIZES = (2, 3, 4, 6, 8, 12, 16)
BATCHES = (256, 4096, 16_384, 65_536, 1_048_576)
ROWS, CLUSTERED_ROWS = 16_384, 4096
# (n, batch): (peer, at least so many times the conduit's time); below 1: the conduit takes at most 1 / that.
LIMITS = {(4, 16_384): (("original", 40.0), ("eigh32", 10.0)), (16, 16_384): (("eigh32", 1 / 2.5),)}
GROUP_S = 6.0  # seconds for a row of the table, shared out among its solvers
FEWEST, MOST = 3, 300  # rounds
LONGEST_CALL_S = 1.0  # of a peer: slower ones get fewer matrices
IMAGES, IMAGE_SIZE = 16, 64


def original() -> Callable | None:
    """geolip-core's solver, or None where it is not installed."""
    try:
        from geolip_core.linalg.conduit import FLEighConduit
    except ImportError:
        return None
    return FLEighConduit()


def solvers() -> dict[str, Callable[[torch.Tensor], object]]:
    """Conduit and peers by name, each a function of A (B, n, n) float32."""
    found = {
        "conduit": conduit,
        "eigh32": torch.linalg.eigh,
        "eigh64": lambda A: torch.linalg.eigh(A.double()),
        "reference": functools.partial(conduit, backend="torch"),
        "original": original(),
    }
    return {name: call for name, call in found.items() if call}


def clock() -> float:
    return time.process_time() if torch.get_num_threads() == 1 else time.perf_counter()


def seconds(call: Callable[[], object]) -> float:
    begun = clock()
    call()
    return clock() - begun


def in_turn(calls: dict[str, Callable[[], object]], budget_s: float = GROUP_S) -> dict[str, list[float]]:
    """Seconds of each call, many rounds: a slow one takes part in a few, a fast one in all.

    The order is turned round every second time, so that none always comes after the same.
    """
    cost = {name: seconds(call) for name, call in calls.items()}  # warm-up as well
    share = budget_s / len(calls)
    rounds = {name: int(np.clip(share / max(cost[name], 1e-9), FEWEST, MOST)) for name in calls}
    most, times = max(rounds.values()), {name: [] for name in calls}
    for turn in range(most):
        for name in calls if turn % 2 else reversed(calls):
            # A peer of few rounds takes them spread over the whole run.
            if turn * rounds[name] // most != (turn - 1) * rounds[name] // most:
                times[name].append(seconds(calls[name]))
    return times


def microseconds(A: torch.Tensor, peers: dict[str, Callable]) -> dict[str, tuple[float, float]]:
    """(least, median) microseconds a matrix of each solver; slow ones get the first matrices only."""
    calls, counts = {}, {}
    for name, solve in peers.items():
        few = A[:256]
        solve(few)
        each = seconds(lambda few=few, solve=solve: solve(few)) / len(few)
        counts[name] = int(np.clip(LONGEST_CALL_S / max(each, 1e-9), 256, len(A)))
        calls[name] = functools.partial(solve, A[: counts[name]])
    times = in_turn(calls)
    return {
        name: (min(t) / counts[name] * 1e6, statistics.median(t) / counts[name] * 1e6)
        for name, t in times.items()
    }


def figure(x: float) -> str:
    return f"{x:.0f}" if x >= 99.5 else f"{x:.3g}"


def pair(least_and_median: tuple[float, float]) -> str:
    return " / ".join(map(figure, least_and_median))


HEADER = [
    "matrices", "repaired", "conduit", "eigh float32", "eigh float64", "reference", "original",
    "eigh float32 / conduit", "original / conduit", "limit",
]  # fmt: skip


def row(label: str, key: tuple[int, int] | None, A: torch.Tensor, peers: dict) -> tuple[list[str], bool]:
    """A row of the table, and whether its limits are met (by the minima; without limits, True)."""
    found = microseconds(A, peers)
    rescued = float(conduit(A[:65_536]).rescued.float().mean())
    ours, met, limits = found["conduit"], True, []

    def times(name: str) -> tuple[float, float]:
        return found[name][0] / ours[0], found[name][1] / ours[1]

    for peer, least in LIMITS.get(key, ()):
        if peer == "original" and peer not in found:
            peer = "reference"  # stands in for it where it is not installed
        ok = times(peer)[0] >= least
        met &= ok
        text = (
            f"{peer} {least:g}"
            if least > 1
            else f"at most {1 / least:g} times {peer}: {1 / times(peer)[0]:.2f}"
        )
        limits.append(f"{text}: {'met' if ok else 'MISSED'}")
    cells = [
        pair(found[name]) if name in found else "-"
        for name in ("conduit", "eigh32", "eigh64", "reference", "original")
    ]
    ratios = [pair(times(name)) if name in found else "-" for name in ("eigh32", "original")]
    return [label, f"{100 * rescued:.3g} %", *cells, *ratios, "; ".join(limits)], met


def speed() -> tuple[Table, bool]:
    """Ordinary Gram matrices by size, n = 4 by batch, clustered spectra by size; whether limits are met."""
    peers, rows, met = solvers(), [], True
    cases = [(n, ROWS) for n in SIZES] + [(4, batch) for batch in BATCHES if batch != ROWS]
    for n, batch in cases:
        A = grams(min(batch, 65_536), n)
        A = A.repeat(-(-batch // len(A)), 1, 1)[:batch]
        cells, good = row(f"Gram, n = {n}, {batch:,}", (n, batch), A, peers)
        rows.append(cells)
        met &= good
    for n in SIZES:
        A = clustered(CLUSTERED_ROWS, n)
        rows.append(row(f"clustered, n = {n}, {CLUSTERED_ROWS:,}", None, A, peers)[0])
    return [HEADER, *rows], met


def fused() -> Table:
    """Telemetry from (Vt, S): the fused entry beside the Gram matrix formed first, n = 4."""
    generator = torch.Generator().manual_seed(0)
    Vt = torch.linalg.qr(torch.randn(ROWS, 4, 4, generator=generator))[0]
    S = torch.rand(ROWS, 4, generator=generator) + 0.5

    def gram() -> torch.Tensor:
        return torch.einsum("bki,bk,bkj->bij", Vt, S * S, Vt)

    times = in_turn(
        {
            "conduit_from_svd": lambda: conduit_from_svd(Vt, S),
            "einsum, then conduit": lambda: conduit(gram()),
            "einsum alone": gram,
        }
    )
    found = {name: (min(t) / ROWS * 1e6, statistics.median(t) / ROWS * 1e6) for name, t in times.items()}
    return [["from (Vt, S), n = 4, 16,384", "microseconds"], *([name, pair(t)] for name, t in found.items())]


def extraction() -> Table:
    """Images a second end to end, with LAPACK's eigenpairs in the model's SVD and with the conduit's."""
    model, images = (
        open_model("auto", offline=True).model,
        load_images("scenes", image_size=IMAGE_SIZE, max_images=IMAGES, offline=True),
    )

    def run(with_conduit: bool) -> object:
        with mock.patch(
            "geolip_theorems.model.architectures.spectra._wants_conduit", return_value=with_conduit
        ):
            return extract(model, images, device="cpu", ablated=np.arange(0))

    times = in_turn({"LAPACK": lambda: run(False), "conduit": lambda: run(True)}, budget_s=30.0)
    rows = [
        [f"{name}'s eigenpairs", f"{IMAGES / min(t):.1f}", f"{IMAGES / statistics.median(t):.1f}"]
        for name, t in times.items()
    ]
    return [[f"extraction of {IMAGES} images of {IMAGE_SIZE} x {IMAGE_SIZE}", "best", "median"], *rows]


def machine() -> str:
    """What the times were measured on."""
    threads = torch.get_num_threads()
    kind = "processor time" if threads == 1 else "wall time"
    name = platform.processor() or platform.machine()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            name = next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        pass
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{threads} thread{'s' * (threads > 1)}, {kind}; {name}, {capability}; torch {torch.__version__}"
