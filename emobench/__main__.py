"""`python -m emobench` is the command line."""

from emobench.cli import entry

entry()
