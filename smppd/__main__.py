"""``python -m smppd`` is ``smppd``."""

from smppd.cli import app

app(prog_name="smppd")
