"""The checks: each a function of the place that yields rows of what was found and what is expected."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from geolip_theorems.conduit import backends, conduit, conduit_from_svd, cuda_backend
from geolip_theorems.data.sources import load_images
from geolip_theorems.extraction.extract import Extraction, extract
from geolip_theorems.model.architectures import extract_patches
from geolip_theorems.model.sources import open_model
from geolip_theorems.model.threads import ieee_float32
from tests.conduit import host
from tests.conduit.golden import SIZES
from tests.conduit.matrices import TOLERANCE, clustered, grams, residuals, rows_that_differ

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "tests" / "data" / "conduit.npz"
MODEL = "freckles_embedded"
MAP_TOLERANCE = 1e-3  # of a map's largest value: float32 through another device's kernels
FRICTION_SAME = 0.99  # share of patches: a sharp function of roots that rounding moves
TOO_LARGE = 4  # images, for a dry run's memory
Row = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """Where the checks run: on a card, or dry. ``folder`` is that of the results."""

    dry: bool
    folder: Path

    @property
    def device(self) -> torch.device:
        return torch.device("cpu" if self.dry else "cuda")

    def size(self, full: int, dry: int) -> int:
        return dry if self.dry else full

    def wait(self) -> None:
        if not self.dry:
            torch.cuda.synchronize()

    def seconds(self, call: Callable[[], object], budget_s: float = 0.5) -> float:
        """Median seconds of a call, after one that warms up."""
        call()
        self.wait()
        times: list[float] = []
        while not times or (sum(times) < budget_s and len(times) < 50 and not self.dry):
            begun = time.perf_counter()
            call()
            self.wait()
            times.append(time.perf_counter() - begun)
        return float(np.median(times))


def row(what: str, found: Any, expected: Any = "", ok: bool | None = None) -> Row:
    return {
        "what": what,
        "found": str(found),
        "expected": str(expected),
        "ok": None if ok is None else bool(ok),
    }


def environment(place: Place) -> Iterator[Row]:
    """What is there: card, versions, backend, and whether float32 is IEEE's in the extraction."""
    yield row(
        "torch, CUDA, cuDNN", f"{torch.__version__}, {torch.version.cuda}, {torch.backends.cudnn.version()}"
    )
    for package in ("cuda-core", "cuda-bindings"):
        there = any(found.name == package for found in distributions())
        yield row(package, version(package) if there else "not installed: pip install -e '.[cuda]'")
    if not place.dry:
        p = torch.cuda.get_device_properties(0)
        yield row("card", f"{p.name}, sm_{p.major}{p.minor}, {p.total_memory / 2**30:.0f} GiB")
    name = backends.choose("auto", torch.device("cuda")).name
    yield row("conduit of CUDA tensors", name, "cuda", name == "cuda")
    with ieee_float32():
        tf32 = torch.backends.cudnn.allow_tf32 or torch.backends.cuda.matmul.allow_tf32
    yield row("TF32 in the extraction", tf32, False, not tf32)


def compile_kernels(place: Place) -> Iterator[Row]:
    """Each size's kernels for this card (dry: three): seconds; a thread's registers, stack, spills."""
    here = () if place.dry else ("sm_{}{}".format(*torch.cuda.get_device_capability()),)
    for card in here or ("sm_80", "sm_90", "sm_100"):
        for n in range(2, 17):
            seconds, found = resources(n, card)
            spilled = sum(function[2] for function in found.values())
            text = "; ".join(
                f"{name} {registers} registers, {stack} B stack, {spills} B spilled"
                for name, (registers, stack, spills) in found.items()
                if registers
            )
            fits = n <= cuda_backend.LARGEST_IN_REGISTERS
            expected, ok = ("no spills", not spilled) if fits else ("", None)
            yield row(f"{card}, n = {n}", f"{seconds:.1f} s; {text}", expected, ok)


