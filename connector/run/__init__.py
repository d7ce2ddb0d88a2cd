"""A run: plan, fetch, save, commit, and its summary."""
