"""The pipeline as a Prefect flow: the only package that imports Prefect.

::

    ingest       the flow: plan, batches, commit, account
    batches      a batch of task IDs as a Prefect task, a bounded number of them at once
    gateway      one client and one throttle a process, and where its key comes from
    run_log      what the connector logs, in the flow run's log
    artifacts    progress, account and report, to be seen in Prefect's UI
    local        a Prefect server for as long as it is needed
    demo         all of it on this machine: `python -m flows.demo`
"""
