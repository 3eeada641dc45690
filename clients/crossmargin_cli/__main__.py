"""`python -m crossmargin_cli`: the `crossmargin` command."""

from crossmargin_cli.main import main

main()
