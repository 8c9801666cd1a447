"""Which points a sweep measures, where its curves end, and what is chosen from it."""
