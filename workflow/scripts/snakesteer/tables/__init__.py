"""From the rows of sweeps to tidy tables with intervals."""
