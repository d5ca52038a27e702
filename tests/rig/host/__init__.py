"""The machine that runs the tests: its tools, the cache, and the test run."""
