"""The pipeline as a Prefect flow: the only package that imports Prefect.

::

    ingest       the flow: plan, batches, commit, account
    parameters   what it takes, as Prefect's form shows it
    turn         one run at a time on a warehouse, on however many machines
    batches      a batch of task IDs as a Prefect task, a bounded number of them at once
    saving       a batch that the storage did not take, saved again
    gateway      one client and one throttle a process, and where its key comes from
    run_log      what the connector logs, in the flow run's log
    account      a run's account as text
    artifacts    progress, account and report, to be seen in Prefect's UI
    assets       an event for whoever waits for new rows
    states       how a run can end, with names that automations can act on
    local        a Prefect server for as long as it is needed
    demo         all of it on this machine: `python -m flows.demo`
"""
