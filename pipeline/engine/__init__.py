"""How stages are run, stored and resumed."""
