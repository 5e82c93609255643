"""One run: its folder, and what may be built from it."""
