#!/bin/sh
# Dumps one shard of a cluster, splits the dump and verifies the output. Safe to run again.
#
#   split-shard.sh NUMBER     0 for the first shard
#
# SHARDS   a file with one line for each shard: the URI of its replica set (keep it secret)
# WORK     a directory that all runs share; the output is WORK/NN/out
set -eu
umask 077

database=narrative_modeling
collection=user_data
uri=$(sed -n "$(($1 + 1))p" "$SHARDS")
test -n "$uri" || { echo "split-shard: '$SHARDS' has no line $(($1 + 1))" >&2; exit 2; }
place=$WORK/$(printf '%02d' "$1")
mkdir -p "$place"

# Nothing in a file tells a short dump from a whole one, so the server is asked.
expected=$(mongosh "$uri" --quiet --eval "db.getSiblingDB('$database').$collection.countDocuments({})")
mongodump --uri "$uri" --db "$database" --collection "$collection" --out "$place/dump"
# A cluster refuses unique indexes that lack the shard key. `verify` checks their values all the same.
mongosplit transform "$place/dump" "$place/out" \
    --indexes non-unique --expect-docs "$expected" --allow-empty --force
mongosplit verify "$place/out"
