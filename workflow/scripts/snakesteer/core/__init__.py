"""What every room may use: errors, number formats, names of layers, progress."""
