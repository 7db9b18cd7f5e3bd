"""mongosplit between a server's dump and its restore: the whole way there, and back.

One class for each part of the tool. Everything is done with the binary, the server's driver, and
mongodump and mongorestore (or their stand-ins, see harness.py); what mongosplit printed is run
as it was printed.
"""

import hashlib
import json
import re
import subprocess
import unittest
from datetime import datetime, timezone
from pathlib import Path

import bson
from bson import Int64, ObjectId
from pymongo.errors import DuplicateKeyError

import dumpformat
import generate
import harness
from base import (
    DB, INDEXES, OTHER, SOURCE_INDEXES, TARGETS, EndToEnd, binary, by_id, indexes, load, mongosplit, printed_restore,
    rename_as_printed, run_as_printed, said,
)
from dumpformat import FormatError


def setUpModule():
    print(f"e2e: {binary()}")
    print("e2e: dump and restore by", "mongodump and mongorestore" if harness.REAL_TOOLS else "the harness")


class TransformTest(EndToEnd):
    """Dump, transform, restore by the printed command, and look at what the server has."""

    def setUp(self):
        load()
        self.restored, self.failed = harness.restore(*printed_restore(self.summary))

    def test_the_server_holds_every_document_byte_for_byte_with_its_indexes(self):
        self.assert_restored(self.out)

    def test_the_collections_have_a_document_for_each_of_the_source(self):
        ids = set(by_id(self.source.documents))
        models = {key for key, document in by_id(self.source.documents).items() if "algorithm" in bson.decode(document)}
        self.assertTrue(models)
        for target, expected in zip(TARGETS, (ids, ids, models)):
            self.assertEqual(set(by_id(harness.stored(DB, target))), expected, target)

    def test_the_summary_foretells_what_mongorestore_reports(self):
        self.assertEqual(self.failed, 0)
        self.assertEqual(self.restored, sum(len(harness.stored(DB, target)) for target in TARGETS))
        self.assertRegex(self.summary, rf"\b{self.restored}\b")

    def test_the_printed_command_leaves_the_other_collections_alone(self):
        command = printed_restore(self.summary)
        self.assertIn("--stopOnError", command)
        self.assertNotIn("--drop", command)
        self.assert_same_documents(harness.stored(DB, "user_data"), self.source.documents)

    def test_a_second_restore_fails_unless_it_drops(self):
        command = printed_restore(self.summary)
        with self.assertRaises(harness.ToolFailed):
            harness.restore(*command)
        harness.restore("--drop", *command)
        self.assert_restored(self.out)

    def test_a_gzip_output_restores_by_its_own_command(self):
        out = self.folder / "gzip"
        summary = mongosplit("transform", self.dump, out, "--gzip").stdout.decode()
        load()
        harness.restore(*printed_restore(summary))
        self.assert_restored(out)
        self.assert_restored(self.out)

    def test_a_duplicate_dataset_id_is_refused(self):
        for target, key in zip(TARGETS, ("dataset_id", "config_id", "model_id")):
            collection = harness.client()[DB][target]
            with self.subTest(target), self.assertRaises(DuplicateKeyError):
                collection.insert_one({"_id": "another", key: collection.find_one()[key]})

    def test_the_applications_plain_indexes_fit_beside_the_unique_ones(self):
        for target, key in (("dataset_metadata", "dataset_id"), ("transformation_configs", "config_id")):
            self.assertEqual(harness.client()[DB][target].create_index(key), f"{key}_1")
            self.assertEqual(indexes(DB, target), INDEXES[target] | {f"{key}_1": ([(key, 1)], False)})

    def test_the_metadata_is_what_three_new_collections_need(self):
        for name, collection in dumpformat.read(self.out).items():
            fields = json.loads(collection.metadata)
            self.assertEqual(fields.pop("options", {}), {}, name)
            self.assertEqual(fields.keys(), {"indexes", "collectionName", "type"}, name)
            self.assertEqual(fields["type"], "collection", name)

    def test_sha256sums_lists_every_file_and_holds(self):
        listed = {}
        for line in (self.out / "SHA256SUMS").read_text().splitlines():
            digest, _, name = line.partition("  ")
            listed[name] = digest
        files = {str(path.relative_to(self.out)) for path in self.out.rglob("*") if path.is_file()}
        self.assertEqual(set(listed), files - {"SHA256SUMS", "manifest.json"})
        for name, digest in listed.items():
            self.assertEqual(hashlib.sha256((self.out / name).read_bytes()).hexdigest(), digest, name)


