"""What was found, as Markdown, LaTeX and CSV."""
