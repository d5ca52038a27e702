"""Text for people: lines, paths and Markdown."""
