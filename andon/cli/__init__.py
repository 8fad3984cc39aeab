"""The command line: `andon.cli:main` is its entry point."""

from andon.cli.commands import main

__all__ = ["main"]
