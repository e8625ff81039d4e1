"""structlog, imported without rich.

Where rich is installed structlog imports it, to lay out tracebacks that we render ourselves (see
``log``): a tenth of a second of every start, and 5 MB that stay. So rich is out of sight while
structlog is imported, which it provides for; whoever wants rich imports it afterwards as always.
Imported first by whoever logs, this costs nothing more; imported late it saves nothing.
"""

from __future__ import annotations

import sys

_IS_ABOUT = "rich" in sys.modules

if not _IS_ABOUT:
    sys.modules["rich"] = None  # type: ignore[assignment]  # what import takes for "not installed"
import structlog  # noqa: E402

if not _IS_ABOUT:
    del sys.modules["rich"]

__all__ = ["structlog"]
