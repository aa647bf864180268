"""How often the step `content` of `vl3 curate` is right on the pages and pictures of nano's data.

PYTHONPATH=. python benchmarks/curation_content.py build/nano/train --rows 200
"""

import argparse
import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

from common import say
from PIL import Image

from vl3.curate.steps.content import tell

SETS = {
    "documents": "document",
    "tables": "document",
    "charts": "chart",
    "screens": "screenshot",
    "photos": "scene",
    "scenes": "scene",
    "words": "scene",
}
"""nano's sets and what their pictures are; `words` are signs."""


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="a split of nano's data")
    parser.add_argument("--rows", type=int, default=100, help="pictures of each set [100]")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    result: dict[str, Any] = {}
    for name, truth in SETS.items():
        lines = (arguments.folder / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
        random.Random(1).shuffle(lines)
        told: Counter[str] = Counter()
        for line in lines[: arguments.rows]:
            with Image.open(arguments.folder / json.loads(line)["image"][0]) as image:
                told[tell(image.convert("RGB"))[0]] += 1
        result[f"{name} ({truth})"] = {kind: count / told.total() for kind, count in told.most_common()}
    say(result, arguments.json)


if __name__ == "__main__":
    main()
