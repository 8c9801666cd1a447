"""Published results of a paper's authors."""
