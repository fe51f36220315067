"""Make this folder's videos, workspace and release: runs with the code of commit bd52d40 alone.

Three short rendered walks go the whole way. The people are played: everything they do goes through
the code that talks to Label Studio, with a client that remembers instead of a server.
"""

import shutil
import sqlite3
import sys
from collections.abc import Mapping
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import av

from pipeline import people
from pipeline.cli import cli
from pipeline.clients.labelstudio_scripted import ScriptedClient
from pipeline.console import exit_code, make_workspace
from pipeline.demo import reviewers, walks
from pipeline.demo.walks import pictures, plan_walk
from pipeline.flow import Space, open_space
from pipeline.records import Clip, Item, Route, Video

SETTINGS: dict[str, dict[str, Any]] = {
    "frames": {"budget": 8, "width": 256, "quality": 80},
    "review": {"planted": 1.0, "log": "verdicts", "clip_pixels": 160},
    "stills": {"count": 4},
    "audit": {"sample": 0},
    "export": {"min_audited": 8},
}
WALKS = (
    # name, seed, turns, consent
    ("office", 11, "LRL", "release"),
    ("studio", 12, "RRL", "release"),
    ("depot", 13, "RL", "local"),
)
MANIFEST = "path,scene,wearer,source,licence,hfov_degrees,lens,split,consent\n"


def encode(walk: walks.Walk, path: Path) -> None:
    """Write a walk as a video that is as small as its turns can still be measured in."""
    with av.open(str(path), "w", options={"movflags": "faststart"}) as file:
        stream = file.add_stream("libx264", rate=walk.fps)
        stream.width, stream.height, stream.pix_fmt = *walk.size, "yuv420p"
        stream.options = {"preset": "slow", "crf": "36", "x264-params": "threads=1"}
        for picture in pictures(walk):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        file.mux(stream.encode())


def film(folder: Path) -> None:
    """Render the walks, with their narrations, a manifest, and a file that is no video."""
    walks._encode = encode
    lines = [MANIFEST]
    for name, seed, sides, consent in WALKS:
        walk = plan_walk(
            seed, name=name, sides=sides, around=False, glances=0, seconds=20, fps=10,
            size=(256, 192), shake=0.2, hfov_degrees=80,
        )  # fmt: skip
        walks.write_walk(replace(walk, look=replace(walk.look, noise=0.0)), folder)
        (folder / "truth" / f"{name}.json").unlink()
        lines.append(f"{name}.mp4,{name},,rendered walk,CC0-1.0,80,rectilinear,,{consent}\n")
    (folder / "truth").rmdir()
    with (folder / "depot.jsonl").open("a") as file:  # what a check doubts
        file.write('{"time": 18.0, "text": "The sign says desk@example.org"}\n')
    (folder / "broken.mp4").write_text("no video\n")
    (folder / "manifest.csv").write_text("".join(lines))


def egost(root: Path, *words: str) -> None:
    """Run one command."""
    if exit_code(cli, ["-w", str(root), *words]):
        sys.exit(f"egost {' '.join(words)} failed")


def judge(space: Space, client: ScriptedClient) -> None:
    """Play Ann and Bob, who judge every task, planted ones too, and Cat, who rules."""
    names = {video.video_id: Path(video.path).stem for video in space.store.rows(Video)}
    films = {clip.clip_id: names[clip.video_id] for clip in space.store.rows(Clip)}
    drafts = {route.clip_id: route for route in space.store.rows(Route)}
    people.push(space)
    for number, task in list(client.kept.items()):
        draft = drafts[task.data["clip_id"]]
        planted = task.data["fingerprint"] != draft.fingerprint
        for who in ("ann", "bob"):
            steps = draft.steps
            if not planted and who == "bob" and films[draft.clip_id] == "depot":
                steps = forgotten(steps, 0)
            if not planted and films[draft.clip_id] == "studio":
                steps = forgotten(steps, -1)
            said = reviewers.careful(task.data, reviewers.Truth(steps))
            client.answer(number, controls(said), email=f"{who}@example.org", seconds=25.0)
    people.pull(space)
    known = set(client.kept)
    assert people.adjudicate(space).new == 1
    (ruled,) = set(client.kept) - known
    client.answer(ruled, controls({"verdict": "A"}), email="cat@example.org")
    people.pull(space)


def forgotten(steps: list[Any], which: int) -> list[Any]:
    """Return steps without one of their landmarks."""
    place = [place for place, step in enumerate(steps) if step.landmark][which]
    return [
        step.model_copy(update={"landmark": None}) if here == place else step
        for here, step in enumerate(steps)
    ]


def answer(space: Space, client: ScriptedClient) -> None:
    """Play Dan and Eve, who answer the items: one can't be told by Dan, one is flawed."""
    videos = {video.video_id: Path(video.path).stem for video in space.store.rows(Video)}
    items = space.store.rows(Item)
    tasks = set(client.kept)
    people.audit_push(space)
    unsure, flawed = True, True
    for number in sorted(set(client.kept) - tasks):
        shown = client.kept[number].data
        options = [unescape(one["html"]) for one in shown["choices"]][:4]
        (item,) = [i for i in items if (i.question, i.options) == (shown["question"], options)]
        right = {"dan": str(item.answer_index), "eve": str(item.answer_index)}
        if flawed and videos[item.video_id] == "studio" and item.category == "landmark":
            right, flawed = dict.fromkeys(right, "none"), False
        elif unsure:
            right["dan"], unsure = "unsure", False
        for who, choice in right.items():
            said = controls({"choice": choice})
            client.answer(number, said, email=f"{who}@example.org", seconds=12.0)
    people.audit_pull(space)


def controls(said: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return what Label Studio sends of what somebody chose and wrote."""
    chosen = ("verdict", "choice")
    return [
        {"from_name": name, "value": {"choices" if name in chosen else "text": [text]}}
        for name, text in said.items()
    ]


def settle(root: Path) -> None:
    """Make one file of the database, and take away what is drawn for looking at, or left empty."""
    database = sqlite3.connect(root / "done.sqlite")
    database.execute("PRAGMA journal_mode = DELETE")
    database.execute("VACUUM")
    database.close()
    shutil.rmtree(root / "pictures")
    (root / ".unfinished").rmdir()
    (root / ".lock").unlink()


def main(folder: Path) -> None:
    """Make all of it in a new folder."""
    root = folder / "workspace"
    film(folder / "videos")
    make_workspace(root, SETTINGS)
    egost(root, "frames", str(folder / "videos"))
    egost(root, "generate-qa")
    client = ScriptedClient()
    people.connect = lambda space: client
    with open_space(root) as space:
        judge(space, client)
        answer(space, client)
    egost(root, "export", "1.0.0", "--allow-failing")
    settle(root)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
