"""The marts: tables that are worked out from `generations`, as pure functions of Arrow tables."""
