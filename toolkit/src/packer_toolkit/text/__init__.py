"""Text for users: lines, paths and Markdown."""
