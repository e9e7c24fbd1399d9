"""`python -m nelbo` is `nelbo`."""

from nelbo.cli import run

run()
