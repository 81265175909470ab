"""Coverage-guided fuzzing of the readers with Atheris, for as long as asked (not part of the tests).

    python -m tests.hostile.fuzz_readers archive|legacy|safetensors|npz -max_total_time=600 [CORPUS]

Anything but a result or an ``InputError`` in one line stops it and leaves the input behind.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["geolip_theorems", "pickletools", "zipfile", "numpy.lib"]):
    from tests.hostile import test_fuzz as fuzz

SEEDS = {
    "archive": (fuzz.ARCHIVES, ".pt", fuzz.check_model),
    "legacy": (fuzz.LEGACY, ".pt", fuzz.check_model),
    "safetensors": (fuzz.SAFETENSORS, ".safetensors", fuzz.check_model),
    "npz": ((fuzz.npz(0), fuzz.npz(8)), ".npz", fuzz.check_images),
}


def main() -> None:
    name = sys.argv.pop(1) if len(sys.argv) > 1 and sys.argv[1] in SEEDS else "archive"
    samples, suffix, check = SEEDS[name]
    with tempfile.TemporaryDirectory() as folder:
        corpus = Path(folder, "corpus")
        corpus.mkdir()
        for number, sample in enumerate(samples):
            (corpus / str(number)).write_bytes(sample)
        path = Path(folder, "fuzzed" + suffix)

        def one_input(data: bytes) -> None:
            path.write_bytes(data)
            check(path)

        longest = f"-max_len={2 * max(map(len, samples))}"
        atheris.Setup([*sys.argv, longest, "-rss_limit_mb=4096", str(corpus)], one_input)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
