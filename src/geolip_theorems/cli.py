"""The command line: ``geolip-theorems train | models | datasets | summary``.

Exit codes: 0 done, 2 something given cannot be used, 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from . import __version__
from .errors import InputError, unknown

DESCRIPTION = "Tests of what a patch-SVD autoencoder keeps and loses. The tests themselves run with pytest."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    parser = build_parser()
    options = parser.parse_args(arguments)
    try:
        options.command(options)
    except InputError as error:
        print(f"geolip-theorems: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\ninterrupted", file=sys.stderr)
        return 130
    return 0


def build_parser() -> argparse.ArgumentParser:
    """The argument parser with all commands."""
    parser = argparse.ArgumentParser(prog="geolip-theorems", description=DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _add_train(commands)
    for name, help_, command in (
        ("models", "list the models --model knows by name", show_models),
        ("datasets", "list the image sets --dataset knows by name", show_datasets),
    ):
        listing = commands.add_parser(name, help=help_)
        listing.set_defaults(command=command)
    summary = commands.add_parser("summary", help="print a results.json as Markdown")
    summary.add_argument("results", type=Path, help="a results.json")
    summary.set_defaults(command=show_summary)
    return parser


def _add_train(commands: argparse._SubParsersAction) -> None:
    train = commands.add_parser(
        "train",
        help="train a PatchSVAE on noise",
        description="Train a PatchSVAE on noise generated on the fly. Writes best.pt (the public checkpoint "
        "format), model.safetensors and evaluation.json into --out. Interrupted, the same command goes on; "
        "finished, it starts again.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    train.set_defaults(command=run_train)
    add = train.add_argument
    add("--out", type=Path, required=True, help="folder of the results")
    add("--rows", type=int, default=48, help="V, rows of a patch's matrix")
    add("--modes", type=int, default=4, help="D, singular values a patch")
    add("--patch-size", type=int, default=4, help="side of a patch in pixels")
    add("--hidden", type=int, default=384, help="width of the residual blocks")
    add("--depth", type=int, default=4, help="residual blocks in encoder and decoder")
    add("--cross-layers", type=int, default=2, help="layers of spectral cross-attention")
    add("--steps", type=int, default=5300, help="optimiser steps")
    add("--minutes", type=float, default=0.0, help="upper bound on training time; 0 for none")
    add("--batch-size", type=int, default=64, help="images a step")
    add("--image-size", type=int, default=32, help="side of the training images in pixels")
    add("--learning-rate", type=float, default=5e-3, help="peak learning rate of Muon")
    add("--families", default="all", help="noise families, comma-separated, or all")
    add("--seed", type=int, default=0, help="of weights and noise")
    add("--device", default="auto", help="auto, cpu, cuda, cuda:N or mps")
    add("--float32", action="store_true", help="no bfloat16 at any time")


def run_train(options: argparse.Namespace) -> None:
    """The ``train`` command."""
    from .data.noise import ALL_FAMILIES
    from .model.config import SVAEConfig
    from .model.writing import write_atomically
    from .subject import check_seed, resolve_device
    from .training.train import Progress as News
    from .training.train import TrainConfig, Trainer

    families = ALL_FAMILIES if options.families == "all" else tuple(options.families.split(","))
    for family in families:
        if family not in ALL_FAMILIES:
            raise unknown("noise family", family, ALL_FAMILIES)
    check_seed(options.seed)
    if options.out.exists() and not options.out.is_dir():
        raise InputError(f"--out {str(options.out)!r} is a file; give a folder")
    config = TrainConfig(
        model=SVAEConfig(
            V=options.rows,
            D=options.modes,
            patch_size=options.patch_size,
            hidden=options.hidden,
            depth=options.depth,
            n_cross_layers=options.cross_layers,
        ),
        steps=options.steps,
        minutes=options.minutes,
        batch_size=options.batch_size,
        image_size=options.image_size,
        learning_rate=options.learning_rate,
        families=families,
        seed=options.seed,
        bfloat16=not options.float32,
    )
    trainer = Trainer(config, options.out, resolve_device(options.device))
    console = Console()
    if trainer.step:
        console.print(f"going on after step {trainer.step}")
    columns = (
        TextColumn("step {task.fields[step]}  loss {task.fields[loss]}"),
        BarColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("training", total=1.0, step=trainer.step, loss="-")

        def report(news: News) -> None:
            bar.update(task, completed=news.fraction, step=news.step, loss=f"{news.loss:.5f}")
            if not console.is_terminal:
                left = news.left_s / 60
                print(
                    f"step {news.step}  loss {news.loss:.6f}  {news.fraction:.1%}  {left:.0f} min left",
                    flush=True,
                )

        results = trainer.run(report, report_every_s=1.0 if console.is_terminal else 30.0)
    text = json.dumps(results, indent=1) + "\n"
    write_atomically(options.out / "evaluation.json", lambda name: Path(name).write_text(text))
    console.print(_evaluation_table(results))
    console.print(f"written: {options.out / 'best.pt'}, model.safetensors, evaluation.json")


def _evaluation_table(results: dict) -> Table:
    table = Table(title=f"mean squared error on {results['images_per_family']} images a family", box=None)
    table.add_column("family")
    table.add_column("MSE", justify="right")
    for family, mse in results["mse_per_family"].items():
        table.add_row(family, f"{mse:.6f}")
    table.add_row("mean of the 16", f"{results['mean_mse']:.6f}", style="bold")
    table.add_row("effective rank", f"{results['effective_rank']:.3f}")
    table.add_row("S0 / last", f"{results['s0_over_last']:.3f}")
    return table


def show_summary(options: argparse.Namespace) -> None:
    """The ``summary`` command."""
    from .record import read_results
    from .report.markdown import summary

    print(summary(read_results(options.results)))


def show_models(_: argparse.Namespace) -> None:
    """The ``models`` command."""
    from .model.published import PUBLISHED
    from .model.sources import EMBEDDED

    rows = [("auto", "v40_freckles_noise where the hub or its cache has it, else freckles_embedded")]
    rows += [(name, f"embedded, {file}") for name, file in EMBEDDED.items()]
    rows += list(PUBLISHED.items())
    rows += [("random:NAME", "fresh weights in the shape of any of these")]
    rows += [("hf://owner/repo/file@revision", "a file on the hub")]
    rows += [("FILE", "a .pt checkpoint or .safetensors file")]
    _print_rows("model", rows)


def show_datasets(_: argparse.Namespace) -> None:
    """The ``datasets`` command."""
    from .data import names

    rows = [*names().items(), ("FOLDER", "images in one folder a class, or in one folder without classes")]
    _print_rows(
        "dataset", [*rows, ("FILE.npz", "images uint8 (N, H, W, 3), optional labels, classes, groups")]
    )


def _print_rows(what: str, rows: list[tuple[str, str]]) -> None:
    table = Table(box=None, pad_edge=False)
    table.add_column(f"--{what}", style="bold", no_wrap=True)
    table.add_column("is")
    for row in rows:
        table.add_row(*row)
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
