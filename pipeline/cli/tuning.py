"""The commands that train and serve models with torch, of the group `train`."""

import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeVar

import click

from pipeline.cli.console import Options, Rate, no_workspace, progress_bar, settings_only
from pipeline.engine.stopping import stoppable

if TYPE_CHECKING:
    from pipeline.tuning.jobs import Job
    from pipeline.tuning.presets import Preset

# Long enough for a whole queue of long replies on a CPU.
_TIMEOUT_SECONDS = 3600
AnyCommand = TypeVar("AnyCommand", bound=Callable[..., Any])
_PATH = click.Path(path_type=Path)
_OPTIONS = (
    click.option(
        "--preset",
        required=True,
        help="The settings: paper, 7b-1gpu, 7b-8gpu, tiny-cpu, or a .toml file of your own; "
        "--set sft.NAME=VALUE, grpo.NAME=VALUE and model.NAME=VALUE change some.",
    ),
    click.option(
        "--out",
        type=_PATH,
        default=Path("runs"),
        help="Where the run's folder goes (default: runs).",
    ),
    click.option(
        "--blind",
        is_flag=True,
        help="Leave the images out, as the reference's training did: to show what is learned without seeing.",
    ),
    click.option(
        "--dry-run",
        is_flag=True,
        help="Train nothing; print what would be trained, and the memory and time that it would take (computed).",
    ),
)


def _training_options(command: AnyCommand) -> AnyCommand:
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.command()
@click.argument("rows", metavar="ROWS...", nargs=-1, required=True, type=_PATH)
@_training_options
@settings_only
@click.pass_context
@stoppable()
def sft(
    context: click.Context,
    rows: tuple[Path, ...],
    preset: str,
    out: Path,
    blind: bool,
    dry_run: bool,
) -> None:
    """Fine-tune a model on the replies of training rows (SFT).

    ROWS are folders that egost train rows made. A killed run goes on where it was. Several GPUs:
    accelerate launch --num_processes 8 -m egost train sft ROWS --preset 7b-8gpu.
    """
    chosen = _preset(context, preset)
    from pipeline.tuning import sft as stage

    with _models(dry_run) as models:
        _run(stage.job(rows, chosen, out, blind=blind, models=models), dry_run)


@click.command()
@click.argument("rows", metavar="ROWS...", nargs=-1, required=True, type=_PATH)
@click.option(
    "--from",
    "start",
    type=_PATH,
    help="The run of egost train sft to go on from (default: the preset's model itself).",
)
@_training_options
@settings_only
@click.pass_context
@stoppable()
def grpo(
    context: click.Context,
    rows: tuple[Path, ...],
    start: Path | None,
    preset: str,
    out: Path,
    blind: bool,
    dry_run: bool,
) -> None:
    """Train a model by rewards (GRPO) on the prompts of training rows.

    ROWS are folders that egost train rows made. A killed run goes on where it was. Several GPUs:
    accelerate launch --num_processes 8 -m egost train grpo ROWS --from RUN --preset 7b-8gpu.
    """
    chosen = _preset(context, preset)
    from pipeline.tuning import grpo as stage

    with _models(dry_run) as models:
        _run(stage.job(rows, chosen, out, start=start, blind=blind, models=models), dry_run)


@click.command()
@click.argument("models", metavar="MODEL...", nargs=-1, required=True)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=0,
    help="The port on 127.0.0.1; 0 takes a free one (default: 0). Replies are kept by address: a fixed port "
    "lets egost evaluate go on after both were stopped.",
)
@click.option("--device", help="Where models are put, by torch's name (default: cuda, or cpu).")
@click.option(
    "--batch",
    type=click.IntRange(1, 256),
    default=8,
    help="The most requests that are answered together (default: 8).",
)
@click.option(
    "--threads",
    type=click.IntRange(1, 1024),
    help="Threads of torch on a CPU (default: 1 for tiny models, otherwise torch's choice).",
)
@no_workspace
@stoppable()
def serve(
    models: tuple[str, ...],
    port: int,
    device: str | None,
    batch: int,
    threads: int | None,
) -> None:
    """Serve trained models to egost evaluate.

    MODEL is a run's folder, a folder with a model or an adapter, or a name on the Hugging Face hub; NAME=MODEL gives it another
    name. The server is OpenAI-compatible, listens on this machine alone and runs until it is interrupted. It is
    for small evaluations; docs/train.md names faster servers.
    """
    import threading

    from pipeline.tuning.installed import check_installed

    check_installed()
    from pipeline.tuning.serve import Server, loaded, models_of

    server = Server(loaded(models_of(models), device), port, batch, threads)
    try:
        names = " ".join(f"--model {shlex.quote(name)}" for name in server.queue.models)
        click.echo(f"train serve: {', '.join(server.queue.models)} at {server.url}")
        click.echo(
            f"score: egost evaluate RELEASE {names} --base-url {server.url} --set evaluate.temperature=0"
            f" --set evaluate.in_flight={2 * batch} --set evaluate.timeout_seconds={_TIMEOUT_SECONDS}"
        )
        threading.Event().wait()
    except KeyboardInterrupt:
        lost = server.queue.taken
        server.close()
        left = f"; {lost} requests got no reply" if lost else ""
        click.echo(f"train serve: stopped; replies: {server.queue.answered}{left}")


