"""Reading and steering a language model."""
