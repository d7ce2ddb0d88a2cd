"""Pure functions and declarations that turn an answer into a row; no IO, no clock."""
