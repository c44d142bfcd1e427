"""The environments inside other libraries: one file per library, imported only when used."""
