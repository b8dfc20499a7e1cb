"""Generated charts with questions: config → question (data, query, answer) → draw → build."""
