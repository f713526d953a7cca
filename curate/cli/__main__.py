"""`python -m curate.cli` is `curate`."""

from curate.cli.main import main

main()
