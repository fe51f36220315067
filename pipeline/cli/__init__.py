"""The commands: each parses its arguments, calls the code that does the work, and prints a summary."""
