"""Files of a warehouse: local folders, object stores, locks, and Parquet."""
