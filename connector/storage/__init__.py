"""Where files are: local folders and object stores, locks, and Parquet as it is written here."""