def resources(n: int, card: str) -> tuple[float, dict[str, tuple[int, int, int]]]:
    """Seconds of a compilation; (registers, bytes of stack, bytes spilled) of each function."""
    log, begun = io.StringIO(), time.perf_counter()
    cuda_backend.compiled(n, card, log)
    seconds = time.perf_counter() - begun
    found: dict[str, tuple[int, int, int]] = {}
    for said in log.getvalue().split("Function properties for ")[1:]:
        numbers = re.findall(r"(\d+) bytes|Used (\d+) registers", said)
        stack, stores, _ = (int(number) for number, _ in numbers[:3])
        registers = sum(int(number) for _, number in numbers if number)
        found[said.split()[0]] = (registers, stack, stores)
    return seconds, found


def kernels(place: Place) -> Iterator[Row]:
    """The conduit's packets bit for bit beside the CPU's (dry: of a C++ compiler's kernels)."""
    with np.load(GOLDEN) as golden, host.on_the_host() if place.dry else nullcontext():
        for n in SIZES:  # numba compiles each for the CPU's side
            keys = [key for key in golden.files if key.startswith(f"n{n}_") and key.endswith("_A")]
            rows = place.size(4096, 8)
            A = torch.cat([*(torch.from_numpy(golden[k]) for k in keys), grams(rows, n), clustered(rows, n)])
            A = A[:: place.size(1, 16)]
            ours = conduit(A.to(place.device), backend="cuda").tensors()
            cpu = conduit(A, backend="numba").tensors()
            differ = {name: rows_that_differ(ours[name].cpu(), value) for name, value in cpu.items()}
            differ = {name: count for name, count in differ.items() if count}
            yield row(f"n = {n}, {len(A)} matrices: rows that differ", differ or 0, 0, not differ)
            worst = max(residuals(A, ours["eigenvalues"].cpu(), ours["eigenvectors"].cpu()))
            yield row(f"n = {n}: largest residual", f"{worst:.1e}", f"{TOLERANCE:.0e}", worst <= TOLERANCE)
            order = torch.randperm(len(A), generator=torch.Generator().manual_seed(0)).to(place.device)
            mixed = conduit(A.to(place.device)[order], backend="cuda").tensors()
            alone = all(torch.equal(value[order], mixed[name]) for name, value in ours.items())
            yield row(f"n = {n}: the same in another order", alone, True, alone)


def _subject(place: Place, count: int) -> tuple[torch.nn.Module, Any]:
    model = open_model(MODEL, device=str(place.device), offline=True).model
    return model, load_images("digits", image_size=32, max_images=count, offline=True)


