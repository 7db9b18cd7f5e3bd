"""The `[[test]]`s of the mapping files, held against the oracle: both readings agree on every example."""

import struct
import unittest
from datetime import datetime, timedelta, timezone
from pathlib import Path

try:
    import tomllib
except ImportError:  # before Python 3.11
    tomllib = None

import compare
import ml_models
import oracle
from oracle import Value, array, build, document, string

MAPPINGS = Path(__file__).parents[2] / "mappings"
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

EXTENDED = {
    "$oid": lambda v: Value(oracle.OBJECT_ID, bytes.fromhex(v)),
    "$null": lambda v: oracle.NOTHING,
    "$numberInt": lambda v: Value(oracle.INT32, struct.pack("<i", int(v))),
    "$numberLong": lambda v: Value(oracle.INT64, struct.pack("<q", int(v))),
    "$numberDouble": lambda v: Value(oracle.DOUBLE, struct.pack("<d", float(v))),
}


def value_of(native):
    """A TOML value as BSON: Extended JSON for the types that TOML lacks."""
    if isinstance(native, dict):
        if len(native) == 1 and (make := EXTENDED.get(next(iter(native)))):
            return make(*native.values())
        return Value(oracle.DOCUMENT, document_of(native))
    if isinstance(native, list):
        return array(map(value_of, native))
    if isinstance(native, bool):
        return oracle.TRUE if native else oracle.FALSE
    if isinstance(native, int):
        fits = -2 ** 31 <= native < 2 ** 31
        return Value(oracle.INT32, struct.pack("<i", native)) if fits else Value(oracle.INT64, struct.pack("<q", native))
    if isinstance(native, float):
        return Value(oracle.DOUBLE, struct.pack("<d", native))
    if isinstance(native, datetime):
        return Value(oracle.DATE, struct.pack("<q", (native - EPOCH) // timedelta(milliseconds=1)))
    return string(native.encode())


def document_of(table):
    return build((key.encode(), value_of(native)) for key, native in table.items())


@unittest.skipIf(tomllib is None, "Python has no tomllib")
class Examples(unittest.TestCase):
    def check(self, name, read):
        mapping = tomllib.loads((MAPPINGS / f"{name}.toml").read_text())
        self.assertGreater(len(mapping["test"]), 5)
        for test in mapping["test"]:
            outputs = read(document_of(test["given"]))
            for target, documents in test["expect"].items():
                written = [outputs[target]] if target in outputs else []
                with self.subTest(mapping=name, test=test["name"], target=target):
                    self.assertEqual(len(documents), len(written))
                    for expected, got in zip(map(document_of, documents), written):
                        if expected != got:
                            path, want, have = compare.first_difference(expected, got)
                            self.fail(f"{path}: expected {compare.show(want)}, got {compare.show(have)}")

    def test_user_data(self):
        self.check("user_data", oracle.map_document)

    def test_ml_models(self):
        self.check("ml_models", ml_models.map_document)


if __name__ == "__main__":
    unittest.main()
