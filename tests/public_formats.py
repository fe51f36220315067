"""Small files in the formats of public benchmarks, made from their documented fields."""

import csv
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

WORDS = ("red", "green", "blue", "white", "black")
LETTERS = "ABCDE"
ROWS = 12
VIDEOS = 4
TOLD = (
    "\n\nInstructions: Please select the most appropriate answer from the options above "
    "and return only the option number (e.g. A, B, C or D)."
)


def options(number: int, count: int) -> list[str]:
    return [f"the {WORDS[(number + place) % 5]} door {number}" for place in range(count)]


def right(number: int, count: int) -> int:
    return (0, 4, 2, 1, 3, 2, 0, 3, 4, 1)[number % 10] % count


def answer(number: int, count: int, kind: str) -> Any:
    """Return an item's answer: from 0, from 1, as a letter, as a text, or as both."""
    place = right(number, count)
    text = options(number, count)[place]
    return {
        "0": place,
        "1": place + 1,
        "letter": LETTERS[place],
        "text": text,
        "both": f"{LETTERS[place]}. {text}",
    }[kind]


def lettered(number: int, count: int) -> list[str]:
    return [f"{LETTERS[place]}. {text}" for place, text in enumerate(options(number, count))]


def asked(number: int) -> str:
    return f"Which door is opened {number} times?"


