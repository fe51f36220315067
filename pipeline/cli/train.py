"""The commands that prepare training on a release."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from pipeline.cli import proof, tuning
from pipeline.cli.console import (
    InOrder,
    Rate,
    names,
    no_workspace,
    progress_bar,
    refuse,
    settings_only,
)
from pipeline.cli.judge import settings_of

if TYPE_CHECKING:
    from pipeline.training.written import Writing


@click.group(cls=InOrder)
def train() -> None:
    """Train a model on a release: on its split train alone."""


@train.command()
@click.argument("folder", metavar="RELEASE", type=click.Path(path_type=Path))
@click.option(
    "--videos",
    multiple=True,
    type=click.Path(path_type=Path),
    help="The release's source videos, or folders with them. Without one, the release's own frames are used if they "
    "are close enough.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("rows"),
    help="Where the folder of rows goes (default: rows).",
)
@click.option(
    "--split",
    default="train",
    help="The split; only train is allowed, because models are scored on the others.",
)
@click.option(
    "--fps",
    type=Rate(2, 3),
    default=2.5,
    help="Frames a second, at most 96 in all (default: 2.5).",
)
@click.option(
    "--image-pixels",
    type=click.IntRange(64, 4096),
    default=320,
    help="Pixels on the longer side of the frames; 320 are about 64 tokens of Qwen2.5-VL (default: 320).",
)
@click.option(
    "--contrast",
    default="rewound,mirrored",
    callback=names,
    help="Further rows, with frames in reverse order (rewound) or flipped left to right (mirrored), or none "
    "(default: rewound,mirrored).",
)
@click.option(
    "--mirror-text",
    is_flag=True,
    help="Also flip spans that pass something with text, such as a sign, by their names.",
)
@click.option("--unverified", is_flag=True, help="Also use items that nobody verified.")
@click.option(
    "--results",
    type=click.Path(path_type=Path),
    help="Results of egost evaluate --split train --repeats N: leave out what the model gets right every time or never.",
)
@click.option(
    "--seed",
    type=click.IntRange(0),
    default=0,
    help="Seed of the wordings of think texts (default: 0).",
)
@click.option(
    "--think-model",
    help="A model that writes the think texts, by its server's name for it; those that don't agree with what was "
    "verified are not kept (default: templates).",
)
@click.option(
    "--think-base-url",
    help="Its server, OpenAI-compatible, up to /v1 (default: https://api.openai.com/v1).",
)
@click.option("--think-api-key-env", help="The environment variable that holds its key.")
@click.option(
    "--think-tries",
    type=click.IntRange(1, 20),
    default=2,
    help="How often it is asked about a row until a text can be kept (default: 2).",
)
@click.option(
    "--no-fall-back",
    is_flag=True,
    help="Leave a row without thinking if no text of the model can be kept, instead of using the template's.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, 256),
    default=0,
    help="Number of processes; 0 = one per core (default: 0).",
)
@click.option("--dry-run", is_flag=True, help="Cut nothing; print how many rows there would be.")
@settings_only
@click.pass_context
def rows(
    context: click.Context,
    folder: Path,
    videos: tuple[Path, ...],
    out: Path,
    split: str,
    fps: float,
    image_pixels: int,
    contrast: tuple[str, ...],
    mirror_text: bool,
    unverified: bool,
    results: Path | None,
    seed: int,
    think_model: str | None,
    think_base_url: str | None,
    think_api_key_env: str | None,
    think_tries: int,
    no_fall_back: bool,
    workers: int,
    dry_run: bool,
) -> None:
    """Make training rows from a release's split train.

    Frames are cut from the source videos, which are found by their digests. Items whose facts can't be seen in
    these frames are left out and counted. A killed run goes on where it was.
    """
    from pipeline.errors import UserError
    from pipeline.releases.reading import open_release
    from pipeline.training.contrast import ways
    from pipeline.training.make import Options, RowMaker
    from pipeline.training.source import SPLIT

    if split != SPLIT:
        what = f"rows are made of the split {SPLIT} alone, not of {split}: models are scored on the others"
        raise UserError("--split", what, "leave it out")
    options = Options(
        videos,
        fps,
        image_pixels,
        ways(contrast),
        mirror_text,
        unverified,
        results,
        seed,
        _writing(
            context, think_model, think_base_url, think_api_key_env, think_tries, not no_fall_back
        ),
        workers,
    )
    maker = RowMaker(open_release(folder), options, out)
    if dry_run:
        for line in maker.dry_run():
            click.echo(line)
        return
    for line in maker.run(progress_bar).lines():
        click.echo(line)


def _writing(
    context: click.Context,
    model: str | None,
    base_url: str | None,
    api_key_env: str | None,
    tries: int,
    fall_back: bool,
) -> "Writing | None":
    """Return how a model writes think texts, with the settings of --set think.NAME=VALUE; None if none does."""
    from pipeline.errors import UserError
    from pipeline.models.settings import ThinkModel
    from pipeline.training.written import Writing

    if model is None:
        refuse(context, "without --think-model")
        if base_url or api_key_env or not fall_back:
            what = "an option of the model that writes think texts is given, but no model"
            raise UserError(context.command_path, what, "add --think-model")
        return None
    given = {"model": model, "base_url": base_url, "api_key_env": api_key_env}
    return Writing(settings_of(context, ThinkModel, given), tries, fall_back)


@train.command()
@click.argument("folder", metavar="ROWS", type=click.Path(path_type=Path))
@no_workspace
@click.pass_context
def formats(context: click.Context, folder: Path) -> None:
    """Write training rows in every trainer's format again, and check them.

    Needed after their folder was moved: some trainers read absolute paths alone. ROWS is a folder that egost train
    rows made. Exit code 3: a row lacks an image or a placeholder for one.
    """
    from pipeline.errors import GateError
    from pipeline.training.checking import check
    from pipeline.training.formats import write_again

    written = write_again(folder)
    if problems := check(folder):
        shown = "; ".join(map(str, problems[:3]))
        what = f"{len(problems)} rows can't be read as they are meant: {shown}"
        raise GateError(context.command_path, what, "egost train rows makes them again")
    click.echo(
        f"train formats: {len(written.files)} files, all of whose images are there: {folder}"
    )


for _command in (tuning.sft, tuning.grpo, tuning.serve, proof.report, tuning.whole):
    train.add_command(_command)
