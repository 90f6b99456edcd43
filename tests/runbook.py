"""`docs/runbook.md` as the tests read it."""

import re
from pathlib import Path

RUNBOOK = (Path(__file__).parents[1] / "docs" / "runbook.md").read_text()
# The text below each heading, and the headings of the sections that say what to do.
PARTS: dict[str, str] = dict(re.findall(r"^##+ ([^\n]+)\n(.*?)(?=^##|\Z)", RUNBOOK, re.MULTILINE | re.DOTALL))
SECTIONS = set(re.findall(r"^### (.+)$", RUNBOOK, re.MULTILINE))


def anchor(heading: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def steps_of(heading: str) -> list[str]:
    """The steps of a section's commands: one block, in which each step begins with a comment."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", PARTS[heading], re.MULTILINE | re.DOTALL)
    return [step for block in blocks for step in re.split(r"^(?=# )", block, flags=re.MULTILINE) if step]
