"""`python -m connector` is the command `luma-to-parquet`."""

from __future__ import annotations

from connector.cli.app import main

main()
