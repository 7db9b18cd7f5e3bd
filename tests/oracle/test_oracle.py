"""The oracle itself, against values written by hand from MAPPING.md."""

import struct
import unittest

import oracle
from oracle import ARRAY, DATE, FALSE, NOTHING, TRUE, Value, array, build, document, string

ID = (b"_id", Value(oracle.OBJECT_ID, bytes(range(0xA0, 0xAC))))


def int32(n):
    return Value(oracle.INT32, struct.pack("<i", n))


def double(n):
    return Value(oracle.DOUBLE, struct.pack("<d", n))


def date(millis):
    return Value(DATE, struct.pack("<q", millis))


def mapped(*pairs, target="dataset_metadata"):
    return oracle.fields(oracle.map_document(build(pairs))[target])


def field(name, *pairs, target="dataset_metadata"):
    return dict(mapped(ID, *pairs, target=target)).get(name)


def step(*pairs, outer=()):
    """The fields of the step made of one history item."""
    steps = field(b"transformation_steps", (b"transformation_history", array([document(pairs)])), *outer, target="transformation_configs")
    return oracle.fields(oracle.items(steps)[0].data)


class Bytes(unittest.TestCase):
    def test_a_document_by_hand(self):
        raw = bytes.fromhex("12000000" "10" "6100" "01000000" "ff" "ff00" "0a" "6200" "00")
        self.assertEqual(oracle.fields(raw), [(b"a", int32(1)), (b"\xff", Value(oracle.MINKEY, b"")), (b"b", NOTHING)])
        self.assertEqual(build(oracle.fields(raw)), raw)

    def test_every_type_is_stepped_over(self):
        values = {0x01: "00" * 8, 0x02: "0200000061 00", 0x03: "0500000000", 0x04: "0500000000", 0x05: "02000000 80 abcd", 0x06: "",
                  0x07: "00" * 12, 0x08: "01", 0x09: "00" * 8, 0x0A: "", 0x0B: "6100 6900", 0x0C: "0200000061 00" + "11" * 12,
                  0x0D: "0200000061 00", 0x0E: "0200000061 00", 0x0F: "0f000000 0200000061 00 0500000000", 0x10: "00" * 4,
                  0x11: "00" * 8, 0x12: "00" * 8, 0x13: "00" * 16, 0x7F: "", 0xFF: ""}
        pairs = [(b"k", Value(kind, bytes.fromhex(data))) for kind, data in values.items()]
        self.assertEqual(oracle.fields(build(pairs)), pairs)
        self.assertEqual(oracle.depth(build(pairs)), 2)

    def test_what_is_cut_off_is_malformed(self):
        for bad in ("0400000000", "05000000", "0600000001", "0b000000026100ff00000000", "08000000556100" "00"):
            with self.assertRaises(oracle.Malformed, msg=bad):
                oracle.fields(bytes.fromhex(bad))


