"""What `make bench` measures, into `results.md` and the pictures beside this file.

`load` sends requests to the production address during every cutover. `methods` are the compared ways to cut over,
`cases` are the compared situations, and `traffic` runs each case with each method. `README.md` explains the numbers.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parent.parent / "lambdas"))  # for the handlers, and for `domain`, which stacks share