def maps(place: Place) -> Iterator[Row]:
    """The images and every map beside the CPU's: bits, and largest difference by the map's largest value."""
    count = place.size(256, 16)
    model, images = _subject(place, count)
    same = torch.equal(images.store.on_device(images.order, place.device).cpu(), images.tensor())
    yield row(
        "images resized on the device", "the same bits" if same else "other bits", "the same bits", same
    )
    ours = extract(model, images, device=place.device, ablated=np.arange(count // 4))
    theirs = extract(model.cpu(), images, ablated=np.arange(count // 4))
    for name, array in theirs.arrays().items():
        if name in ("labels", "groups", "ablated"):
            continue
        found = ours.arrays()[name]
        if name in ("friction", "settle"):
            share = float(np.isclose(found, array, rtol=0.01).mean())
            yield row(f"{name}: within 1 %", f"{share:.4f}", f"{FRICTION_SAME}", share >= FRICTION_SAME)
            continue
        largest = float(np.abs(found.astype(float) - array).max() / max(np.abs(array).max(), 1e-30))
        yield row(name, f"{largest:.1e}", f"{MAP_TOLERANCE:.0e}", largest <= MAP_TOLERANCE)


def rows(place: Place) -> Iterator[Row]:
    """The same bits twice, in another batch, and with other images beside."""
    count = place.size(256, 24)
    model, images = _subject(place, count)
    whole = extract(model, images, device=place.device, ablated=np.arange(4)).arrays()
    others = {
        "twice": extract(model, images, device=place.device, ablated=np.arange(4)).arrays(),
        "the first half alone": extract(
            model, images.take(np.arange(count // 2)), device=place.device, ablated=np.arange(4)
        ).arrays(),
        "batches of 32": extract(model, images, device=place.device, ablated=np.arange(4), batch=32).arrays(),
    }
    for what, found in others.items():
        differ = [k for k, array in found.items() if not np.array_equal(array, whole[k][: len(array)])]
        free = what.startswith("batches")  # part of the cache's key: other kernels may serve another size
        expected, ok = ("", None) if free else ("the same bits", not differ)
        yield row(what, f"differ: {', '.join(differ)}" if differ else "the same bits", expected, ok)


def speed(place: Place) -> Iterator[Row]:
    """Nanoseconds a matrix by size and batch, beside cuSOLVER in float32 and in float64."""
    for n in (2, 3, 4, 5, 6, 8, 12, 16) if not place.dry else (2, 4):
        for batch in (4096, 65_536, 1_048_576) if not place.dry else (64,):
            if n > 6 and batch > 65_536:
                continue
            A = grams(min(batch, 65_536), n).to(place.device).repeat(-(-batch // 65_536), 1, 1)[:batch]
            V, S = (
                torch.linalg.eigh(A[:65_536])[1].mT.contiguous(),
                torch.rand(len(A[:65_536]), n).to(A.device),
            )
            calls = {
                "conduit": lambda A=A: conduit(A),
                "telemetry alone": lambda V=V, S=S: conduit_from_svd(V, S),
                "eigh float32": lambda A=A: [torch.linalg.eigh(part) for part in A.split(65_536)],
                "eigh float64": lambda A=A: [torch.linalg.eigh(part.double()) for part in A.split(65_536)],
            }
            each = {"telemetry alone": len(V)}
            found = {k: 1e9 * place.seconds(call) / each.get(k, batch) for k, call in calls.items()}
            ratio = found["eigh float32"] / found["conduit"]
            text = ", ".join(f"{name} {value:.3g}" for name, value in found.items())
            yield row(f"n = {n}, {batch:,} matrices", f"{text}; {ratio:.1f} times eigh float32")


def tile(place: Place) -> Iterator[Row]:
    """A tile's profile: launches, and what takes the time, without and with one ablated image."""
    from torch.profiler import ProfilerActivity, profile

    count = place.size(128, 8)
    model, images = _subject(place, count)
    for ablated in (0, 1):
        extraction = Extraction(model, images, device=place.device, ablated=np.arange(ablated))
        extraction.layout()
        runner = extraction._runner()
        kinds = [ProfilerActivity.CPU] if place.dry else [ProfilerActivity.CPU, ProfilerActivity.CUDA]
        with ieee_float32(), profile(activities=kinds) as found:
            runner(0, count)
            place.wait()
        events = found.key_averages()
        launches = sum(e.count for e in events if "LaunchKernel" in e.key)
        waits = sum(
            e.count for e in events if e.key in ("cudaStreamSynchronize", "aten::_local_scalar_dense")
        )
        yield row(f"{ablated} ablated: launches, waits", f"{launches}, {waits}")
        field = "self_cpu_time_total" if place.dry else "self_device_time_total"
        for event in sorted(events, key=lambda e: -getattr(e, field))[:8]:
            yield row(event.key[:60], f"{getattr(event, field) / 1e3:.2f} ms in {event.count} calls")
        found.export_chrome_trace(str(place.folder / f"tile-{ablated}.trace.json"))


def images(place: Place) -> Iterator[Row]:
    """Images a second through the whole extraction, the script's way, and through the model alone."""
    count = place.size(16_384, 32)
    model, some = _subject(place, place.size(1024, 16))
    some = some.take(np.resize(np.arange(len(some)), count))
    for ablated in (0, min(256, count // 4)):
        extraction = Extraction(model, some, device=place.device, ablated=np.arange(ablated))
        extraction.layout()
        begun = time.perf_counter()
        extract(model, some, device=place.device, ablated=np.arange(ablated))
        rate = count / (time.perf_counter() - begun)
        yield row(f"{count:,} images, {ablated} ablated", f"{rate:,.0f} a second")
    batch, kept = place.size(128, 8), []
    begun = time.perf_counter()
    with torch.no_grad():
        for start in range(0, count, batch):
            part = some.tensor(start, min(start + batch, count)).to(place.device)
            out = model(part)
            error = extract_patches(part - out["recon"], model.patch_size).square().mean(-1)
            # The script keeps each image's maps by themselves, on the host.
            for one, S, Vt in zip(error, out["svd"]["S"], out["svd"]["Vt"], strict=True):
                kept.append((one.cpu(), S.cpu(), conduit_from_svd(Vt, S)[0].cpu()))
    rate = count / (time.perf_counter() - begun)
    yield row(f"{count:,} images, the script's way, none ablated", f"{rate:,.0f} a second")
    batch = some.tensor(0, batch).to(place.device)
    with torch.inference_mode():
        seconds = place.seconds(lambda: model(batch))
    yield row("the model's forward pass alone", f"{len(batch) / seconds:,.0f} a second")


def memory(place: Place) -> Iterator[Row]:
    """The largest memory of a tile, and a pass that does not fit: smaller pieces, the same maps."""
    count = place.size(128, 8)
    model, some = _subject(place, count)
    whole = extract(model, some, device=place.device, ablated=np.arange(0))
    said: list[str] = []
    extraction = Extraction(model, some, device=place.device, ablated=np.arange(0), say=said.append)
    runner = extraction._runner()
    if place.dry:
        forward = runner.forward

        def full(batch: torch.Tensor) -> Any:
            if len(batch) > TOO_LARGE:
                raise torch.OutOfMemoryError("out of memory")
            return forward(batch)

        runner.forward = full
    else:
        most = torch.cuda.max_memory_allocated()
        yield row("largest allocated", f"{most / 2**20:,.0f} MiB for {count} images")
        torch.cuda.empty_cache()
        room = torch.cuda.memory_allocated() + 0.6 * (most - torch.cuda.memory_allocated())
        torch.cuda.set_per_process_memory_fraction(room / torch.cuda.get_device_properties(0).total_memory)
    found = runner(0, count)
    yield row("said", "; ".join(said), "out of memory at ..", any("out of memory" in line for line in said))
    close = np.allclose(found["error"], whole.error, rtol=1e-3, atol=1e-6)
    same = np.array_equal(found["error"], whole.error)
    yield row(
        "the error map then", "the same bits" if same else "close" if close else "another", "close", close
    )


def theorems(place: Place) -> Iterator[Row]:
    """The six questions with --device cuda beside the CPU's verdicts."""
    found: dict[str, dict[str, Any]] = {}
    for device in ("cuda", "cpu"):
        folder = place.folder / f"theorems-{device}"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "theorems/theorem3_release_fidelity",
            "-q",
            "--offline",
            "--no-report",
        ]
        command += ["--device", "cpu" if place.dry else device, "--report-dir", str(folder), "--no-cache"]
        command += ["--max-images", str(place.size(1000, 60)), "--controls", "0", "--dataset", "digits"]
        command += ["--model", MODEL]
        begun = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=False)
        record = json.loads((folder / "results.json").read_text())["subjects"][0]
        found[device] = {verdict["claim"]: verdict for verdict in record["verdicts"]}
        yield row(f"{device}: seconds; of these extraction",
                  f"{time.perf_counter() - begun:.1f}; {record['timings']['extraction_s']}")  # fmt: skip
    for claim, verdict in found["cpu"].items():
        other = found["cuda"][claim]
        same = verdict["verdict"] == other["verdict"]
        values = " beside ".join(f"{v['verdict']} ({v['value'] or 0:.4g})" for v in (other, verdict))
        yield row(claim, values, "the same verdict", same)


CHECKS: dict[str, Callable[[Place], Iterator[Row]]] = {
    "environment": environment,
    "compile": compile_kernels,
    "kernels": kernels,
    "maps": maps,
    "rows": rows,
    "speed": speed,
    "tile": tile,
    "images": images,
    "memory": memory,
    "theorems": theorems,
}
