"""One Packer build: its arguments, run, output, report and clean-up."""
