"""Steering vectors from activations."""