def dumped(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return path


def lines(path: Path, rows: Sequence[Any]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def reference(folder: Path, kind: str) -> Path:
    return lines(
        folder / "mcq.jsonl",
        [
            {
                "problem": f"{asked(n)} Options: {', '.join(lettered(n, 4 - n % 2))}{TOLD}",
                "solution": f"<think>So it is.</think> <answer>{answer(n, 4 - n % 2, kind)}</answer>",
                "video": f"/videos/v{n % VIDEOS}.mp4",
                "original_question": f"{asked(n)} Options: {', '.join(lettered(n, 4 - n % 2))}{TOLD}",
                "original_answer": answer(n, 4 - n % 2, "letter"),
            }
            for n in range(ROWS)
        ],
    )


def nextqa(folder: Path, kind: str) -> Path:
    path = folder / "val.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        names = "video,frame_count,width,height,question,answer,qid,type,a0,a1,a2,a3,a4"
        table.writerow(names.split(","))
        for n in range(ROWS):
            about = [4010069381 + n % VIDEOS, 369 + n, 640, 480, asked(n)]
            table.writerow([*about, answer(n, 5, kind), n // VIDEOS, "CW", *options(n, 5)])
    return path


def tempcompass(folder: Path, kind: str) -> Path:
    return dumped(
        folder / "multi-choice.json",
        {
            f"10{video}": {
                dimension: [
                    {
                        "question": "\n".join([asked(n), *lettered(n, 4 - n % 3)]),
                        "answer": answer(n, 4 - n % 3, kind),
                    }
                    for n in range(ROWS)
                    if (n % VIDEOS, n % 3) == (video, place)
                ]
                for place, dimension in enumerate(("action", "speed", "direction"))
            }
            for video in range(VIDEOS)
        },
    )


def caption_matching(folder: Path, kind: str) -> Path:
    """Return pairs of captions, which are numbered in some questions and lettered in others."""

    def row(n: int) -> dict[str, str]:
        names = (("Option 1", "Option 2"), ("Sentence A", "Sentence B"), ("Caption A", "Caption B"))
        both = [f"{name}: {text}" for name, text in zip(names[n % 3], options(n, 2), strict=True)]
        named = both[right(n, 2)]
        return {
            "question": "\n".join([asked(n), *both]),
            "answer": named if kind == "both" else named.partition(":")[0],
        }

    return dumped(
        folder / "caption_matching.json",
        {
            f"10{video}": {"action": [row(n) for n in range(ROWS) if n % VIDEOS == video]}
            for video in range(VIDEOS)
        },
    )


def egoschema(folder: Path, kind: str) -> Path:
    first = 1 if kind == "1" else 0
    dumped(folder / "subset_answers.json", {f"uid-{n}": answer(n, 5, kind) for n in range(ROWS)})
    dumped(folder / "uid_to_url.json", {f"uid-{n}": f"https://x/{n}" for n in range(3 * ROWS)})
    return dumped(
        folder / "questions.json",
        [
            {
                "q_uid": f"uid-{n}",
                "google_drive_id": f"drive{n}",
                "question": asked(n),
                **{f"option {place + first}": text for place, text in enumerate(options(n, 5))},
            }
            for n in range(3 * ROWS)  # two in three have no published answer
        ],
    )


def vsibench(folder: Path, kind: str) -> Path:
    return lines(
        folder / "test.jsonl",
        [
            {
                "id": n,
                "dataset": "arkitscenes",
                "scene_name": f"4106940{n % VIDEOS}",
                "question_type": "object_rel_distance" if n < ROWS else "object_counting",
                "question": asked(n),
                "options": lettered(n, 4) if n < ROWS else None,
                "ground_truth": answer(n, 4, kind) if n < ROWS else str(n),
            }
            for n in range(ROWS + 5)
        ],
    )


def videomme(folder: Path, kind: str) -> Path:
    return lines(
        folder / "test.jsonl",
        [
            {
                "video_id": f"00{n % VIDEOS}",
                "duration": "short",
                "domain": "Knowledge",
                "videoID": f"fFjv93ACGo{n % VIDEOS}",
                "question_id": f"{n:03}-1",
                "task_type": "Counting Problem",
                "question": asked(n),
                "options": lettered(n, 4),
                "answer": answer(n, 4, kind),
            }
            for n in range(ROWS)
        ],
    )


def videomme_grouped(folder: Path, kind: str) -> Path:
    return dumped(
        folder / "videomme.json",
        [
            {
                "video_id": f"00{video}",
                "duration": "short",
                "url": f"https://x/{video}",
                "questions": [
                    {
                        "question_id": f"{n:03}-1",
                        "task_type": "Counting Problem",
                        "question": asked(n),
                        "options": lettered(n, 4),
                        "answer": answer(n, 4, kind),
                    }
                    for n in range(ROWS)
                    if n % VIDEOS == video
                ],
            }
            for video in range(VIDEOS)
        ],
    )


def hourvideo(folder: Path, kind: str) -> Path:
    return dumped(
        folder / "dev.json",
        {
            f"uid-{video}": {
                "video_metadata": {"video_uid": f"uid-{video}", "duration_in_seconds": 3600},
                "benchmark_dataset": [
                    {
                        "qid": f"q{n}",
                        "task": "reasoning/spatial",
                        "question": asked(n),
                        "mcq_test": f"{asked(n)} {' '.join(lettered(n, 5))}",
                        **{f"answer_{k}": text for k, text in enumerate(options(n, 5), start=1)},
                        "correct_answer_label": answer(n, 5, kind),
                    }
                    for n in range(ROWS)
                    if n % VIDEOS == video
                ],
            }
            for video in range(VIDEOS)
        },
    )


def hourvideo_apart(folder: Path, kind: str) -> Path:
    """Return questions whose labels are in a file of their own."""
    path = hourvideo(folder, kind)
    content = json.loads(path.read_text(encoding="utf-8"))
    labels = [
        {"qid": row["qid"], "correct_answer_label": row.pop("correct_answer_label")}
        for video in content.values()
        for row in video["benchmark_dataset"]
    ]
    dumped(folder / "dev_labels.json", labels)
    return dumped(path, content)


def mvbench(folder: Path, kind: str) -> Path:
    return dumped(
        folder / "action_sequence.json",
        [
            {
                "video": f"v{n % VIDEOS}.mp4",
                "question": asked(n),
                "candidates": options(n, 4),
                "answer": answer(n, 4, kind),
                "start": 0.5 * n,
                "end": 20.0,
            }
            for n in range(ROWS)
        ],
    )


def parquet_list(folder: Path, kind: str) -> Path:
    path = folder / "list.parquet"
    rows = [
        {"video": f"v{n % VIDEOS}", "question": asked(n), "choices": options(n, 4),
         "answer": answer(n, 4, kind), "image": b"\x89PNG"}
        for n in range(ROWS)
    ]  # fmt: skip
    pl.DataFrame(rows).write_parquet(path)
    return path


def parquet_struct(folder: Path, kind: str) -> Path:
    """Return options as a struct of texts and labels, inside a struct with question and answer."""
    path = folder / "struct.parquet"
    rows = [
        {
            "video": f"v{n % VIDEOS}",
            "qa": {
                "question": asked(n),
                "choices": {"text": options(n, 4), "label": list(LETTERS[:4])},
                "answerKey": str(answer(n, 4, kind)),
            },
        }
        for n in range(ROWS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def parquet_columns(folder: Path, kind: str) -> Path:
    """Return options as a struct with a field for each, of which some are null."""
    path = folder / "fields.parquet"
    rows = [
        {
            "video_id": n % VIDEOS,
            "question": asked(n),
            "options": dict(zip(LETTERS, [*options(n, 4 - n % 2), None, None], strict=False)),
            "answer": answer(n, 4 - n % 2, kind),
        }
        for n in range(ROWS)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def perception_test(folder: Path, kind: str) -> Path:
    """Return questions that are numbered anew in each video."""
    return dumped(
        folder / "mc_question_valid.json",
        {
            f"video_{video}": {
                "metadata": {"video_id": f"video_{video}", "frame_rate": 30.0},
                "mc_question": [
                    {
                        "id": place,
                        "question": asked(n),
                        "options": options(n, 3),
                        "answer_id": answer(n, 3, kind),
                        "area": "semantics",
                    }
                    for place, n in enumerate(range(video, ROWS, VIDEOS))
                ],
            }
            for video in range(VIDEOS)
        },
    )


def conversations(folder: Path, kind: str) -> Path:
    """Return the rows of a training set, which are conversations."""
    return dumped(
        folder / "train.json",
        [
            {
                "id": f"r{n}",
                "videos": [f"v{n % VIDEOS}.mp4"],
                "conversations": [
                    {"from": "human", "value": "\n".join(["<video>", asked(n), *lettered(n, 4)])},
                    {"from": "gpt", "value": str(answer(n, 4, kind))},
                ],
            }
            for n in range(ROWS)
        ],
    )


def openbookqa(folder: Path, kind: str) -> Path:
    """Return questions that are objects with their options."""
    return lines(
        folder / "test.jsonl",
        [
            {
                "id": f"q{n}",
                "video": f"v{n % VIDEOS}",
                "question": {
                    "stem": asked(n),
                    "choices": [
                        {"text": text, "label": LETTERS[place]}
                        for place, text in enumerate(options(n, 4))
                    ],
                },
                "answerKey": answer(n, 4, kind),
            }
            for n in range(ROWS)
        ],
    )


def lvbench(folder: Path, kind: str) -> Path:
    """Return a line for each video; a question may have several types."""
    return lines(
        folder / "video_info.meta.jsonl",
        [
            {
                "key": f"Cm73ma6Ibc{video}",
                "type": "sport",
                "qa": [
                    {
                        "uid": str(n),
                        "question": "\n".join(
                            [asked(n), *(f"({one[0]}) {one[3:]}" for one in lettered(n, 4))]
                        ),
                        "answer": answer(n, 4, kind),
                        "question_type": ["event understanding", "reasoning"],
                    }
                    for n in range(video, ROWS, VIDEOS)
                ],
            }
            for video in range(VIDEOS)
        ],
    )


FORMATS: dict[Callable[[Path, str], Path], tuple[int | None, tuple[str, ...]]] = {
    # How many options each item has (None: as many as the maker gives it), and the forms of the answer.
    reference: (None, ("letter", "text", "both")),
    nextqa: (5, ("0", "1", "text")),
    tempcompass: (None, ("both", "letter", "text")),
    caption_matching: (2, ("both", "letter")),
    egoschema: (5, ("0", "1", "letter")),
    vsibench: (4, ("letter", "0", "1")),
    videomme: (4, ("letter", "both", "1")),
    videomme_grouped: (4, ("letter", "0")),
    hourvideo: (5, ("letter", "1", "text")),
    hourvideo_apart: (5, ("letter", "1")),
    mvbench: (4, ("text", "0", "1")),
    perception_test: (3, ("0", "1")),
    lvbench: (4, ("letter", "text")),
    conversations: (4, ("letter", "both")),
    openbookqa: (4, ("letter", "1")),
    parquet_list: (4, ("0", "1", "text", "letter")),
    parquet_struct: (4, ("letter", "0", "1", "text")),
    parquet_columns: (None, ("letter", "text")),
}
