"""``train``: a PatchSVAE on noise."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ..io.errors import InputError, unknown
from .output import console, print_table, say, show
from .parser import DefaultsFormatter, add_command

PLAIN_EVERY_S = 30.0  # seconds between lines of progress where there is no terminal


def add(commands: argparse._SubParsersAction) -> None:
    """Add the command."""
    parser = add_command(
        commands,
        "train",
        run,
        help="train a PatchSVAE on noise",
        description="Train a PatchSVAE on noise generated on the fly. Writes best.pt (the public checkpoint "
        "format), model.safetensors and evaluation.json into --out. Interrupted, the same command goes on; "
        "finished, it starts again.",
        example="geolip-theorems train --out reports/train    # like the embedded one, 40 minutes\n"
        "geolip-theorems train --out tiny --steps 300 --hidden 64\n"
        "pytest theorems/ --model tiny/best.pt",
        formatter=DefaultsFormatter,
    )
    option = parser.add_argument
    option(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of the results",
        default=argparse.SUPPRESS,
    )
    option("--rows", type=int, default=48, metavar="V", help="rows of a patch's matrix")
    option("--modes", type=int, default=4, metavar="D", help="singular values per patch")
    option("--patch-size", type=int, default=4, metavar="PIXELS", help="side of a patch")
    option("--hidden", type=int, default=384, metavar="N", help="width of the residual blocks")
    option("--depth", type=int, default=4, metavar="N", help="residual blocks in encoder and decoder")
    option("--cross-layers", type=int, default=2, metavar="N", help="layers of spectral cross-attention")
    option("--steps", type=int, default=5300, metavar="N", help="optimiser steps")
    option("--minutes", type=float, default=0.0, help="upper bound on training time; 0 for none")
    option("--batch-size", type=int, default=64, metavar="N", help="images per step")
    option("--image-size", type=int, default=32, metavar="PIXELS", help="side of the training images")
    option("--learning-rate", type=float, default=5e-3, metavar="RATE", help="peak learning rate of Muon")
    option("--families", default="all", help="noise families, comma-separated, or all")
    option("--seed", type=int, default=0, help="of weights and noise")
    option("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    option("--float32", action="store_true", help="no bfloat16 at any time")


def run(options: argparse.Namespace) -> None:
    """The ``train`` command."""
    from ..io.files import write_atomically

    trainer = make_trainer(options)
    say(f"training into {options.out}" + (f", going on after step {trainer.step}" if trainer.step else ""))
    results = train_with_progress(trainer)
    text = json.dumps(results, indent=1) + "\n"
    write_atomically(options.out / "evaluation.json", lambda name: Path(name).write_text(text))
    print_evaluation(results)
    show(f"written: {options.out / 'best.pt'}, model.safetensors, evaluation.json")


def make_trainer(options: argparse.Namespace):
    """The trainer the options describe.

    Raises:
        InputError: one of them cannot be used.
    """
    from ..data.noise import ALL_FAMILIES
    from ..model.architectures import SVAEConfig
    from ..run.options import check_seed, resolve_device
    from ..training.train import TrainConfig, Trainer

    families = ALL_FAMILIES if options.families == "all" else tuple(options.families.split(","))
    for family in families:
        if family not in ALL_FAMILIES:
            raise unknown("noise family", family, ALL_FAMILIES)
    check_seed(options.seed)
    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out {str(options.out)!r} is a file; give a folder")
    model = SVAEConfig(
        V=options.rows,
        D=options.modes,
        patch_size=options.patch_size,
        hidden=options.hidden,
        depth=options.depth,
        n_cross_layers=options.cross_layers,
    )
    config = TrainConfig(
        model=model,
        steps=options.steps,
        minutes=options.minutes,
        batch_size=options.batch_size,
        image_size=options.image_size,
        learning_rate=options.learning_rate,
        families=families,
        seed=options.seed,
        bfloat16=not options.float32,
    )
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
