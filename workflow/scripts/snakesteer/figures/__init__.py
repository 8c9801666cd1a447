"""Figures: a module a kind, with `draw(inputs, settings) -> (Figure, DataFrame)`."""
