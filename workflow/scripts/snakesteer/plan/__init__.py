"""From a study to its artefacts, their keys, and what the rules ask."""
