"""Programming languages, a module each: all that is known of it, as the constant `LANGUAGE`."""
