"""Where rows are kept: inbox, tables and log, as Parquet files."""
