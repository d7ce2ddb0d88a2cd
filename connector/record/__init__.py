"""From an answer to a row: pure functions and declarations, no IO and no clock."""
