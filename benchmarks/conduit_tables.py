"""The tables of docs/conduit.md, measured anew.

    OMP_NUM_THREADS=1 python -m benchmarks.conduit_tables [TABLE ...] [--threads 1] [--write docs/conduit.md]

Tables: golden (where the original fails), rescue (the share repaired), agreement (with the golden packets),
speed (beside LAPACK, the reference and the original, which takes part where geolip-core is installed) and
extraction (images per second with LAPACK's and with the conduit's eigenpairs in the model). Without names:
all
of them. --write replaces what stands between `<!-- table: NAME -->` and `<!-- end -->`. Ends with 1 where a
speed limit is missed or an envelope is left. From the root of the repository.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import numpy as np
import torch

from benchmarks import conduit_speed
from benchmarks.conduit_speed import Table
from geolip_theorems.conduit import conduit
from tests.conduit import golden
from tests.conduit.matrices import REPORTED, residuals

KINDS = (*golden.ORDINARY, *golden.DEGENERATE)
JUDGED = ("separated", "symmetric", "gram", "diagonal", *golden.DEGENERATE)
TELEMETRY = ("char_coeffs", "friction", "settle", "refinement_residual", "rescued")
TOLERANCE = 1e-5


def markdown(table: Table) -> str:
    head, *rows = table
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows))


def percent(share: float) -> str:
    return f"{100 * share:.2g}" if 0 < share < 0.095 else f"{100 * share:.0f}"


def failing(A: torch.Tensor, values: torch.Tensor, vectors: torch.Tensor) -> tuple[float, float]:
    """The share of matrices whose worse residual is beyond the bound, and that residual's maximum."""
    worst = [max(residuals(*(x[None] for x in row))) for row in zip(A, values, vectors, strict=True)]
    return float((np.array(worst) > TOLERANCE).mean()), max(worst)


def golden_table() -> tuple[str, bool]:
    packets, rows, largest = golden.load(), [], 0.0
    for kind in KINDS:
        cells = [kind]
        for n in golden.SIZES:
            A, L, V = (
                torch.from_numpy(packets[f"n{n}_{kind}_{field}"])
                for field in ("A", "eigenvalues", "eigenvectors")
            )
            packet = conduit(A)
            original, (ours, worst) = failing(A, L, V)[0], failing(A, *packet.eigenpairs())
            largest = max(largest, worst)
            rescued = float(packet.rescued.float().mean())
            cells.append(f"{percent(original)} / {percent(ours)} ({percent(rescued)})")
        rows.append(cells)
    text = markdown([["kind", *(f"n={n}" for n in golden.SIZES)], *rows])
    return (
        f"{text}\n\nThe worst residual of this solver over all of them is {largest:.1e}.",
        largest <= TOLERANCE,
    )


def rescue_table() -> tuple[str, bool]:
    """The share of rows repaired by kind and size."""
    sizes = conduit_speed.SIZES
    shares = {
        kind: [float(conduit(make(20_000 if n <= 8 else 4000, n)).rescued.float().mean()) for n in sizes]
        for kind, make in REPORTED.items()
    }
    rows = [[kind, *(percent(share) for share in row)] for kind, row in shares.items()]
    good = shares["ordinary Gram"][sizes.index(4)] <= 0.01
    return markdown([["rescued, per cent", *(f"n={n}" for n in sizes)], *rows]), good


def agreement_table() -> tuple[str, bool]:
    """By kind and size: times the envelope's quantiles (at most 2), and per cent of equal values."""
    packets, good, parts = golden.load(), True, []
    for field in ("friction", "settle"):
        rows = []
        for kind in JUDGED:
            cells, log = [kind], kind in golden.DEGENERATE
            for n in golden.SIZES:
                A, expected = (
                    torch.from_numpy(golden.family(packets, n, kind, "A")),
                    golden.family(packets, n, kind, field),
                )
                which = ("friction", "settle").index(field)
                here, moved = golden.telemetry(A)[which], golden.telemetry(golden.ulp_moves(A))[which]
                if field == "friction":
                    apart = golden.difference(here, expected, log), golden.difference(moved, here[None], log)
                else:
                    apart = np.abs(here - expected), np.abs(moved - here[None])
                times = golden.times_envelope(*apart)
                good &= times <= golden.MOST_TIMES
                cells.append(f"{times:.2g} ({percent(float((here == expected).mean()))})")
            rows.append(cells)
        parts.append(markdown([[field, *(f"n={n}" for n in golden.SIZES)], *rows]))
    equal = total = 0
    for n in golden.SIZES:
        for kind in KINDS:
            A = torch.from_numpy(packets[f"n{n}_{kind}_A"])
            ours, reference = conduit(A), conduit(A, backend="torch")
            same = [
                torch.isclose(getattr(ours, f), getattr(reference, f), rtol=0, atol=0, equal_nan=True)
                .reshape(len(A), -1)
                .all(1)
                for f in TELEMETRY
            ]
            equal += int(torch.stack(same).all(0).sum())
            total += len(A)
    parts.append(
        f"Numba's telemetry equals the reference's bit for bit on {equal} of {total} golden matrices."
    )
    return "\n\n".join(parts), good and equal == total


def speed_table() -> tuple[str, bool]:
    table, met = conduit_speed.speed()
    return f"{conduit_speed.machine()}.\n\n{markdown(table)}\n\n{markdown(conduit_speed.fused())}", met


def extraction_table() -> tuple[str, bool]:
    return f"{conduit_speed.machine()}.\n\n{markdown(conduit_speed.extraction())}", True


TABLES = {
    "golden": golden_table,
    "rescue": rescue_table,
    "agreement": agreement_table,
    "speed": speed_table,
    "extraction": extraction_table,
}


def replace(path: Path, name: str, text: str) -> None:
    """Put the text between the table's marks."""
    whole = path.read_text(encoding="utf-8")
    pattern = re.compile(rf"(<!-- table: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    changed, count = pattern.subn(lambda match: f"{match[1]}\n{text}\n\n{match[2]}", whole)
    if not count:
        raise SystemExit(f"{path} has no marks of the table {name!r}")
    path.write_text(changed, encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=", ".join(TABLES))
    parser.add_argument("--threads", type=int, default=1, help="threads of torch and of the conduit")
    parser.add_argument("--write", type=Path, help="a file whose tables are replaced")
    options = parser.parse_args()
    if unknown := set(options.tables) - set(TABLES):
        parser.error(f"unknown table {', '.join(sorted(unknown))}; known: {', '.join(TABLES)}")
    torch.set_num_threads(options.threads)
    good = True
    for name in options.tables or TABLES:
        text, fine = TABLES[name]()
        good &= fine
        print(f"## {name}\n\n{text}\n", flush=True)
        if options.write:
            marks = name if options.threads == 1 else f"{name}, {options.threads} threads"
            replace(options.write, marks, text)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
