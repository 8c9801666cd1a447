"""What the scripts share around their work."""
