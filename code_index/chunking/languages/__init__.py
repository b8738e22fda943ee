"""Programming languages: one module each, with its specification in the constant `LANGUAGE`."""