class SampleTest(EndToEnd):
    """A sample, plain and masked, restored and split like any dump."""

    def test_a_sample_restores_and_splits(self):
        key = self.folder / "key"
        key.write_bytes(bytes(range(32)))
        for name, options in (("plain", ()), ("masked", ("--mask", key))):
            with self.subTest(name):
                sample = self.folder / f"sample-{name}"
                mongosplit("sample", self.dump, sample, "--docs", "10", *options)
                taken = dumpformat.read(sample)[f"{DB}.user_data"].documents
                load()
                harness.client().drop_database(DB)
                restored, failed = harness.restore("--stopOnError", "--nsInclude", f"{DB}.user_data", str(sample))
                self.assertEqual((restored, failed), (len(taken), 0))
                self.assert_same_documents(harness.stored(DB, "user_data"), taken)
                self.assertEqual(indexes(DB, "user_data"), SOURCE_INDEXES)
                out = self.folder / f"out-{name}"
                summary = mongosplit("transform", sample, out, "--expect-docs", len(taken)).stdout.decode()
                harness.client().drop_database(DB)
                harness.restore(*printed_restore(summary))
                self.assert_restored(out)


class VerifyTest(EndToEnd):
    """`verify` against the files, the source's dump and the restored database's dump."""

    def setUp(self):
        load()

    def redump(self, name, change):
        """A dump of the restored database after a change; given as a path, named after the test."""
        harness.restore(*printed_restore(self.summary))
        change(harness.client()[DB])
        harness.dump(DB, self.folder / name)
        return self.folder / name

    def test_the_files_hold(self):
        mongosplit("verify", self.out)

    def test_the_source_holds(self):
        mongosplit("verify", self.out, "--source", self.dump)

    def test_the_restored_database_holds(self):
        redump = self.redump("restored", lambda database: None)
        mongosplit("verify", self.out, "--restored", redump)

    def test_an_index_that_is_missing_or_not_unique_is_a_difference_and_one_more_is_none(self):
        def change(database):
            database["dataset_metadata"].drop_index("dataset_id_1_unique")
            database["transformation_configs"].drop_index("config_id_1_unique")
            database["transformation_configs"].create_index("config_id", name="config_id_1_unique")

        report = said(mongosplit("verify", self.out, "--restored", self.redump("indexes", change), status=1))
        for name in ("dataset_id_1_unique", "config_id_1_unique"):
            self.assertIn(name, report)
        load()
        own = lambda database: database["dataset_metadata"].create_index("dataset_id")
        self.assertIn("dataset_id_1", said(mongosplit("verify", self.out, "--restored", self.redump("own index", own), "-v")))

    def test_a_restored_database_with_changes_is_told_apart_document_by_document(self):
        changed, missing = bson.decode(self.source.documents[0])["_id"], bson.decode(self.source.documents[1])["_id"]
        extra = ObjectId("0123456789abcdef01234567")

        def change(database):
            database["dataset_metadata"].update_one({"_id": changed}, {"$set": {"filename": "renamed.csv"}})
            database["transformation_configs"].delete_one({"_id": missing})
            database["dataset_metadata"].insert_one({"_id": extra, "dataset_id": str(extra)})

        report = said(mongosplit("verify", self.out, "--restored", self.redump("changed", change), status=1))
        for part in (str(changed), "filename", str(missing), str(extra)):
            self.assertIn(part, report)
        self.assertNotIn(str(bson.decode(self.source.documents[2])["_id"]), report)

    def test_a_source_that_has_changed_since_is_told_apart_document_by_document(self):
        changed, missing = bson.decode(self.source.documents[0])["_id"], bson.decode(self.source.documents[1])["_id"]
        extra = ObjectId("0123456789abcdef01234567")
        source = harness.client()[DB]["user_data"]
        source.update_one({"_id": changed}, {"$set": {"filename": "renamed.csv"}})
        source.delete_one({"_id": missing})
        source.insert_one({"_id": extra, "user_id": "new"})
        later = self.folder / "later"
        harness.dump(DB, later)
        report = said(mongosplit("verify", self.out, "--source", later, status=1))
        for part in (str(changed), str(missing), str(extra)):
            self.assertIn(part, report)

    def test_a_changed_byte_of_the_output_fails(self):
        out = self.folder / "damaged"
        mongosplit("transform", self.dump, out)
        file = out / DB / "dataset_metadata.bson"
        data = bytearray(file.read_bytes())
        data[len(data) // 2] ^= 1
        file.write_bytes(data)
        self.assertIn("dataset_metadata.bson", said(mongosplit("verify", out, status=1)))


class ReverseTest(EndToEnd):
    """`reverse` gives the original back, and its printed commands put it in place."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.back = cls.folder / "back"
        cls.back_summary = mongosplit("reverse", cls.out, cls.back).stdout.decode()

    def test_the_original_files_are_back(self):
        for name in ("user_data.bson", "user_data.metadata.json"):
            self.assertEqual((self.back / DB / name).read_bytes(), (self.dump / DB / name).read_bytes(), name)

    def test_the_result_verifies(self):
        mongosplit("verify", self.back)

    def test_gzip_gives_the_same(self):
        back = self.folder / "back-gzip"
        mongosplit("reverse", self.out, back, "--gzip")
        self.assert_same_dump(dumpformat.read(back), dumpformat.read(self.back))

    def test_the_printed_commands_roll_back_over_a_live_collection(self):
        """The restore goes beside the live collection; the rename puts it in its place."""
        load()
        live = harness.client()[DB]["user_data"]
        live.update_many({}, {"$set": {"filename": "spoilt"}})
        self.assertEqual(harness.restore(*printed_restore(self.back_summary)), (len(self.source.documents), 0))
        self.assertEqual(live.count_documents({"filename": {"$ne": "spoilt"}}), 0)
        rename_as_printed(self.back_summary)
        self.assert_same_documents(harness.stored(DB, "user_data"), self.source.documents)
        self.assertEqual(indexes(DB, "user_data"), SOURCE_INDEXES)


    def test_all_printed_steps_go_there_and_back(self):
        """Each command is pasted as it is: restore, proof, rehearsal; then restore, rename, proof, and the new collections go."""
        load()
        folder = self.folder / "there and back"
        folder.mkdir()
        self.assertEqual(run_as_printed(self.summary, folder), 4)
        self.assert_same_dump(dumpformat.read(folder / "rehearsal"), dumpformat.read(self.back))
        self.assertEqual(run_as_printed(self.back_summary, folder), 6)
        self.assert_same_documents(harness.stored(DB, "user_data"), self.source.documents)
        # Another mapping may have filled the last one, too.
        self.assertEqual(
            set(harness.client()[DB].list_collection_names()), {"user_data", "users", "model_configs"}
        )


class AfterRollbackTest(EndToEnd):
    """`verify --source` with a dump of everything after a rollback, the new collections still there."""

    def setUp(self):
        load()
        harness.restore(*printed_restore(self.summary))
        back = self.folder / f"back for {self.id()}"
        summary = mongosplit("reverse", self.out, back).stdout.decode()
        harness.restore(*printed_restore(summary))
        rename_as_printed(summary)

    def after(self, name):
        harness.dump(DB, self.folder / name)
        return self.folder / name

    def test_it_says_that_all_is_well(self):
        mongosplit("verify", self.out, "--source", self.after("after"))

    def test_what_a_server_puts_into_a_collections_metadata_is_a_remark(self):
        after = self.after("with uuid")
        file = after / DB / "user_data.metadata.json"
        metadata = json.loads(file.read_text()) | {"uuid": "0123456789abcdef0123456789abcdef"}
        file.write_text(json.dumps(dict(reversed(metadata.items()))))
        self.assertIn("uuid", said(mongosplit("verify", self.out, "--source", after, "-v")))

    def test_a_document_that_is_not_as_it_was_still_fails(self):
        changed, same = (bson.decode(self.source.documents[number])["_id"] for number in (5, 0))
        harness.client()[DB]["user_data"].update_one({"_id": changed}, {"$set": {"filename": "other.csv"}})
        report = said(mongosplit("verify", self.out, "--source", self.after("changed"), status=1))
        self.assertIn(str(changed), report)
        self.assertNotIn(str(same), report)


@unittest.skipUnless(harness.MONGOSH, "mongosh is left out")
class MongoshTest(EndToEnd):
    """The commands that are printed for mongosh, typed into it. (Renaming: wherever a test rolls back.)"""

    def test_the_printed_index_commands_make_the_indexes_that_were_there(self):
        load()
        source = harness.client()[DB]["user_data"]
        source.create_index([("statistics.mean", -1), ("user_id", 1)], name="a \"quoted\" 'name'", sparse=True)
        source.create_index("processed_at", expireAfterSeconds=10**9)
        source.create_index("s3_url", unique=True)
        source.create_index("filename", partialFilterExpression={
            "created_at": {"$gt": datetime(2025, 1, 1, tzinfo=timezone.utc)},
            "user_id": {"$type": "string"},
            "num_rows": {"$gt": 5.5, "$lt": Int64(2**53 + 1)},
        })
        dump = self.folder / "indexes"
        harness.dump(DB, dump)
        summary = mongosplit("transform", dump, self.folder / "indexes out", "-v").stdout.decode()
        before = source.index_information()
        self.assertEqual(len(before), len(SOURCE_INDEXES) + 4)
        source.drop_indexes()
        harness.mongosh(DB, *re.findall(r"^ *(db\.getCollection\(.*\)\.createIndex\(.*\))$", summary, re.MULTILINE))
        self.assertEqual(source.index_information(), before)


class CurrentTest(EndToEnd):
    """`reverse --current`: the application has lived on the new collections, then goes back."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        harness.restore(*printed_restore(cls.summary))
        cls.unchanged = cls.folder / "unchanged"
        harness.dump(DB, cls.unchanged)
        # What must come back: the source, to which live() does what it does to the new collections.
        cls.expected = generate.user_data()
        cls.drifted, cls.deleted, cls.not_carried_back, cls.added = [], [], [], []
        cls.live(harness.client()[DB])
        cls.current = cls.folder / "current"
        harness.dump(DB, cls.current)
        cls.back, cls.report = cls.folder / "back", cls.folder / "report"
        done = mongosplit("reverse", cls.out, cls.back, "--current", cls.current, "--details", cls.report)
        cls.back_summary = said(done)

    @classmethod
    def live(cls, database):
        """What an application does: each paragraph to a document of its own, here and in `expected`."""
        metadata, configs, models = (database[target] for target in TARGETS)
        shapes = {
            shape: iter([document for number, document in enumerate(cls.expected)
                         if generate.SHAPES[number % len(generate.SHAPES)] == shape])
            for shape in generate.SHAPES
        }

        def some(shape, listed):
            document = next(shapes[shape])
            listed.append(document["_id"])
            return document, {"_id": document["_id"]}

        # a number of the export's, which has it in one field only
        document, key = some("export", cls.drifted)
        metadata.update_one(key, {"$set": {"num_rows": 12345}})
        document["num_rows"] = 12345

        # a field that the migration nested
        document, key = some("application", cls.drifted)
        metadata.update_one(key, {"$set": {"pii_report.risk_level": "high"}})
        document["pii_risk_level"] = "high"

        # a field that the application's models know by another name than the stored one
        document, key = some("application", cls.drifted)
        summary = {"overview": "better", "issues": [], "relationships": [], "suggestions": [], "rawMarkdown": "#"}
        metadata.update_one(key, {"$set": {"aiSummary": summary}})
        document["aiSummary"] = summary

        # a copy in two collections, changed alike
        document, key = some("old", cls.drifted)
        for collection in (metadata, configs):
            collection.update_one(key, {"$set": {"user_id": "new_owner"}})
        document["user_id"] = "new_owner"

        # a copy in two collections, changed differently: the first target wins, a conflict
        document, key = some("old", cls.drifted)
        metadata.update_one(key, {"$set": {"user_id": "first"}})
        configs.update_one(key, {"$set": {"user_id": "second"}})
        document["user_id"] = "first"

        # a step appended, as the new model writes it; of two dates the newest
        document, key = some("application", cls.drifted)
        earlier, later = (datetime(2025, 9, day, 12, 0, 0, 123000, tzinfo=timezone.utc) for day in (1, 2))
        step = {
            "transformation_type": "impute", "column": "age", "columns": None,
            "parameters": {"strategy": "mean", "legacy_type": "impute_mean"}, "applied_at": later,
            "is_valid": True, "validation_errors": [], "rows_affected": 7, "data_loss_percentage": 0.5,
        }
        configs.update_one(key, {
            "$push": {"transformation_steps": step},
            "$inc": {"total_transformations": 1},
            "$set": {"updated_at": later},
        })
        metadata.update_one(key, {"$set": {"updated_at": earlier}})
        document["updated_at"] = later
        document["transformation_history"].append({
            "type": "impute_mean", "column": "age", "columns": None, "parameters": {"strategy": "mean"},
            "applied_at": "2025-09-02T12:00:00.123+00:00", "rows_affected": 7, "data_loss_percentage": 0.5,
        })

        # the first step deleted, in each shape of step
        for shape in ("application", "export"):
            document, key = some(shape, cls.drifted)
            configs.update_one(key, {"$pop": {"transformation_steps": -1}, "$inc": {"total_transformations": -1}})
            del document["transformation_history"][0]

        # a field of the model
        document, key = some("model", cls.drifted)
        models.update_one(key, {"$set": {"performance_metrics": {"cv_score": 0.99}}})
        document["training_metrics"] = {"cv_score": 0.99}

        # deleted; with a model too
        for shape in ("export", "model"):
            document, key = some(shape, cls.deleted)
            for collection in (metadata, configs, models):
                collection.delete_one(key)
            cls.expected.remove(document)

        # what has no place in the source: a field that nothing feeds, a second config, a lone deletion
        document, key = some("application", cls.not_carried_back)
        metadata.update_one(key, {"$set": {"version": "2.0.0"}})
        document, key = some("application", cls.not_carried_back)
        second = configs.find_one(key) | {"_id": ObjectId("00000000000000000000aaaa"), "config_id": "second"}
        configs.insert_one(second)
        document, key = some("application", cls.not_carried_back)
        configs.delete_one(key)

        # created since: like a migrated one, but for its keys
        for number in (2, 1):
            template = {"_id": next(shapes["application"])["_id"]}
            name = f"{number:024x}"
            keys = {"_id": ObjectId(name), "dataset_id": name}
            metadata.insert_one(metadata.find_one(template) | keys | {"filename": f"added_{number}.csv"})
            configs.insert_one(configs.find_one(template) | keys | {"config_id": f"{name}_config"})
            cls.added.insert(0, keys["_id"])

    def split_back(self):
        """The documents that came back: those of the source, those added since."""
        documents = dumpformat.read(self.back)[f"{DB}.user_data"].documents
        return documents[: len(self.expected)], documents[len(self.expected) :]

    def test_an_unchanged_dump_gives_the_original(self):
        back = self.folder / "back-unchanged"
        mongosplit("reverse", self.out, back, "--current", self.unchanged, "--strict")
        for name in ("user_data.bson", "user_data.metadata.json"):
            self.assertEqual((back / DB / name).read_bytes(), (self.dump / DB / name).read_bytes(), name)

    def test_what_changed_has_changed_and_nothing_else(self):
        """In source order, without the deleted ones, every other byte as it was."""
        found, _ = self.split_back()
        for document, expected in zip(found, self.expected, strict=True):
            if document != bson.encode(expected):
                self.fail(f"{bson.decode(document)}\nis not\n{expected}")

    def test_what_was_added_comes_last_by_id_and_transforms_into_itself(self):
        _, found = self.split_back()
        self.assertEqual([bson.decode(document)["_id"] for document in found], self.added)
        again = self.folder / "again"
        mongosplit("transform", self.back, again)
        current, again = dumpformat.read(self.current), dumpformat.read(again)
        for target in ("dataset_metadata", "transformation_configs"):
            name = f"{DB}.{target}"
            documents = {fields["_id"]: fields for fields in map(bson.decode, again[name].documents)}
            for fields in map(bson.decode, current[name].documents):
                if fields["_id"] in self.added:
                    self.assertEqual(documents[fields["_id"]], fields, target)

    def test_what_came_back_can_be_restored_as_user_data(self):
        rename = ("--nsFrom", f"{DB}.user_data", "--nsTo", f"{OTHER}.user_data")
        harness.restore("--stopOnError", *rename, str(self.back))
        self.assert_same_documents(
            harness.stored(OTHER, "user_data"), dumpformat.read(self.back)[f"{DB}.user_data"].documents
        )
        self.assertEqual(indexes(OTHER, "user_data"), SOURCE_INDEXES)

    def test_everything_that_drifted_is_reported(self):
        report = self.back_summary + self.report.read_text()
        for listed in ("drifted", "deleted", "not_carried_back", "added"):
            for key in getattr(self, listed):
                self.assertIn(str(key), report, listed)

    def test_a_strict_run_refuses_the_drift(self):
        back = self.folder / "back-strict"
        mongosplit("reverse", self.out, back, "--current", self.current, "--strict", status=1)
        self.assertFalse(back.exists())

    def test_a_compressed_dump_gives_the_same(self):
        """Every shape of the same documents, in the order in which they were dumped."""
        collections = dumpformat.read(self.current)
        dumpformat.write_directory(collections, self.folder / "current-gzip", "5.0.0", compress=True)
        back = self.folder / "back-gzip"
        mongosplit("reverse", self.out, back, "--current", self.folder / "current-gzip")
        self.assert_same_dump(dumpformat.read(back), dumpformat.read(self.back))


class ArchiveTest(EndToEnd):
    """Every shape in, every shape out."""

    INPUTS = {"directory": (), "gzip directory": ("--gzip",), "archive": (), "gzip archive": ("--gzip",)}
    OUTPUTS = {
        "directory": (), "gzip directory": ("--gzip",),
        "archive": ("--archive",), "gzip archive": ("--archive", "--gzip"),
    }

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.collections = dumpformat.read(cls.out)
        cls.inputs = {}
        for shape, options in cls.INPUTS.items():
            cls.inputs[shape] = cls.folder / "inputs" / shape
            cls.inputs[shape].parent.mkdir(exist_ok=True)
            dump = harness.dump_archive if "archive" in shape else harness.dump
            dump(DB, cls.inputs[shape], *options)

    def transform(self, source, shape, name):
        """One output in a folder of its own; its path, all its bytes, and what mongosplit printed."""
        out = self.folder / name / "out"
        out.parent.mkdir()
        summary = mongosplit("transform", source, out, *self.OUTPUTS[shape]).stdout.decode()
        files = {
            str(path.relative_to(out.parent)): path.read_bytes() for path in out.parent.rglob("*") if path.is_file()
        }
        return out, files, summary

    def test_every_input_in_every_output_is_the_same_and_reverses_to_the_source(self):
        """Read back by the second reader; and the same bytes from every input (law 4)."""
        for output in self.OUTPUTS:
            first = None
            for given, source in self.inputs.items():
                with self.subTest(given=given, output=output):
                    name = f"{given} to {output}"
                    out, files, _ = self.transform(source, output, name)
                    first = first or files
                    self.assertEqual(files.keys(), first.keys())
                    self.assertEqual([name for name in files if files[name] != first[name]], [])
                    self.assert_same_dump(dumpformat.read(out), self.collections)
                    mongosplit("verify", out)
                    mongosplit("reverse", out, self.folder / name / "back")
                    back = dumpformat.read(self.folder / name / "back")
                    self.assert_same_dump(back, {f"{DB}.user_data": self.source})

    def test_every_output_restores_by_its_printed_command(self):
        for output in self.OUTPUTS:
            with self.subTest(output):
                load()
                out, _, summary = self.transform(self.dump, output, f"restored {output}")
                harness.restore(*printed_restore(summary))
                self.assert_restored(out)

    def test_an_archive_has_its_side_files_beside_it(self):
        _, files, _ = self.transform(self.dump, "archive", "side files")
        self.assertEqual(files.keys(), {"out", "out.manifest.json", "out.rollback", "out.SHA256SUMS"})

    def test_an_archive_whose_collections_interleave(self):
        """As mongodump writes them above 16 MB a collection, which these are not."""
        source = self.folder / "interleaved"
        source.write_bytes(dumpformat.write_archive(dumpformat.read(self.dump), "5.0.0", segment=7))
        out, _, _ = self.transform(source, "directory", "from interleaved")
        self.assert_same_dump(dumpformat.read(out), self.collections)

    def test_a_pipe_of_three(self):
        """With -j 1: mongorestore hangs where the archive promises too few open collections."""
        load()
        uri, prefix = f"--uri={harness.server_uri()}", self.folder / "piped"
        dump = [*harness.tool_command("mongodump"), uri, "--db", DB, "--archive"]
        split = [binary(), "transform", "-", "-", "--archive", "--sidecar", prefix]
        restore = [*harness.tool_command("mongorestore"), uri, "--stopOnError", "-j", "1", "--archive"]
        with (
            open(self.folder / "pipe.log", "w+b") as log,
            subprocess.Popen(dump, stdout=subprocess.PIPE, stderr=log) as dumping,
            subprocess.Popen(split, stdin=dumping.stdout, stdout=subprocess.PIPE, stderr=log) as splitting,
        ):
            dumping.stdout.close()  # so that a stage that fails ends the one before it
            restoring = subprocess.run(restore, stdin=splitting.stdout, stderr=log, timeout=harness.TIMEOUT)
            splitting.stdout.close()
            statuses = [dumping.wait(), splitting.wait(), restoring.returncode]
            log.seek(0)
            self.assertEqual(statuses, [0, 0, 0], log.read().decode())
        self.assert_restored(self.out)
        for side in ("manifest.json", "rollback", "SHA256SUMS"):
            self.assertTrue(Path(f"{prefix}.{side}").exists(), side)

    def test_an_archive_on_standard_input_plain_and_gzip(self):
        for given in ("archive", "gzip archive"):
            with self.subTest(given):
                archive, prefix = self.inputs[given].read_bytes(), self.folder / f"stdin {given}"
                done = mongosplit("transform", "-", "-", "--archive", "--sidecar", prefix, stdin=archive)
                self.assert_same_dump(dumpformat.read_archive(done.stdout), self.collections)

    def test_a_source_that_turns_bad_at_its_end_makes_mongorestore_fail_too(self):
        """The last document's final byte: everything before it has left by then."""
        last = self.source.documents[-1]
        sound = dumpformat.write_archive({f"{DB}.user_data": self.source}, "5.0.0")
        bad = sound.replace(last, last[:-1] + b"\x01")
        prefix = self.folder / "bad"
        done = mongosplit("transform", "-", "-", "--archive", "--sidecar", prefix, stdin=bad, status=3)
        self.assertFalse(Path(f"{prefix}.manifest.json").exists())
        with self.assertRaises(FormatError):
            dumpformat.read_archive(done.stdout)
        load()
        with self.assertRaises(harness.ToolFailed):
            harness.restore("--stopOnError", "--archive", stdin=done.stdout)

    def test_a_closed_pipe_ends_the_run(self):
        command = [binary(), "transform", self.dump, "-", "--archive", "--sidecar", self.folder / "closed"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as run:
            run.stdout.read(1000)
            run.stdout.close()
            report = run.stderr.read().decode()
            self.assertEqual(run.wait(harness.TIMEOUT), 4, report)
        self.assertFalse((self.folder / "closed.manifest.json").exists())


if __name__ == "__main__":
    unittest.main()
