"""Where settings come from: variables, `.env`, and a file with profiles."""
