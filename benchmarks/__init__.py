"""What it costs, beside what people use today: `make bench`, or `make bench-quick`.

::

    __main__     runs the figures, prints them, writes docs/performance.md and its chart
    figure       a measured value and its target
    child        a function in a process of its own: its time, its CPU time, its peak memory
    world        the gateway, the task IDs and the warehouses that are measured with
    fetching     the whole path and what people write by hand     peers  the latter
    throttling   a gateway that limits the rate without a word
    flowing      what Prefect adds
    memory       a long list
    standing     a warehouse of a million: nothing new, a little new, a backfill
    flattening   `rebuild`, and the marts
    starting     the command line's first half second
    page         Markdown and chart
"""
