"""The file of rewards that trainers import without the project: `egost_rewards.py`."""

from pathlib import Path

from pipeline.engine.folder import write_atomic
from pipeline.releases import letter, replytext
from pipeline.releases.copies import copied_code, copied_imports
from pipeline.routes import english, german, likeness, sentences, told
from pipeline.routes.route import TURNS
from pipeline.training import lists, rewards, signatures

REWARDS_FILE = "egost_rewards.py"
_COPIED = (
    replytext,
    letter,
    sentences,
    english,
    german,
    told,
    likeness,
    lists,
    rewards,
    signatures,
)
_FILE = '''"""Rewards for rows of `egost train rows`, in the signatures of TRL, ms-swift, EasyR1 and verl; the standard library alone.

    TRL        GRPOTrainer(reward_funcs=[egost_rewards.paper], ...)
    ms-swift   --external_plugins egost_rewards.py --reward_funcs egost_paper
    EasyR1     worker.reward.reward_function=egost_rewards.py:compute_scores
    verl       reward.custom_reward_function.path=egost_rewards.py reward.custom_reward_function.name=compute_score

`paper` is the reference's reward (the right letter). All others are not: `ours_square`, `ours_route`, `ours_times`,
`ours_consistency`, `ours_format`, and their sum `ours`. Written by egost: change egost instead of this file.
"""

{imports}

Move = Orientation = str
TURNS = frozenset({turns})


{code}


if "swift" in sys.modules and find_spec("swift.rewards"):  # loaded as a plug-in
    register_in_swift()
'''


def rewards_file() -> str:
    """Return the file's text."""
    imports = [
        *copied_imports(_COPIED).splitlines(),
        "import sys",
        "from importlib.util import find_spec",
    ]
    in_order = sorted(imports, key=lambda line: (line.startswith("from"), line))
    return _FILE.format(imports="\n".join(in_order), turns=sorted(TURNS), code=copied_code(_COPIED))


def write_rewards(folder: Path) -> Path:
    """Write the file into a folder of rows; return its path."""
    path = folder / REWARDS_FILE
    write_atomic(path, rewards_file().encode())
    return path
