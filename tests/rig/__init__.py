"""Stand-ins and tools that the tests run on; tests/rig/README.md says what is real."""
