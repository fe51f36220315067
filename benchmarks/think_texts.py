"""Compare think texts with their rows, over many worlds of `tests/worlds.py`; print how many disagree, and how long they are.

python benchmarks/think_texts.py [WORLD ...] [--clips N] [--seed N]    by default 12 worlds, in each language

Rows are released, rewound and mirrored ones, and descriptions. Exits with 1 if a text disagrees or a row has none.
"""

import argparse
import statistics
import sys
import time
from collections import Counter
from pathlib import Path

from pipeline.training.agreeing import disagreements
from pipeline.training.thinking import LANGUAGES, lack, template_text

_WORLDS = (
    "fair", "corridors", "houses", "geometry", "long_tail", "loops", "out_and_back", "kitchens", "signposts", "errands",
    "numbers", "commuters",
)  # fmt: skip
_TESTS = Path(__file__).parent.parent / "tests"


def main() -> None:
    """Run what the arguments ask for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("worlds", nargs="*", default=_WORLDS)
    parser.add_argument("--clips", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    sys.path[:0] = [str(_TESTS), str(_TESTS / "training")]
    from composed_rows import composed

    rows, wrong, without = Counter[str](), Counter[str](), Counter[str]()
    words, began = list[int](), time.process_time()
    for world in given.worlds:
        for language in LANGUAGES:
            for row in composed(world, given.clips, given.seed, language):
                kind = f"{row.category} {row.orientation} {language} {row.made}"
                rows[kind] += 1
                text = template_text(row, str(given.seed))
                if text is None:
                    without[f"{kind}: {lack(row)}"] += 1
                    continue
                words.append(len(text.split()))
                if found := disagreements(row, text):
                    wrong[kind] += 1
                    print(row.id, *found, text, sep="\n")
        print(
            f"{world}: {sum(rows.values())} rows so far, {sum(wrong.values())} disagree", flush=True
        )
    for kind, count in sorted(rows.items()):
        print(f"  {kind:<40} {count:>6} rows {wrong[kind]:>4} disagree")
    print("without a text:", dict(without) or "none")
    middle, most = statistics.median(words), statistics.quantiles(words, n=20)[-1]
    print(f"words: median {middle:.0f}, 95 % at most {most:.0f}, longest {max(words)}")
    print(f"{time.process_time() - began:.0f} s CPU")
    sys.exit(bool(wrong or without))


if __name__ == "__main__":
    main()
