"""Public text detection sets as published: layouts (how each writes a word) → build (a data set)."""
