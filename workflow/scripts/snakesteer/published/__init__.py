"""The authors' published results: their files read safely, and turned into this workflow's own
tables, means and vectors."""
