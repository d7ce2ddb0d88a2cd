"""The warehouse: inbox, tables and log, as Parquet files."""
