"""What a study file may say: one module a section."""
