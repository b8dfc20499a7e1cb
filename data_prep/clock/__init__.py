"""Generated analog clocks: style (what may vary) → sample (one concrete clock) → draw (its pixels) → build (a data set)."""
