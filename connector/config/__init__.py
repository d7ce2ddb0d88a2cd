"""Where settings come from (variables, `.env`, a file with profiles), and their kinds of values."""
