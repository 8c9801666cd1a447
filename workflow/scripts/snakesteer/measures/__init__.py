"""What is measured under an injection: one module a measure."""
