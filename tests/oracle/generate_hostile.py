"""Writes hostile `user_data` or `ml_models` documents: any type in any field, duplicates, odd orders, nearly valid dates.

    generate_hostile.py SEED COUNT OUT.bson [--mapping ml_models] [--unrestorable]

The same seed gives the same bytes. Every document is well-framed BSON, and restorable unless --unrestorable asks
for some (about one in ten) that a server would refuse, which `transform` takes with --skip-unrestorable only.
"""

import argparse
import random
import struct

import ml_models
import oracle
from oracle import Value, array, build, document, string

DATASET_NAMES = sorted(oracle.DATASET_FIELDS)
CONFIG_NAMES = b"""config_id transformation_steps current_file_path is_applied applied_at validation_result last_validated_at
    last_preview total_transformations total_data_loss parent_config_id model_id name performance_metrics status is_active
    pii_fields risk_level detection_details masked masked_at""".split()
READ_NAMES = sorted(oracle.ALWAYS_READ | oracle.MODEL_READ)
ODD_NAMES = [b"", b"$ref", b"a.b", b"pii_report.fields", b"Filename", b"filename ", b"_ID", b"unexpected", b"x" * 300,
             "größe".encode(), b"0", b"parameters.legacy_type", b"id"]
INVALID_NAMES = [b"file_path\xff", b"\xc0\x80", b"\xed\xa0\x80"]
LEGACY = sorted(oracle.TRANSLATED)
NEW_TYPES = b"encode scale impute drop_missing filter aggregate derive normalize standardize one_hot_encode".split()
WORDS = [b"csv", b"age", b"user_1", b"report.csv", b"low", b"high", b"trained", "Ünïcode ☃".encode(), b"a/b", b" ", b"null"]
YEARS = [0, 1, 2, 1582, 1600, 1900, 1969, 1970, 1972, 2000, 2023, 2024, 2038, 2100, 9998, 9999]


def number(code, value):
    return {"i": Value(oracle.INT32, struct.pack("<i", value & 0x7FFFFFFF)),
            "q": Value(oracle.INT64, struct.pack("<q", value))}[code]


def double(value):
    return Value(oracle.DOUBLE, struct.pack("<d", value))


def binary(subtype, payload):
    return Value(oracle.BINARY, struct.pack("<iB", len(payload), subtype) + payload)


