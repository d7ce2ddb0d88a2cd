"""Where rows come from: task IDs, and the gateway that is asked for each."""
