"""egost 1.0.0 as an Inspect task, with its frames.

    inspect eval adapters/inspect_task.py --model ...

The release's eval.yaml asks the same questions without any picture: what a model scores there is what it guesses.
"""

from pathlib import Path

from inspect_ai import Task, task
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import ChatMessageUser, ContentImage, ContentText
from inspect_ai.scorer import choice
from inspect_ai.solver import multiple_choice

RELEASE = Path(__file__).resolve().parents[1]
INSTRUCTION = "These are frames of one first-person video, in time order."


@task
def egost(split="test", frames=True):
    """Multiple-choice questions on equally distant frames."""
    import polars as pl

    rows = pl.read_parquet(RELEASE / "mcq" / f"{split}-*.parquet").to_dicts()
    return Task(
        dataset=MemoryDataset([_sample(row, frames) for row in rows], name="egost"),
        solver=multiple_choice(),
        scorer=choice(),
    )


def _sample(row, frames):
    pictures = [ContentImage(image=str(RELEASE / name)) for name in row["frames"] if frames]
    text = f"{INSTRUCTION} {row['question']}" if pictures else row["question"]
    return Sample(
        id=row["id"],
        input=[ChatMessageUser(content=[*pictures, ContentText(text=text)])],
        choices=row["options"],
        target=row["answer"] or "",
        metadata={"task": row["question_type"], "video": row["video"]},
    )