class Dataset(unittest.TestCase):
    def test_the_smallest_document(self):
        report = document([(b"contains_pii", FALSE), (b"pii_fields", array()), (b"risk_level", string(b"low")),
                           (b"detection_details", document()), (b"masked", FALSE), (b"masked_at", NOTHING)])
        self.assertEqual(mapped(ID), [
            ID, (b"dataset_id", string(b"a0a1a2a3a4a5a6a7a8a9aaab")), (b"file_type", string(b"csv")), (b"file_path", NOTHING),
            (b"file_size", NOTHING), (b"num_rows", NOTHING), (b"columns", array()), (b"data_schema", array()),
            (b"schema", NOTHING), (b"statistics", NOTHING), (b"quality_report", NOTHING), (b"data_preview", NOTHING),
            (b"aiSummary", NOTHING), (b"pii_report", report), (b"is_processed", FALSE), (b"processed_at", NOTHING),
            (b"onboarding_progress", NOTHING), (b"version", string(b"1.0.0")), (b"parent_dataset_id", NOTHING)])

    def test_dataset_id(self):
        uuid = bytes.fromhex("00112233445566778899aabbccddeeff")
        for value, text in [
            (string(b"any\0\xff"), b"any\0\xff"), (int32(-7), b"-7"), (double(-0.0), b"0"), (double(2.0 ** 53), b"9007199254740992"),
            (double(2.0 ** 53 + 2), b"bson:01:0100000000004043"), (double(0.5), b"bson:01:000000000000e03f"),
            (Value(oracle.BINARY, b"\x10\0\0\0\x03" + uuid), b"00112233-4455-6677-8899-aabbccddeeff"),
            (Value(oracle.BINARY, b"\x10\0\0\0\x05" + uuid), b"bson:05:1000000005" + uuid.hex().encode()),
            (NOTHING, b"bson:0a:"), (document(), b"bson:03:0500000000"), (Value(oracle.MINKEY, b""), b"bson:ff:"),
            (Value(oracle.BINARY, b"\xfb\0\0\0\0" + bytes(251)), b"bson:05:fb00000000" + b"00" * 251),
        ]:
            self.assertEqual(dict(mapped((b"_id", value)))[b"dataset_id"], string(text))
        own = (b"dataset_id", string(b"dataset_1"))
        self.assertEqual(dict(mapped(ID, own))[b"dataset_id"], own[1])
        self.assertEqual(dict(mapped(ID, own, target="transformation_configs"))[b"config_id"], string(b"dataset_1_config"))
        self.assertEqual(dict(mapped(ID, (b"dataset_id", int32(1))))[b"dataset_id"], string(b"a0a1a2a3a4a5a6a7a8a9aaab"))
        long = Value(oracle.BINARY, b"\xfc\0\0\0\0" + bytes(252))
        text = oracle.text_of(dict(mapped((b"_id", long)))[b"dataset_id"])
        self.assertRegex(text, rb"\Abson:05:sha256:[0-9a-f]{64}\Z")

    def test_empty_and_absent(self):
        name = (b"filename", string(b"f"))
        self.assertEqual(field(b"original_filename", name), string(b"f"))
        self.assertEqual(field(b"original_filename", (b"original_filename", NOTHING), name), string(b"f"))
        self.assertEqual(field(b"original_filename", (b"original_filename", string(b"")), name), string(b""))
        self.assertEqual(field(b"file_path", name, (b"user_id", string(b"u"))), string(b"datasets/u/f"))
        self.assertEqual(field(b"file_path", name, (b"user_id", int32(1))), NOTHING)
        self.assertEqual(field(b"num_rows", (b"row_count", NOTHING), (b"num_rows", int32(2))), int32(2))
        self.assertEqual(field(b"num_rows", (b"num_rows", int32(2)), (b"row_count", int32(1))), int32(1))
        self.assertEqual(field(b"is_processed", (b"is_processed", int32(0))), int32(0))

    def test_columns(self):
        schema = (b"data_schema", array([document([(b"field_name", string(b"a"))]), int32(1), document(), document([(b"field_name", NOTHING)])]))
        self.assertEqual(field(b"columns", schema), array([string(b"a"), NOTHING]))
        self.assertEqual(field(b"columns", schema, (b"columns", array())), array([string(b"a"), NOTHING]))
        self.assertEqual(field(b"columns", schema, (b"columns", string(b""))), string(b""))
        self.assertEqual(field(b"columns", (b"data_schema", document()), (b"columns", NOTHING)), array())

    def test_schema_fields(self):
        odd = Value(ARRAY, build([(b"7", document([(b"is_constant", NOTHING), (b"x", TRUE), (b"x", FALSE)])), (b"7", int32(1))]))
        self.assertEqual(field(b"data_schema", (b"data_schema", odd)), array([document([
            (b"is_constant", NOTHING), (b"x", TRUE), (b"x", FALSE), (b"data_type", NOTHING), (b"example_values", array()),
            (b"is_high_cardinality", FALSE)]), int32(1)]))
        self.assertEqual(field(b"data_schema", (b"data_schema", document())), document())

    def test_pii_fields(self):
        def named(*pairs):
            return oracle.members(field(b"pii_report", (b"pii_report", document(pairs))))[b"pii_fields"]
        odd = Value(ARRAY, build([(b"x", string(b"a"))]))
        found = (b"detections", array([document([(b"column", string(b"c"))])]))
        self.assertEqual(named(found, (b"fields", odd)), odd)
        self.assertEqual(named(found, (b"fields", array())), array())
        self.assertEqual(named(found, (b"fields", array([int32(1)]))), array([string(b"c")]))
        self.assertEqual(named((b"detections", array([document([(b"column", string(b"c"))]), document()]))), array())

    def test_other_fields(self):
        passed = [(b"x", int32(1)), (b"config_id", int32(2)), (b"x", int32(3)), (b"algorithm", NOTHING), (b"ai_summary", int32(4))]
        kept_out = [(b"version", int32(9)), (b"file_size", int32(9)), (b"user_id", int32(9))]
        result = mapped(ID, (b"user_id", string(b"u")), *passed[:2], *kept_out, *passed[2:])
        self.assertEqual(result[-len(passed) - 1:], [(b"parent_dataset_id", NOTHING), *passed])
        self.assertEqual(dict(result)[b"user_id"], string(b"u"))


