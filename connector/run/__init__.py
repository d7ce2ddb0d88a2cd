"""A run: plan, fetch, save, commit, and the account at its end."""
