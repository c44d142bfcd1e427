"""Pictures of worlds: they read the records, never the rules, and write nothing."""
