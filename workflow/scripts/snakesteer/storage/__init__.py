"""Files of the workflow: reading and writing, provenance, points, the catalogue."""
