"""The tables where other tools look for them: DuckDB, SQL databases, spreadsheets."""
