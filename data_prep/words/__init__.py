"""Generated pictures of words: config → place (where each word goes, its outline) → draw → build."""