class Hostile:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.wild = self.invalid = 0.0

    def chance(self, p):
        return self.rng.random() < p

    def one(self, *makers):
        """The result of one of the given functions."""
        return self.rng.choice(makers)()

    def some(self, make, most=4):
        return [make() for _ in range(self.rng.randint(0, most))]

    # ---- any value ----

    def text(self):
        if self.chance(self.invalid):
            return self.rng.choice([b"\xff", b"abc\xc3", b"\xed\xa0\x80", b"\xc0\x80x", b"\xf5\x80\x80\x80"])
        return self.one(lambda: self.rng.choice(WORDS), lambda: b"", lambda: b"nul\0inside", lambda: b"x" * self.rng.randint(1, 300),
                        lambda: self.rng.choice(WORDS) + b"%d" % self.rng.randint(0, 999), self.iso)

    def cstring(self):
        return self.text().replace(b"\0", b"")

    def string(self):
        return string(self.text())

    def name(self):
        if self.chance(self.invalid):
            return self.rng.choice(INVALID_NAMES)
        return self.rng.choice(ODD_NAMES if self.chance(0.2) else READ_NAMES + WORDS)

    def scalar(self):
        rng = self.rng
        return self.one(
            lambda: double(rng.choice([0.0, -0.0, 1.0, 7.5, -3.0, 2.0 ** 53, 2.0 ** 53 + 2, 1e300, float("inf")])),
            lambda: Value(oracle.DOUBLE, struct.pack("<Q", 0x7FF8_0000_0000_0000 | rng.getrandbits(20))),
            self.string, lambda: binary(rng.choice([0, 1, 3, 4, 5, 6, 128]), rng.randbytes(rng.randint(0, 20))),
            lambda: binary(2, struct.pack("<i", 3) + b"old"), lambda: Value(oracle.UNDEFINED, b""),
            lambda: Value(oracle.OBJECT_ID, rng.randbytes(12)), lambda: oracle.TRUE, lambda: oracle.FALSE,
            self.date, lambda: oracle.NOTHING, lambda: Value(oracle.REGEX, self.cstring() + b"\0xim\0"),
            lambda: Value(oracle.DBPOINTER, self.string().data + rng.randbytes(12)),
            lambda: Value(oracle.CODE, self.string().data), lambda: Value(oracle.SYMBOL, self.string().data),
            lambda: number("i", rng.getrandbits(31)), lambda: number("i", rng.randint(0, 9)),
            lambda: Value(oracle.INT32, rng.randbytes(4)), lambda: Value(oracle.TIMESTAMP, rng.randbytes(8)),
            lambda: Value(oracle.INT64, rng.randbytes(8)), lambda: number("q", rng.randint(-9, 9)),
            lambda: Value(oracle.DECIMAL128, rng.randbytes(16)), lambda: Value(oracle.MINKEY, b""),
            lambda: Value(oracle.MAXKEY, b""))

    def value(self, level=0):
        if level > 2 or self.chance(0.6):
            return self.scalar()
        inner = lambda: self.value(level + 1)
        return self.one(lambda: document((self.name(), v) for v in self.some(inner)),
                        lambda: self.array_of(self.some(inner)), lambda: document(), array, self.nested,
                        lambda: self.scoped(build((self.name(), v) for v in self.some(inner))))

    def scoped(self, scope):
        body = self.string().data + scope
        return Value(oracle.CODE_W_SCOPE, struct.pack("<i", 4 + len(body)) + body)

    def nested(self, levels=None):
        value = self.scalar()
        for _ in range(levels or self.rng.choice([3, 10, 60, 150, 176, 177, 178, 179])):
            value = self.one(lambda: document([(b"d", value)]), lambda: array([value]),
                             lambda: self.scoped(build([(b"s", value)])))
        return value

    def array_of(self, values):
        """An array, now and then with keys that are no indexes."""
        if not self.chance(0.15):
            return array(values)
        keys = [b"0", b"0", b"1", b"7", b"007", b"", b"length", b"column", b"legacy_type"] + [b"\xff"] * self.chance(self.invalid)
        return Value(oracle.ARRAY, build((self.rng.choice(keys), value) for value in values))

    # ---- values that fit a field ----

    def date(self):
        millis = self.rng.choice([0, -1, -62135596800000, 253402300799999, 1735689600123, 2 ** 63 - 1, -2 ** 63])
        return Value(oracle.DATE, struct.pack("<q", millis))

    def bool(self):
        return self.rng.choice([oracle.TRUE, oracle.FALSE])

    def count(self):
        return self.one(lambda: number("i", self.rng.randint(0, 99)), lambda: number("q", self.rng.randint(-1, 10 ** 10)))

    def strings(self):
        return self.array_of(self.some(self.string))

    def details(self):
        return document((self.name(), v) for v in self.some(self.value))

    def iso(self):
        rng, odd = self.rng, self.chance(0.4)
        date = b"%04d-%02d-%02d" % (rng.choice(YEARS), rng.randint(1, 12), rng.choice([1, 2, 27, 28, 29, 30, 31]))
        time = b"%02d:%02d" % (rng.randint(0, 23), rng.randint(0, 59))
        if self.chance(0.8):
            time += b":%02d" % rng.randint(0, 59)
            if self.chance(0.6):
                digits = rng.randint(1, 9) if self.chance(0.9) else rng.choice([0, 10, 30])
                time += b"." + b"".join(b"%d" % rng.choice([0, 9, rng.randint(0, 9)]) for _ in range(digits))
        sign = rng.choice([b"+", b"-"])
        zone = rng.choice([b"", b"Z", sign + b"00:00", sign + b"0000", sign + b"%02d:%02d" % (rng.randint(0, 23), rng.randint(0, 59)),
                           sign + b"%02d%02d" % (rng.randint(0, 23), rng.randint(0, 59)), sign + b"23:59"])
        separator = rng.choice([b"T", b"T", b"T", b" "])
        if odd:
            spoiled = rng.randrange(9)
            if spoiled == 0:
                date = rng.choice([b"2023-02-29", b"2024-02-30", b"1900-02-29", b"2000-02-29", b"2024-00-10", b"2024-13-01",
                                   b"2024-01-00", b"2024-01-32", b"24-01-01", b"+2024-01-01", b"20240101", b"2024-1-1",
                                   b"2024/01/01", b"12024-01-01", b"-001-01-01", b"2024-01", "२०२४-01-01".encode()])
            elif spoiled == 1:
                time = rng.choice([b"24:00", b"24:00:00", b"23:60", b"23:59:60", b"23:59:61.5", b"12", b"7:05", b"12:3", b"1205",
                                   b"12:05.5", b"12:05:07,5", b"12:05:", b"12:05:07.", b"12:05:7", b"12:05:07.1x", b"12:05:07:08"])
            elif spoiled == 2:
                separator = rng.choice([b"t", b"  ", b"", b"_", b"\n", b"\t", b"TT", b"T "])
            elif spoiled == 3:
                zone = rng.choice([b"z", b" Z", b"+24:00", b"-24:00", b"+23:60", b"+10:75", b"+02", b"+2:00", b"+020", b"+02:0",
                                   b"+02:00:00", b"UTC", b" +02:00", "−02:00".encode(), b"ZZ", b"Z+00:00", b"+-2:00", b"--02:00"])
            elif spoiled == 4:
                return date + rng.choice([b"", zone, separator, b"\n", b"\0"])
            elif spoiled == 5:
                return rng.choice([b" ", b"\n", b"\xef\xbb\xbf", b"\0"]) + date + separator + time + zone
            elif spoiled == 6:
                zone += rng.choice([b" ", b"\n", b"\0", b"x"])
        return date + separator + time + zone

    def schema_item(self):
        held = [(b"field_name", self.string), (b"field_type", self.string), (b"data_type", self.string),
                (b"inferred_dtype", self.string), (b"unique_values", self.count), (b"missing_values", self.count),
                (b"example_values", self.strings), (b"is_constant", self.bool), (b"is_high_cardinality", self.bool)]
        return document(self.fields_from(held, [b"other", b"field_name", b"data_type"]))

    def schema(self):
        return self.array_of(self.some(lambda: self.value() if self.chance(self.wild / 2) else self.schema_item()))

    def report(self):
        detection = lambda: document(self.fields_from([(b"column", self.string), (b"type", self.string)], [b"column"]))
        detections = lambda: self.array_of(self.some(lambda: self.value() if self.chance(self.wild / 4) else detection()))
        return document(self.fields_from([(b"fields", self.strings), (b"detections", detections)], [b"fields", b"detections", b"risk"]))

    def step_type(self):
        pool = self.rng.choice([LEGACY, LEGACY, NEW_TYPES, [b"pivot", b"Formula", b"formula ", b"formula\0", b"", b"unknown"]])
        return string(self.rng.choice(pool))

    def step_parameters(self):
        held = [(b"column", self.string), (b"columns", self.strings), (b"method", self.string)]
        if self.chance(0.15):
            held.append((b"legacy_type", self.one(lambda: self.string, lambda: self.value)))
        return document(self.fields_from(held, [b"column", b"columns", b"value"]))

    def step(self):
        moment = lambda: string(self.iso())
        app = [(b"timestamp", self.date), (b"type", self.step_type), (b"parameters", self.step_parameters), (b"affected_rows", self.count)]
        export = [(b"type", self.step_type), (b"column", self.string), (b"parameters", self.step_parameters), (b"applied_at", moment)]
        mixed = app + export + [
            (b"columns", self.strings), (b"transformation_type", self.step_type), (b"applied_at", self.date), (b"timestamp", moment),
            (b"rows_affected", self.count), (b"data_loss_percentage", lambda: double(0.5)), (b"is_valid", self.bool),
            (b"validation_errors", self.strings)]
        held = self.rng.choice([app, export, self.rng.sample(mixed, self.rng.randint(1, len(mixed)))])
        return document(self.fields_from(held, [key for key, _ in mixed] + [b"legacy_type", b"note"]))

    def history(self):
        return self.array_of(self.some(lambda: self.value() if self.chance(self.wild / 4) else self.step(), 6))

    def model_part(self, named, name):
        """What a model holds: fields that the new model names or not, `name` for the latter, some of them in both places."""
        named, others = sorted(named), [b"alpha", b"C", b"kernel", b"log_loss", b"a.b", b"", b"$x"]
        inside = lambda: document((key, self.scalar()) for key in self.rng.sample(others, self.rng.randint(0, 3)))
        held = [(key, self.count) for key in self.rng.sample(named, self.rng.randint(0, 3))]
        held += [(key, self.scalar) for key in self.rng.sample(others, self.rng.choice([0, 1, 1, 2, 4]))]
        if self.chance(0.5):
            held.append((name, self.one(*[lambda: inside] * 6, lambda: self.odd)))
        if self.chance(0.5):
            self.rng.shuffle(held)
        return document(self.fields_from(held, [*named, *others, name, name]))

    # ---- documents ----

    def fields_from(self, held, more_names):
        """Fields of the given (key, maker) pairs, as hostile as the document is: some absent, some of other types, some twice."""
        pairs = []
        for key, make in held:
            if not self.chance(self.wild / 3):
                pairs.append((key, self.wrong(make) if self.chance(self.wild / 3) else make()))
        while self.chance(self.wild / 2):
            key = self.rng.choice(more_names + [key for key, _ in held])
            makers = [make for name, make in held if name == key]
            pairs.append((key, makers[0]() if makers and self.chance(0.5) else self.odd()))
        if self.chance(self.wild / 2):
            pairs.append((self.name(), self.odd()))
        if self.chance(self.wild):
            self.rng.shuffle(pairs)
        return pairs

    def wrong(self, make):
        """Not what `make` makes: anything, or the same bytes under a type that is easily taken for the right one."""
        if self.chance(0.7):
            return self.odd()
        value = make()
        if value.type == oracle.DATE:
            return string(self.iso())
        near = {oracle.STRING: [oracle.CODE, oracle.SYMBOL], oracle.DOCUMENT: [oracle.ARRAY], oracle.ARRAY: [oracle.DOCUMENT]}
        return Value(self.rng.choice(near.get(value.type, [value.type])), value.data)

    def odd(self):
        return self.one(lambda: oracle.NOTHING, lambda: string(b""), array, document, self.value, self.value)

    def id(self):
        rng = self.rng
        return self.one(
            *[lambda: Value(oracle.OBJECT_ID, rng.randbytes(12))] * 4,
            self.scalar, self.string, lambda: string(b"%d" % rng.getrandbits(40)), lambda: Value(oracle.INT32, rng.randbytes(4)),
            lambda: number("q", rng.choice([1, -1]) * rng.getrandbits(rng.choice([8, 53, 54, 63]))),
            lambda: double(float(rng.choice([1, -1]) * rng.getrandbits(rng.choice([8, 53])))),
            lambda: double(rng.choice([2.0 ** 53, -2.0 ** 53, 2.0 ** 53 + 2, -2.0 ** 53 - 2, -0.0])), lambda: double(rng.uniform(-9, 9)),
            lambda: binary(rng.choice([3, 4]), rng.randbytes(16)), lambda: binary(rng.choice([3, 4]), rng.randbytes(15)),
            lambda: binary(rng.choice([0, 5]), rng.randbytes(16)), lambda: binary(0, rng.randbytes(rng.choice([0, 250, 251, 252, 999]))),
            self.details, lambda: document([(b"a", string(rng.randbytes(rng.choice([4, 240])).hex().encode()))]), self.date)

    def document(self):
        self.wild = self.rng.choice([0.0, 0.1, 0.3, 0.6, 0.9])
        self.invalid = 0.3 if self.chance(0.1) else 0.0
        held = [(b"_id", self.id), (b"user_id", self.string), (b"filename", self.string), (b"original_filename", self.string),
                (b"file_type", self.string), (b"file_path", self.string), (b"s3_url", self.string), (b"num_rows", self.count),
                (b"num_columns", self.count), (b"data_schema", self.schema), (b"schema", self.details),
                (b"statistics", self.details), (b"quality_report", self.details), (b"aiSummary", self.details),
                (b"contains_pii", self.bool), (b"pii_report", self.report), (b"pii_risk_level", self.string),
                (b"pii_masked", self.bool), (b"is_processed", self.bool), (b"processed_at", self.date),
                (b"onboarding_progress", self.details), (b"created_at", self.date), (b"updated_at", self.date),
                (b"transformation_history", self.history), (b"data_preview", lambda: self.array_of(self.some(self.details))),
                (b"columns", self.strings), (b"row_count", self.count)]
        if self.chance(0.2):  # the application's own id, from after a migration
            held.append((b"dataset_id", lambda: string(b"dataset_" + self.rng.randbytes(8).hex().encode())))
        if self.chance(0.4):  # documents from before the later fields existed
            held = held[:1] + [pair for pair in held[1:] if self.chance(0.6)]
        if self.chance(0.3):
            model = [(name, self.string) for name in oracle.MODEL_COPIES] + [
                (b"model_name", self.string), (b"model_status", self.string),
                (b"hyperparameters", lambda: self.model_part(oracle.HYPERPARAMETERS, b"additional_params")),
                (b"training_metrics", lambda: self.model_part(oracle.METRICS, b"additional_metrics"))]
            held += self.rng.sample(model, self.rng.randint(1, len(model)))
        pairs = self.fields_from(held, READ_NAMES + DATASET_NAMES + CONFIG_NAMES + ODD_NAMES)
        if not any(key == b"_id" for key, _ in pairs):
            pairs.insert(self.rng.randint(0, len(pairs)), (b"_id", self.id()))
        return build(pairs)

    def score(self):
        return self.one(lambda: double(self.rng.choice([0.0, 1.0, 0.5, -0.0, 1.0000001, -1523.75, 93.5, float("nan"), float("inf")])), self.count)

    def metrics(self):
        named = sorted(ml_models.METRICS)
        held = [(key, self.score) for key in self.rng.sample(named, self.rng.randint(0, 5)) if key != b"confusion_matrix"]
        if self.chance(0.4):
            row = lambda: self.array_of(self.some(self.count))
            held.append((b"confusion_matrix", lambda: self.array_of(self.some(row))))
        held += [(key, self.score) for key in (b"cv_score", b"log_loss", b"n_features", b"legacy_cv_score") if self.chance(0.25)]
        return document(self.fields_from(held, [*named, b"a.b", b"additional_metrics", b"legacy_test_score"]))

    def training_config(self):
        sizes = [*ml_models.SHARES, 0.22, 0.0, -0.2]
        held = [(b"cv_folds", self.count), (b"test_size", lambda: double(self.rng.choice(sizes))), (b"max_models", self.count)]
        return document(self.fields_from(self.rng.sample(held, self.rng.randint(0, 3)), [key for key, _ in held] + [b"additional_params"]))

    def ml_model(self):
        self.wild = self.rng.choice([0.0, 0.1, 0.3, 0.6, 0.9])
        self.invalid = 0.3 if self.chance(0.1) else 0.0
        scores = dict.fromkeys([b"cv_score", b"test_score", b"training_time"], self.score)
        counts = dict.fromkeys([b"model_size", b"n_samples_train", b"n_features"], self.count)
        dates = dict.fromkeys([b"created_at", b"updated_at", b"last_used_at"], self.date)
        makers = {**dict.fromkeys(sorted(ml_models.READ), self.string), **scores, **counts, **dates, b"_id": self.id, b"is_active": self.bool,
                  b"feature_names": self.strings, b"feature_importance": self.details, b"metrics": self.metrics,
                  b"training_config": self.training_config}
        held = list(makers.items())
        pairs = self.fields_from(held, sorted(ml_models.READ | ml_models.TARGET_FIELDS) + ODD_NAMES)
        # of a free-form document that occurs twice, which is read is not worth a rule
        free = [key for key, _ in pairs if key in (b"metrics", b"training_config")]
        pairs = [pair for pair in pairs if free.count(pair[0]) < 2]
        if not any(key == b"_id" for key, _ in pairs):
            pairs.insert(self.rng.randint(0, len(pairs)), (b"_id", self.id()))
        return build(pairs)

    def unrestorable(self, pairs, earlier, deeper):
        """A document of these fields that a server would refuse; `earlier` are those of one before, `deeper` get a level more."""
        bad = self.rng.randrange(5)
        if bad == 0:
            pairs = [pair for pair in pairs if pair[0] != b"_id"]
        elif bad == 1:
            pairs.insert(0, (b"_id", self.one(array, lambda: Value(oracle.UNDEFINED, b""), lambda: Value(oracle.REGEX, b"a\0i\0"))))
        elif bad == 2:
            pairs[:0] = [(b"user_id", self.strings()), (b"created_at", array())]
        elif bad == 3:
            name = self.rng.choice(deeper)
            name, value = self.one(lambda: (b"deep", self.nested(180)), lambda: (name, document([(b"d", self.nested(178))])),
                                   lambda: (b"algorithm", self.nested(500)))
            pairs = [(name, value)] + [pair for pair in pairs if pair[0] != name]
        else:
            pairs[:0] = [(key, value) for key, value in earlier if key in (b"_id", b"dataset_id", b"model_id")]
        return build(pairs)


