"""The command that shows where a trained model's gain comes from: `egost train report`."""

import shlex
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import click

from pipeline.cli.console import Options as Common
from pipeline.cli.console import Rate, progress_bar, settings_only
from pipeline.cli.judge import settings_of
from pipeline.engine.stopping import stoppable


@click.command()
@click.argument("folder", metavar="RELEASE", type=click.Path(path_type=Path))
@click.option(
    "--base",
    required=True,
    metavar="MODEL",
    help="The model before training: a folder, or a name that transformers finds; with --base-url, the server's name.",
)
@click.option(
    "--sft",
    metavar="RUN",
    help="The run of egost train sft; with --base-url, the server's name for its model, or NAME=RUN.",
)
@click.option("--grpo", metavar="RUN", help="The run of egost train grpo, given in the same way.")
@click.option(
    "--base-url",
    help="A running server with all models, OpenAI-compatible, up to /v1 (default: each model is served here in turn).",
)
@click.option("--api-key-env", help="The environment variable that holds the key of that server.")
@click.option(
    "--videos",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The release's source videos, or folders with them: for --fps.",
)
@click.option(
    "--fps",
    type=Rate(0, 60, min_open=True),
    help="Also ask with so many frames a second, the rate of training; the headline is then of these.",
)
@click.option(
    "--image-pixels",
    type=click.IntRange(32, 4096),
    help="Scale frames down to so many pixels on the longer side, as in training (default: as released).",
)
@click.option("--items", type=click.IntRange(1), help="At most so many items, for a trial.")
@click.option(
    "--split",
    default="test",
    help="The split; only test is allowed, because models were trained, or chosen, on the others.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("proof"),
    help="The folder of the report, which also keeps all replies (default: proof).",
)
@click.option("--dry-run", is_flag=True, help="Send nothing; print the number of requests.")
@settings_only
@click.pass_context
@stoppable()
def report(
    context: click.Context,
    folder: Path,
    base: str,
    sft: str | None,
    grpo: str | None,
    base_url: str | None,
    api_key_env: str | None,
    videos: tuple[Path, ...],
    fps: float | None,
    image_pixels: int | None,
    items: int | None,
    split: str,
    out: Path,
    dry_run: bool,
) -> None:
    """Report whether a trained model's gain comes from what the frames show.

    The base, SFT and GRPO models are asked about the split test, with and without thinking, with frames, grey images,
    and frames in random and in reverse order. A killed run goes on where it was, and nothing is asked twice. Exit code 3: a part of the results is
    missing.
    """
    from pipeline.engine.lock import locked
    from pipeline.errors import GateError, UserError
    from pipeline.evaluate.results import made
    from pipeline.models.settings import EvaluatedModel
    from pipeline.proof.asking import SPLIT, Options, Proof
    from pipeline.proof.models import Role, proof_model
    from pipeline.proof.page import write_proof
    from pipeline.proof.report import found_by
    from pipeline.releases.reading import open_release

    if split != SPLIT:
        what = f"a proof is on the split {SPLIT} alone, not on {split}: models were trained, or chosen, on the others"
        raise UserError("--split", what, "leave it out")
    named: dict[Role, str | None] = {"base": base, "sft": sft, "grpo": grpo}
    if not (sft or grpo):
        raise UserError(context.command_path, "no trained model is given", "add --sft or --grpo")
    if api_key_env and not base_url:
        raise UserError("--api-key-env", "is for the server of --base-url", "leave it out")
    released = open_release(folder)
    models = [
        proof_model(role, given, on_server=bool(base_url))
        for role, given in named.items()
        if given is not None
    ]
    given = {"base_url": base_url, "api_key_env": api_key_env}
    settings = settings_of(context, EvaluatedModel, given)
    changed = settings.model_fields_set
    if not base_url:
        slow = {"in_flight": 16, "timeout_seconds": 3600.0}  # they wait in the server's queue
        update = {name: value for name, value in slow.items() if name not in changed}
        settings = settings.model_copy(update=update)
    if "temperature" not in changed:
        settings = settings.model_copy(update={"temperature": 0.0})
    alone = nullcontext() if dry_run else locked(made(out) / ".lock", context.command_path)
    with alone:
        with progress_bar("cutting") as progress:
            options = Options(image_pixels, items, videos, fps)
            proof = Proof(released, models, settings, options, out, _serve, progress)
        if dry_run:
            every = [proof.estimate(one) for one in models]
            for one, model in zip(every, models, strict=True):
                click.echo(
                    f"{model.title}: {one.requests} requests to {model.name}, {one.kept} replies already stored"
                )
            click.echo(
                f"train report: {sum(one.requests for one in every)} requests, "
                f"{sum(one.likely_usd for one in every):.2f} USD: {out}"
            )
            return
        found = found_by(proof, proof.run(progress_bar), _command(context))
        page = write_proof(found, out)
    for line in (*found.notes, *(one.sentence for one in found.verdicts[1:])):
        click.echo(f"note: {line}" if line in found.notes else line)
    click.echo(f"train report: {found.headline} ({found.asked_how}): {page}")
    if found.missing:
        what = f"a part of the results is missing; {'; '.join(found.missing)}"
        fix = "run this again: replies are kept"
        raise GateError(context.command_path, what, fix)


def _serve(folders: "Mapping[str, Path | str]") -> AbstractContextManager[str]:
    """Serve models here; torch is imported when the first request is sent, and not before."""
    from pipeline.tuning.serve import serving

    return serving(folders)


def _command(context: click.Context) -> str:
    run = context.ensure_object(Common).run
    return shlex.join(["egost", *(run.arguments if run else ())])
