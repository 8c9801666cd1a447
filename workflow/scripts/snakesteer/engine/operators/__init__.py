"""How a state changes: one module an operator, with one function `apply`.

`apply(states [batch, tokens, hidden], vector [hidden] float32, coefficient) -> states` returns new
states in the same dtype on the same device, and leaves its arguments alone. Two constants say what
is otherwise the rule:

    UNSTEERED_AT_0 = False   coefficient 0 changes states; the rule is that it does not
    DIRECTION = True         the vector's direction is needed, so that a zero vector is refused,
    ZERO_IS_NOTHING = True   unless along one that is 0 there is nothing to change
"""
