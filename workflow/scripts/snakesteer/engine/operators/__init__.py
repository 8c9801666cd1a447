"""How a state changes: one module an operator, with one function `apply`.

`apply(states [batch, tokens, hidden], vector [hidden] float32, coefficient) -> states` returns new
states in the same dtype on the same device, and leaves its arguments alone.
"""
