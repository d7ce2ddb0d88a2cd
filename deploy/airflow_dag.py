"""An Airflow DAG that runs the command line every quarter of an hour.

The command has an environment of its own, `/opt/luma-to-parquet`: Airflow pins other versions of
the same packages. Its key is in the environment of Airflow's workers.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

with DAG(
    dag_id="luma_to_parquet",
    description="Fetch Dream Machine generations into Parquet tables",
    schedule="*/15 * * * *",
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,  # a warehouse has one writer
    tags=["luma"],
):
    BashOperator(
        task_id="ingest",
        bash_command=(
            "/opt/luma-to-parquet/bin/luma-to-parquet ingest task_ids.txt"
            " --warehouse warehouse --lock-timeout 600 --json"
        ),
        cwd="/var/lib/luma-to-parquet",
        append_env=True,
        retries=1,  # goes on from where the first stopped
        retry_delay=timedelta(minutes=5),
        execution_timeout=timedelta(hours=2),
    )
