"""Performance, compared with alternatives: `make bench`, or `make bench-quick`.

::

    __main__     runs the benchmarks, prints the figures, writes docs/performance.md and its chart
    figure       a measured value and its target
    child        runs a function in its own process: time, CPU time, peak memory
    world        gateway, task IDs and warehouses to measure with
    fetching     the whole pipeline beside hand-written scripts
    peers        those scripts
    throttling   a gateway with an unannounced rate limit
    flowing      the overhead of Prefect
    memory       a long list of task IDs
    standing     a large warehouse: nothing new, a little new, a backfill
    flattening   `rebuild`, marts and report
    starting     start-up of the command line
    page         Markdown and chart
"""
