"""`python -m towpath` is the `towpath` command."""

from towpath.cli import main

main()
