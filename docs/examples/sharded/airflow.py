"""One task for each shard, then one that compares all outputs.

The workers share WORK and have mongosplit, mongodump, mongosh and split-shard.sh in SCRIPTS.
"""

from datetime import datetime

from airflow import DAG
from airflow.operators.bash import BashOperator

SHARDS = 3
SCRIPTS = "/opt/mongosplit"
WORK = "/work"

with DAG("split_shards", schedule=None, start_date=datetime(2026, 1, 1), catchup=False):
    split = BashOperator.partial(
        task_id="split",
        env={"SHARDS": "/secret/uris", "WORK": WORK},
        append_env=True,
        retries=2,
    ).expand(bash_command=[f"sh {SCRIPTS}/split-shard.sh {number}" for number in range(SHARDS)])
    verify = BashOperator(task_id="verify", bash_command=f"mongosplit verify {WORK}/*/out")
    split >> verify
