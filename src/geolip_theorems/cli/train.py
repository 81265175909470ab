"""``train``: a PatchSVAE on noise."""

from __future__ import annotations

import argparse
import json
from dataclasses import fields
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ..io.console import console
from ..io.errors import InputError, unknown
from .output import print_table, say, show
from .parser import add_command

PLAIN_EVERY_S = 30.0  # seconds between lines of progress where there is no terminal


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    option = add_command(
        commands,
        run,
        "train",
        help="train a PatchSVAE on noise",
        example="geolip-theorems train --out reports/train    # like the embedded one, 40 minutes\n"
        "geolip-theorems train --out tiny --steps 300 --hidden 64\n"
        "pytest theorems/ --model tiny/best.pt",
        json=False,
    )
    option("--out", type=Path, required=True, metavar="DIR", help="folder of the results")
    option("--rows", dest="V", type=int, default=48, metavar="V", help="rows of a patch's matrix")
    option("--modes", dest="D", type=int, default=4, metavar="D", help="singular values per patch")
    option("--patch-size", type=int, default=4, metavar="PIXELS", help="side of a patch")
    option("--hidden", type=int, default=384, metavar="N", help="width of the residual blocks")
    option("--depth", type=int, default=4, metavar="N", help="residual blocks in encoder and decoder")
    about = "layers of spectral cross-attention"
    option("--cross-layers", dest="n_cross_layers", type=int, default=2, metavar="N", help=about)
    option("--steps", type=int, default=5300, metavar="N", help="optimiser steps")
    option("--minutes", type=float, default=0.0, help="upper bound on training time; 0 for none")
    option("--batch-size", type=int, default=64, metavar="N", help="images per step")
    option("--image-size", type=int, default=32, metavar="PIXELS", help="side of the training images")
    option("--learning-rate", type=float, default=5e-3, metavar="RATE", help="peak learning rate of Muon")
    option("--families", default="all", help="noise families, comma-separated, or all")
    option("--seed", type=int, default=0, help="of weights and noise")
    option("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    option("--float32", dest="bfloat16", action="store_false", help="no bfloat16 at any time")


def run(options: argparse.Namespace) -> None:
    """Train a PatchSVAE on noise generated on the fly. Writes best.pt (the public checkpoint format),
    model.safetensors and evaluation.json into --out. Interrupted, the same command goes on; finished, it
    starts again.
    """
    from ..io.files import write_atomically

    trainer = make_trainer(options)
    say(f"training into {options.out}" + (f", going on after step {trainer.step}" if trainer.step else ""))
    results = train_with_progress(trainer)
    text = json.dumps(results, indent=1) + "\n"
    write_atomically(options.out / "evaluation.json", lambda name: Path(name).write_text(text))
    print_evaluation(results)
    show(f"written: {options.out / 'best.pt'}, model.safetensors, evaluation.json")


def make_trainer(options: argparse.Namespace):
    """The trainer the options describe; they are named as the configs' fields.

    Raises:
        InputError: one of them cannot be used.
    """
    from ..data.noise import ALL_FAMILIES
    from ..model.architectures import SVAEConfig
    from ..run.options import check_seed, resolve_device
    from ..training.train import TrainConfig, Trainer

    given = vars(options)
    families = ALL_FAMILIES if options.families == "all" else tuple(options.families.split(","))
    for family in families:
        if family not in ALL_FAMILIES:
            raise unknown("noise family", family, ALL_FAMILIES)
    check_seed(options.seed)
    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out {str(options.out)!r} is a file; give a folder")
    model = SVAEConfig(
        **{field.name: given[field.name] for field in fields(SVAEConfig) if field.name in given}
    )
    known = {field.name: given[field.name] for field in fields(TrainConfig) if field.name in given}
    config = TrainConfig(**{**known, "model": model, "families": families})
    return Trainer(config, options.out, resolve_device(options.device))


def train_with_progress(trainer) -> dict:
    """Train to the end: a bar with the time left on a terminal, else a line now and then."""
    to = console(stderr=True)
    columns = (
        TextColumn("step {task.fields[step]}  loss {task.fields[loss]}"),
        BarColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=to, disable=not to.is_terminal) as bar:
        task = bar.add_task("training", total=1.0, step=trainer.step, loss="-")

        def report(news) -> None:
            bar.update(task, completed=news.fraction, step=news.step, loss=f"{news.loss:.5f}")
            if not to.is_terminal:
                left = f"{news.left_s / 60:.0f} min left"
                say(f"step {news.step}  loss {news.loss:.6f}  {news.fraction:.1%}  {left}")

        return trainer.run(report, report_every_s=1.0 if to.is_terminal else PLAIN_EVERY_S)


def print_evaluation(results: dict) -> None:
    """The mean squared error of every noise family, and the shape of the spectrum."""
    rows = [(family, f"{mse:.6f}") for family, mse in results["mse_per_family"].items()]
    rows += [
        ("mean of the 16", f"{results['mean_mse']:.6f}"),
        ("effective rank", f"{results['effective_rank']:.3f}"),
        ("S0 / last", f"{results['s0_over_last']:.3f}"),
    ]
    title = f"mean squared error on {results['images_per_family']} images per family"
    print_table(("family", "MSE"), rows, title=title, right=("MSE",))