@click.command("run")
@click.argument("folder", metavar="RELEASE", type=_PATH)
@click.option(
    "--videos",
    multiple=True,
    required=True,
    type=_PATH,
    help="The release's source videos, or folders with them.",
)
@click.option("--preset", required=True, help="The settings, as for egost train sft.")
@click.option("--fps", type=Rate(2, 3), default=2.5, help="Frames a second (default: 2.5).")
@click.option(
    "--image-pixels",
    type=click.IntRange(64, 4096),
    default=320,
    help="Pixels on the longer side of the frames (default: 320).",
)
@click.option(
    "--items", type=click.IntRange(1), help="Report on at most so many items, for a trial."
)
@click.option(
    "--out",
    type=_PATH,
    default=Path(),
    help="Where the folders rows, runs and proof go (default: here).",
)
@settings_only
@click.pass_context
@stoppable()
def whole(
    context: click.Context,
    folder: Path,
    videos: tuple[Path, ...],
    preset: str,
    fps: float,
    image_pixels: int,
    items: int | None,
    out: Path,
) -> None:
    """Make rows, train by SFT and GRPO, and report where the gain comes from.

    Does what egost train rows, sft, grpo and report do, one after the other; give them yourself for other options. A
    killed run goes on where it was. On several GPUs, training uses all of them.
    """
    _preset(context, preset)
    from pipeline.releases.reading import open_release
    from pipeline.training.make import Options as Rows
    from pipeline.training.make import RowMaker
    from pipeline.tuning.recipe import Recipe, prove

    maker = RowMaker(open_release(folder), Rows(videos, fps, image_pixels), out / "rows")
    made = maker.run(progress_bar)
    for line in made.lines():
        click.echo(line)
    overrides = context.ensure_object(Options).overrides
    recipe = Recipe([made.folder], preset, out / "runs", overrides)
    for line in recipe.run():
        click.echo(line)
    shown = [word for one in videos for word in ("--videos", str(one))]
    shown += ["--fps", str(fps), "--image-pixels", str(image_pixels)]
    shown += ["--items", str(items)] if items else []
    for line in prove(recipe, folder, out / "proof", shown):
        click.echo(line)


def _preset(context: click.Context, name: str) -> "Preset":
    from pipeline.tuning import presets
    from pipeline.tuning.installed import check_installed

    chosen = presets.load(name, context.ensure_object(Options).overrides)
    check_installed()
    return chosen


@contextmanager
def _models(dry_run: bool) -> Iterator[Path | None]:
    """Give a dry run a folder for a tiny model, which it has to make to know its size; it is deleted."""
    if not dry_run:
        yield None
        return
    with TemporaryDirectory() as folder:
        yield Path(folder)


def _run(job: "Job", dry_run: bool) -> None:
    from pipeline.tuning import fitting, jobs, processes

    if dry_run:
        for line in jobs.described(job):
            click.echo(line)
        return
    try:
        with stoppable(), progress_bar(job.stage) as progress:
            fitted = fitting.fit(job, progress)
    except KeyboardInterrupt:
        if processes.state().is_main_process:
            click.echo(job.run.interrupted(job.stage), err=True)
        raise click.exceptions.Abort from None
    if fitted.first_process:
        click.echo(str(fitted))
