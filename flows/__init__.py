"""The pipeline as a Prefect flow: the only package that imports Prefect.

::

    ingest        the flow: plan, batches, commit, summary
    parameters    its parameters, as Prefect's form shows them
    turn          one run at a time per warehouse, across machines
    batches       a batch of task IDs as a Prefect task, with bounded concurrency
    runners       where batches run: threads, processes or a Dask cluster
    dask_cluster  batches on the workers of a Dask cluster
    access        one client and one throttle per process, and the key
    run_log       the connector's log records in the flow run's log
    account       a run's summary as text
    artifacts     progress, summary and report in Prefect's UI
    assets        an event for automations that wait for new rows
    states        the final states of a run, with names for automations
    local         a temporary Prefect server
    demo          everything on this machine: `python -m flows.demo`
"""

from connector.storage.arrow import import_pyarrow

# Before any module of the flow does it, with pandas: half a second of each run.
import_pyarrow(is_own_process=False)
