"""`python -m packer_toolkit`."""

from packer_toolkit.cli import main

main()
