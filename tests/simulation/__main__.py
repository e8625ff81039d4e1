"""``python -m tests.simulation``: see ``docs/simulation.md``."""

import sys

from tests.simulation.run import main

sys.exit(main())
