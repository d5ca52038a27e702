"""`python -m packer_toolkit`."""

from packer_toolkit.cli.main import main

main()
