"""`python -m rspipe` is `rspipe`."""

from rspipe.cli.program import main

main()
