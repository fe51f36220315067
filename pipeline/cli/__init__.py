"""The commands: parse, call, print one honest line."""
