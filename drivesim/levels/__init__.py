"""Levels as data: texts and what reads and writes them."""
