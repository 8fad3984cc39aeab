"""`python -m andon.cli`."""

from andon.cli.commands import main

main()
