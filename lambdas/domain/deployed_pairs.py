"""The pairs that the stack was deployed with."""

import json
import os
from pathlib import Path

from domain.pair import Pair


def deployed_pairs() -> dict[str, Pair]:
    """The pairs by name, from `pairs.json`, which the stack puts into the asset."""
    path = Path(os.environ.get("PAIRS_FILE", Path(__file__).parent.parent / "pairs.json"))
    return {name: Pair.from_json(name, pair) for name, pair in json.loads(path.read_text()).items()}
