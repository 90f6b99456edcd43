"""The runbook as the tests read it: `docs/runbook.md`, and the pages with commands that belong to it."""

import re
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
RUNBOOK = (DOCS / "runbook.md").read_text()
PAGES = [RUNBOOK, (DOCS / "replacing-a-server.md").read_text(), (DOCS / "monitoring.md").read_text()]
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def parts_of(page: str) -> dict[str, str]:
    """The text below each heading."""
    return dict(re.findall(r"^##+ ([^\n]+)\n(.*?)(?=^##+ |\Z)", page, re.MULTILINE | re.DOTALL))


# The headings of the sections that say what to do.
SECTIONS = {heading for heading, text in parts_of(RUNBOOK).items() if text.startswith("**Means:**")}
PARTS = {heading: text for page in PAGES for heading, text in parts_of(page).items()}


def anchor(heading: str) -> str:
    """As GitHub makes it of a heading."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def steps_of(heading: str) -> list[str]:
    """The steps of a section's commands: one block, in which each step begins with a comment."""
    blocks = BLOCK.findall(PARTS[heading])
    return [step for block in blocks for step in re.split(r"^(?=# )", block, flags=re.MULTILINE) if step]