class Config(unittest.TestCase):
    def test_the_smallest_document(self):
        self.assertEqual(mapped(ID, target="transformation_configs"), [
            ID, (b"dataset_id", string(b"a0a1a2a3a4a5a6a7a8a9aaab")), (b"config_id", string(b"a0a1a2a3a4a5a6a7a8a9aaab_config")),
            (b"transformation_steps", array()), (b"current_file_path", NOTHING), (b"is_applied", FALSE), (b"applied_at", NOTHING),
            (b"validation_result", NOTHING), (b"last_validated_at", NOTHING), (b"last_preview", NOTHING),
            (b"total_transformations", int32(0)), (b"total_data_loss", double(0.0)), (b"version", string(b"1.0.0")),
            (b"parent_config_id", NOTHING)])

    def test_applied(self):
        history = (b"transformation_history", array([NOTHING, NOTHING]))
        result = dict(mapped(ID, history, (b"updated_at", date(5)), target="transformation_configs"))
        self.assertEqual((result[b"is_applied"], result[b"applied_at"], result[b"total_transformations"]), (TRUE, date(5), int32(2)))
        self.assertEqual(result[b"transformation_steps"], array([NOTHING, NOTHING]))

    def test_the_export_shape(self):
        params = [(b"column", string(b"p")), (b"columns", array()), (b"column", int32(1))]
        self.assertEqual(
            step((b"type", string(b"impute_mean")), (b"parameters", document(params)), (b"applied_at", string(b"1970-01-01T01:00:00.0129+01:00"))),
            [(b"transformation_type", string(b"impute")), (b"parameters", document(params + [(b"legacy_type", string(b"impute_mean"))])),
             (b"applied_at", date(12)), (b"column", string(b"p")), (b"columns", array()), (b"is_valid", TRUE),
             (b"validation_errors", array()), (b"rows_affected", NOTHING), (b"data_loss_percentage", NOTHING)])

    def test_an_empty_item(self):
        rest = [(b"is_valid", TRUE), (b"validation_errors", array()), (b"rows_affected", NOTHING), (b"data_loss_percentage", NOTHING)]
        head = [(b"transformation_type", string(b"unknown")), (b"column", NOTHING), (b"columns", NOTHING), (b"parameters", document())]
        self.assertEqual(step(), head + rest)
        self.assertEqual(step(outer=[(b"updated_at", date(1))]), head + [(b"applied_at", date(1))] + rest)

    def test_renaming(self):
        result = step((b"timestamp", date(1)), (b"timestamp", date(2)), (b"affected_rows", int32(3)), (b"rows_affected", int32(4)),
                      (b"type", string(b"formula")), (b"transformation_type", string(b"formula")), (b"parameters", NOTHING))
        self.assertEqual(result[:7], [
            (b"applied_at", date(1)), (b"timestamp", date(2)), (b"affected_rows", int32(3)), (b"rows_affected", int32(4)),
            (b"type", string(b"formula")), (b"transformation_type", string(b"formula")), (b"parameters", document())])

    def test_legacy_type(self):
        kind = (b"type", string(b"regex_replace"))
        remembered = document([(b"legacy_type", kind[1])])
        self.assertEqual(step((b"parameters", NOTHING), kind)[0], (b"parameters", remembered))
        self.assertEqual(step(kind)[:4], [(b"transformation_type", string(b"derive")), (b"column", NOTHING), (b"columns", NOTHING),
                                          (b"parameters", remembered)])
        for kept in (array(), string(b""), document([(b"legacy_type", NOTHING)])):
            self.assertEqual(step(kind, (b"parameters", kept))[1], (b"parameters", kept))
        self.assertEqual(step((b"type", string(b"remove_duplicates")), (b"parameters", NOTHING))[:2],
                         [(b"transformation_type", string(b"drop_duplicates")), (b"parameters", document())])

    def test_iso_text(self):
        for text, millis in {
            b"1970-01-01": 0, b"1970-01-01 00:01": 60_000, b"1969-12-31T23:59:59.9999": -1, b"2000-02-29T00:00:00Z": 951_782_400_000,
            b"0001-01-01": -62_135_596_800_000, b"9999-12-31T23:59:59.999-2359": 253_402_300_799_999 + 86_340_000,
            b"1970-01-01T00:00+00:01": -60_000, b"1970-01-01T00:00:00.5": 500, b"1970-01-01T00:00:00.05-00:00": 50}.items():
            self.assertEqual(oracle.date_of(string(text)), date(millis), text)
        for text in (b"0000-01-01", b"1900-02-29", b"2024-04-31", b"1970-01-01T24:00", b"1970-01-01t00:00", b"1970-01-01Z", b"1970-01-01T00",
                     b"1970-01-01T00:00.5", b"1970-01-01T00:00:60", b"1970-01-01T00:00:00.", b"1970-01-01T00:00z", b"1970-01-01T00:00+24:00",
                     b"1970-01-01T00:00+01", b"1970-01-01\n", b" 1970-01-01", b"1970-01-01  00:00", b"1970-01-01T00:00\0", b""):
            self.assertEqual(oracle.date_of(string(text)), string(text), text)
        symbol = Value(oracle.SYMBOL, string(b"1970-01-01").data)
        self.assertEqual(oracle.date_of(symbol), symbol)


