#!/bin/sh
# One array task for each shard, then one job that compares all outputs. Run it where sbatch is; WORK and SHARDS are
# on a file system that all nodes have.
#
#   SHARDS=uris WORK=/scratch/split sh slurm.sh
set -eu
: "${SHARDS:?a file with one URI for each shard}" "${WORK:?a directory that all nodes share}"
export SHARDS WORK

scripts=$(cd "$(dirname "$0")" && pwd)
last=$(($(wc -l <"$SHARDS") - 1))
split=$(sbatch --parsable --job-name split-shards --array "0-$last" --cpus-per-task 2 --mem 2G \
    --wrap "sh '$scripts/split-shard.sh' \"\$SLURM_ARRAY_TASK_ID\"")
sbatch --job-name verify-shards --dependency "afterok:$split" --cpus-per-task 2 --mem 8G \
    --wrap 'mongosplit verify "$WORK"/*/out'
