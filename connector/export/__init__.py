"""Exports for other tools: DuckDB, SQL databases, spreadsheets."""
