"""How the shipped models were made, and can be made again."""
