"""Releases: select items, write, read, verify and compare versions, and take videos down."""
