"""The tests of the rig itself."""
