"""Compares what `mongosplit transform` wrote with what the oracle expects, document by document.

    compare.py DUMP.bson OUTDIR [--mapping ml_models]

DUMP.bson is the source's user_data.bson or ml_models.bson (plain), OUTDIR the output directory (plain). Documents that a server would
refuse are expected in OUTDIR/*.rejected. Document numbers count from 1, in the source's order. Exit code 1 on a difference.
"""

import argparse
import struct
import sys
from itertools import zip_longest
from pathlib import Path

import ml_models
import oracle

READINGS = {"user_data": oracle, "ml_models": ml_models}
TARGETS = {"user_data": ("dataset_metadata", "transformation_configs", "model_configs"), "ml_models": ("model_configs",)}
NAMES = {0x01: "double", 0x02: "string", 0x03: "document", 0x04: "array", 0x05: "binary", 0x06: "undefined",
         0x07: "objectid", 0x08: "bool", 0x09: "date", 0x0A: "null", 0x0B: "regex", 0x0C: "dbpointer", 0x0D: "code",
         0x0E: "symbol", 0x0F: "code_w_scope", 0x10: "int32", 0x11: "timestamp", 0x12: "int64", 0x13: "decimal128",
         0x7F: "maxkey", 0xFF: "minkey"}


def show(value):
    """A value in one short line: type, readable form where there is one, bytes."""
    if value is None:
        return "absent"
    kind, data = value
    readable = ""
    if kind in (oracle.STRING, oracle.CODE, oracle.SYMBOL):
        readable = f" {data[4:-1][:60]!r}"
    elif kind in (oracle.INT32, oracle.INT64, oracle.DATE):
        readable = f" {int.from_bytes(data, 'little', signed=True)}"
    elif kind == oracle.DOUBLE:
        readable = f" {struct.unpack('<d', data)[0]!r}"
    elif kind in (oracle.DOCUMENT, oracle.ARRAY):
        readable = f" of {[key.decode(errors='backslashreplace') for key, _ in oracle.fields(data)][:12]}"
    cut = f"... ({len(data)} bytes)" if len(data) > 48 else ""
    return f"{NAMES.get(kind, hex(kind))}{readable} [{data[:48].hex()}{cut}]"


def first_difference(expected, got):
    """(path, expected, got): the first field in which two documents differ; got values may be absent (None)."""
    path = []
    while True:
        pairs = zip_longest(oracle.fields(expected), oracle.fields(got), fillvalue=(None, None))
        (want_key, want), (got_key, have) = next(pair for pair in pairs if pair[0] != pair[1])
        if want_key != got_key:
            at = ".".join(path + [f"(field expected: {want_key!r}, got: {got_key!r})"])
            return at, want, have
        path.append(want_key.decode(errors="backslashreplace"))
        if want.type != have.type or want.type not in (oracle.DOCUMENT, oracle.ARRAY):
            return ".".join(path), want, have
        expected, got = want.data, have.data


class Comparison:
    def __init__(self, limit):
        self.limit, self.differences = limit, 0

    def differ(self, lines):
        self.differences += 1
        if self.differences <= self.limit:
            print(*lines, sep="\n  ")

    def document(self, number, raw, target, expected, got):
        if expected == got:
            return
        head = f"document {number}, _id {show(oracle.first(oracle.fields(raw)).get(b'_id'))}, {target}:"
        if got is None:
            return self.differ([head, "expected a document, the file has no more"])
        try:
            path, want, have = first_difference(expected, got)
        except (ValueError, StopIteration) as error:
            return self.differ([head, f"the document written is no sound BSON: {error}"])
        self.differ([head, path, f"expected {show(want)}", f"got      {show(have)}"])


def the_file(out, pattern):
    found = sorted(Path(out).glob(pattern))
    if len(found) != 1:
        sys.exit(f"{out}: {pattern} should name one file, names {len(found)}")
    return found[0]


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("dump", metavar="DUMP.bson")
    args.add_argument("out", metavar="OUTDIR")
    args.add_argument("--mapping", choices=READINGS, default="user_data", help="which reading (default user_data)")
    args.add_argument("--limit", type=int, default=5, help="differences to print (default 5)")
    args = args.parse_args()

    written = {target: oracle.documents(the_file(args.out, f"*/{target}.bson")) for target in TARGETS[args.mapping]}
    left_out = sorted(Path(args.out).glob("*.rejected"))
    written["rejected"] = oracle.documents(left_out[0]) if left_out else iter(())
    reading = READINGS[args.mapping]
    restorability, comparison = oracle.Restorability(reading.key_text), Comparison(args.limit)
    number = rejected = 0
    for number, raw in enumerate(oracle.documents(args.dump), 1):
        outputs = reading.map_document(raw)
        if restorability.refusals(raw, outputs):
            outputs = {"rejected": raw}
            rejected += 1
        for target, expected in outputs.items():
            comparison.document(number, raw, target, expected, next(written[target], None))
    for target, rest in written.items():
        surplus = sum(1 for _ in rest)
        if surplus:
            comparison.differ([f"{target}: {surplus} documents too many"])
    if comparison.differences:
        print(f"{number} documents, {comparison.differences} differences")
        return 1
    print(f"{number} documents, no difference" + (f" ({rejected} of them rejected)" if rejected else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
