"""Steering vectors from activations: one module a method, each with `fit`.

`fit(samples, settings, weights=None)` makes a vector [n_layers, hidden] float32 of samples by role.
With weights, how often each sample counts in each of several draws, it makes one vector a draw,
[draws, n_layers, hidden]. Of activations at several positions it makes one at each (`positions`).
"""
