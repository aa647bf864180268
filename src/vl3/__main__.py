"""`python -m vl3` is the `vl3` command."""

from vl3.cli import main

main()
