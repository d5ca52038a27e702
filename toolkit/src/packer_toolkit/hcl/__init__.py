"""Read Packer's HCL: blocks, values and sources."""
