"""Everything that a run depends on, typed and checked."""
