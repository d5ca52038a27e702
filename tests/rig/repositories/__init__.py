"""The template, repositories that it renders, and their variants."""