def main():
    args = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    args.add_argument("seed", metavar="SEED", type=int)
    args.add_argument("count", metavar="COUNT", type=int)
    args.add_argument("out", metavar="OUT.bson")
    args.add_argument("--mapping", choices=["user_data", "ml_models"], default="user_data", help="whose source (default user_data)")
    args.add_argument("--unrestorable", action="store_true", help="about one document in ten is one that a server would refuse")
    args = args.parse_args()

    hostile, earlier, ids = Hostile(args.seed), (), set()
    if args.mapping == "user_data":
        reading, make, deeper = oracle, hostile.document, [b"pii_report", b"hyperparameters"]
    else:
        reading, make, deeper = ml_models, hostile.ml_model, [b"metrics", b"training_config"]
    restorability = oracle.Restorability(reading.key_text)
    with open(args.out, "wb") as out:
        left = args.count
        while left:
            refused = args.unrestorable and hostile.chance(0.1)
            raw = make()
            if refused:
                raw = hostile.unrestorable(oracle.fields(raw), earlier, deeper)
            elif restorability.refusals(raw, reading.map_document(raw)):
                continue  # by accident: its key is taken, or it is nested too deep
            else:
                id_text = oracle.dataset_id_text(oracle.first(oracle.fields(raw))[b"_id"])
                if id_text in ids:
                    continue  # two documents of one _id, which no collection holds
                ids.add(id_text)
                earlier = oracle.fields(raw)
            out.write(raw)
            left -= 1


if __name__ == "__main__":
    main()
