"""Format text: lines, paths and Markdown."""