class Model(unittest.TestCase):
    def test_written_only_with_a_model(self):
        for pairs in ([], [(b"algorithm", NOTHING), (b"algorithm", string(b"late"))], [(b"model_name", string(b"m"))]):
            self.assertNotIn("model_configs", oracle.map_document(build([ID, *pairs])))

    def test_fields(self):
        result = mapped(ID, (b"training_metrics", FALSE), (b"tags", NOTHING), (b"filename", string(b"f")), target="model_configs")
        self.assertEqual(result, [
            ID, (b"dataset_id", string(b"a0a1a2a3a4a5a6a7a8a9aaab")), (b"model_id", string(b"a0a1a2a3a4a5a6a7a8a9aaab_model")),
            (b"name", string(b"f")), (b"tags", NOTHING), (b"hyperparameters", document()), (b"performance_metrics", FALSE),
            (b"status", string(b"trained")), (b"version", string(b"1.0.0")), (b"is_active", TRUE)])
        self.assertNotIn(b"tags", dict(mapped(ID, (b"training_metrics", FALSE), (b"tags", TRUE))))

    def test_what_the_new_model_does_not_name(self):
        def written(*pairs, name=b"hyperparameters", source=b"hyperparameters"):
            return oracle.fields(field(name, (source, document(pairs)), target="model_configs").data)
        depth, alpha, beta = (b"max_depth", int32(3)), (b"alpha", int32(1)), (b"beta", int32(2))
        more = lambda *pairs: (b"additional_params", document(pairs))
        self.assertEqual(written(depth), [depth])
        self.assertEqual(written(more(), depth), [more(), depth])
        self.assertEqual(written(alpha, depth), [depth, more(alpha)])
        self.assertEqual(written(more(alpha), beta, depth), [more(alpha, beta), depth])
        self.assertEqual(written((b"additional_params", NOTHING), beta, depth), [more(beta), depth])
        self.assertEqual(written((b"additional_params", NOTHING), depth), [(b"additional_params", NOTHING), depth])
        self.assertEqual(written((b"additional_params", FALSE), beta), [(b"additional_params", FALSE), beta])
        self.assertEqual(written((b"additional_params", array()), beta), [(b"additional_params", array()), beta])
        self.assertEqual(written(beta, more(alpha), (b"alpha", TRUE), beta), [more(alpha, beta, beta)])
        self.assertEqual(written(more(alpha), depth, more(beta), depth), [more(alpha), depth, more(beta), depth])
        self.assertEqual(written(more(alpha), alpha, more(beta)), [more(alpha), more(beta)])
        metrics = lambda *pairs: written(*pairs, name=b"performance_metrics", source=b"training_metrics")
        self.assertEqual(metrics((b"f1", int32(1)), (b"f1_score", int32(0)), depth), [
            (b"f1_score", int32(0)), (b"additional_metrics", document([(b"f1", int32(1)), depth]))])
        for odd in (NOTHING, array([document([alpha])]), string(b"")):
            self.assertEqual(field(b"performance_metrics", (b"training_metrics", odd), (b"algorithm", TRUE), target="model_configs"), odd)


class Refused(unittest.TestCase):
    def refusals(self, *documents):
        server = oracle.Restorability()
        return [len(server.refusals(raw, oracle.map_document(raw))) for raw in map(build, documents)]

    def test_ids(self):
        same = [(b"_id", int32(1))], [(b"_id", string(b"1"))], [(b"_id", double(1.0))], [(b"_id", double(1.5))]
        self.assertEqual(self.refusals(*same), [0, 1, 1, 0])
        self.assertEqual(self.refusals([], [(b"_id", array())], [(b"_id", Value(oracle.UNDEFINED, b""))], [(b"_id", NOTHING)]), [1, 1, 1, 0])

    def test_two_arrays_in_one_index(self):
        self.assertEqual(self.refusals([ID, (b"user_id", array()), (b"created_at", array())]), [1])
        self.assertEqual(self.refusals([ID, (b"user_id", array()), (b"created_at", document())]), [0])

    def test_limits(self):
        deep = NOTHING
        for _ in range(179):
            deep = array([deep])
        self.assertEqual(self.refusals([ID, (b"x", deep)]), [0])
        self.assertEqual(self.refusals([ID, (b"x", array([deep]))]), [1])
        self.assertEqual(self.refusals([ID, (b"pii_report", document([(b"x", deep)]))]), [1])
        self.assertEqual(self.refusals([ID, (b"x", string(bytes(oracle.MAX_BYTES - 100)))]), [1])


if __name__ == "__main__":
    unittest.main()
