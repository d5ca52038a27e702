"""A private Docker engine, and the images in it."""
