"""A life on the new collections, and back: the application reads and writes them through an object
mapper (see mapper.py), then everything is rolled back, and migrated once more.
"""

import json
import unittest
from collections import Counter
from datetime import datetime, timedelta
from itertools import zip_longest

import bson
from bson import ObjectId

import dumpformat
import generate
import harness
from base import (
    DB, SOURCE_INDEXES, TARGETS, EndToEnd, indexes, load, mongosplit, printed_restore, rename_as_printed, said,
)
from mapper import Mapper

# MAPPING.md, the copied fields: where the application finds a source field that is not null.
SEEN = {
    "dataset_metadata": {
        "_id": "_id", "user_id": "user_id", "filename": "filename", "original_filename": "original_filename",
        "file_type": "file_type", "file_path": "file_path", "s3_url": "s3_url", "num_columns": "num_columns",
        "columns": "columns", "schema": "schema", "statistics": "statistics", "quality_report": "quality_report",
        "data_preview": "data_preview", "aiSummary": "aiSummary", "contains_pii": "pii_report.contains_pii",
        "pii_risk_level": "pii_report.risk_level", "pii_report": "pii_report.detection_details",
        "pii_masked": "pii_report.masked", "is_processed": "is_processed", "processed_at": "processed_at",
        "onboarding_progress": "onboarding_progress", "created_at": "created_at", "updated_at": "updated_at",
    },
    "transformation_configs": {
        "_id": "_id", "user_id": "user_id", "file_path": "current_file_path", "created_at": "created_at",
        "updated_at": "updated_at",
    },
    "model_configs": {
        "_id": "_id", "user_id": "user_id", "algorithm": "algorithm", "hyperparameters": "hyperparameters",
        "training_metrics": "performance_metrics", "problem_type": "problem_type", "model_path": "model_path",
        "model_size": "model_size", "feature_config": "feature_config", "training_config": "training_config",
        "description": "description", "model_file_url": "model_file_url",
        "feature_transformer_path": "feature_transformer_path", "trained_at": "trained_at", "tags": "tags",
        "notes": "notes", "created_at": "created_at", "updated_at": "updated_at",
    },
}
# Optional fields of a model: a save writes them, whether or not the source had them.
MODEL_DEFAULTS = {
    "description": None, "model_file_url": None, "feature_transformer_path": None, "trained_at": None, "tags": [],
    "notes": None,
}
ABSENT = object()
LATER = datetime(2025, 9, 1, 12, 0, 0, 123000)
LATER_TEXT = "2025-09-01T12:00:00.123+00:00"


def value_at(document, path):
    for name in path.split("."):
        document = document[name]
    return document


def differing(first, second, path=""):
    """The paths at which two values differ, as mongosplit names them."""
    if isinstance(first, dict) and isinstance(second, dict):
        pairs = [(name, first.get(name, ABSENT), second.get(name, ABSENT)) for name in first | second]
    elif isinstance(first, list) and isinstance(second, list):
        pairs = [(number, *pair) for number, pair in enumerate(zip_longest(first, second, fillvalue=ABSENT))]
    else:
        is_same = ABSENT not in (first, second) and bson.encode({"": first}) == bson.encode({"": second})
        return [] if is_same else [path]
    return [found for name, one, other in pairs for found in differing(one, other, f"{path}.{name}" if path else name)]


def new_step(**fields):
    """A step as the new model stores it."""
    return {
        "transformation_type": "impute", "column": "age", "columns": None,
        "parameters": {"strategy": "mean", "legacy_type": "impute_mean"}, "applied_at": LATER,
        "is_valid": True, "validation_errors": [], "rows_affected": 7, "data_loss_percentage": 0.5,
    } | fields


# What new_step() is in the source.
NEW_ITEM = {
    "type": "impute_mean", "column": "age", "columns": None, "parameters": {"strategy": "mean"},
    "applied_at": LATER_TEXT, "rows_affected": 7, "data_loss_percentage": 0.5,
}


class LifeTest(EndToEnd):
    """Everything is read, most of it saved untouched, some of it edited, made anew, deleted, created."""

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        harness.restore(*printed_restore(cls.summary))
        cls.seen = cls.read()
        # What must come back, and which event must be told of it: kind, changed fields, what is not carried back.
        cls.expected = {document["_id"]: document for document in generate.user_data()}
        cls.events, cls.created = {}, {}
        cls.live()
        cls.current = cls.folder / "current"
        harness.dump(DB, cls.current)
        cls.before = cls.read()
        report = cls.folder / "events.ndjson"
        cls.back = cls.folder / "back"
        done = mongosplit("reverse", cls.out, cls.back, "--current", cls.current, "--details", report)
        cls.back_summary = said(done)
        cls.told = [json.loads(line) for line in report.read_text().splitlines()]

        cls.rolled_back = harness.restore(*printed_restore(cls.back_summary))
        rename_as_printed(cls.back_summary)
        for target in TARGETS:
            harness.client()[DB].drop_collection(target)
        cls.restored = harness.stored(DB, "user_data")
        cls.restored_indexes = indexes(DB, "user_data")
        harness.dump(DB, cls.folder / "dump again")
        cls.again = cls.folder / "again"
        summary = mongosplit("transform", cls.folder / "dump again", cls.again).stdout.decode()
        harness.restore(*printed_restore(summary))
        cls.after = cls.read()

    @classmethod
    def read(cls):
        """All that the application can load, by collection and `_id`."""
        database = harness.client()[DB]
        return {target: {found["_id"]: found for found in Mapper(database, target).find()} for target in TARGETS}

    @classmethod
    def live(cls):
        """What an application does: each paragraph to a dataset of its own, here and in `expected`."""
        datasets, configs, models = (Mapper(harness.client()[DB], target) for target in TARGETS)
        cls.untouched = [key for key in cls.expected if isinstance(key, ObjectId)]
        shapes = {
            shape: iter([document["_id"] for number, document in enumerate(generate.user_data())
                         if generate.SHAPES[number % len(generate.SHAPES)] == shape])
            for shape in generate.SHAPES
        }

        def some(shape):
            """The next source document of a shape, its dataset and its configuration."""
            key = next(shapes[shape])
            cls.untouched.remove(key)
            return cls.expected[key], datasets.get(_id=key), configs.get(_id=key)

        def tell(document, kind, changed=(), lost=(), missing=()):
            cls.events[str(document["_id"])] = (kind, set(changed), set(lost), list(missing))

        def edit(document, dataset, *, changed, **fields):
            """A save of a dataset with new values, which have these values in the source."""
            datasets.save(dataset | fields | {"updated_at": LATER})
            document |= changed | {"updated_at": LATER}
            tell(document, "drifted", [*changed, "updated_at"])

        # the fields whose stored names are not the models' own
        document, dataset, _ = some("application")
        schema = {"columns": ["edited"]}
        edit(document, dataset, schema=schema, changed={"schema": schema})
        document, dataset, _ = some("old")
        summary = dataset["aiSummary"] | {"overview": "better", "createdAt": LATER}
        edit(document, dataset, aiSummary=summary, changed={"aiSummary": summary})
        document, dataset, _ = some("old")
        edit(document, dataset, schema=schema, aiSummary=None, changed={"schema": schema, "aiSummary": None})

        # a file written anew, of which both collections have the path
        document, dataset, config = some("export")
        configs.save(config | {"current_file_path": "datasets/new.csv", "updated_at": LATER})
        edit(document, dataset, file_path="datasets/new.csv", changed={"file_path": "datasets/new.csv"})

        # what was found out about personal data
        document, dataset, _ = some("application")
        pii = dataset["pii_report"] | {"risk_level": "high", "masked": True}
        edit(document, dataset, pii_report=pii, changed={"pii_risk_level": "high", "pii_masked": True})

        # a step appended, where there are others and where there is none
        for shape in ("application", "export", "old"):
            document, dataset, config = some(shape)
            steps = [*config["transformation_steps"], new_step()]
            configs.save(config | {
                "transformation_steps": steps, "total_transformations": len(steps), "is_applied": True,
                "applied_at": LATER, "updated_at": LATER,
            })
            items = [*document.get("transformation_history", ()), NEW_ITEM]
            edit(document, dataset, changed={"transformation_history": items})

        # a step edited; the others keep their bytes
        document, _, config = some("export")
        steps = config["transformation_steps"]
        steps[1] |= {"parameters": {"method": "edited"}, "applied_at": LATER}
        configs.save(config)
        item = document["transformation_history"][1]
        document["transformation_history"][1] = {
            "type": item["type"], "column": item["column"], "columns": None, "parameters": {"method": "edited"},
            "applied_at": LATER_TEXT, "rows_affected": None, "data_loss_percentage": None,
        }
        tell(document, "drifted", ["transformation_history"])

        # a step found invalid, for which the source has no field: its item keeps its bytes
        document, _, config = some("export")
        config["transformation_steps"][2] |= {"is_valid": False, "validation_errors": ["no such column"]}
        configs.save(config)
        lost = ("is_valid", "validation_errors.0")
        tell(document, "unchanged", lost=[f"transformation_configs.transformation_steps.2.{name}" for name in lost])

        # a configuration deleted and made anew, with a step of its own
        document, dataset, config = some("application")
        configs.delete(config)
        configs.insert(
            user_id=dataset["user_id"], dataset_id=dataset["dataset_id"], config_id="config_0123456789abcdef",
            transformation_steps=[new_step()], is_applied=True, applied_at=LATER, total_transformations=1,
            created_at=LATER, updated_at=LATER,
        )
        document["transformation_history"] = [NEW_ITEM]
        lost = ("_id", "config_id", "current_file_path", "applied_at", "created_at", "updated_at")
        tell(document, "drifted", ["transformation_history"], [f"transformation_configs.{name}" for name in lost])

        # the same with nothing else new in it
        document, dataset, config = some("application")
        configs.delete(config)
        configs.insert(**config | {"_id": ObjectId(), "config_id": "config_of_another_name"})
        tell(document, "unchanged", lost=["transformation_configs._id", "transformation_configs.config_id"])

        # a configuration deleted, and nothing in its place
        document, _, config = some("application")
        configs.delete(config)
        tell(document, "unchanged", missing=["transformation_configs"])

        # a dataset deleted with all that belongs to it
        document, dataset, config = some("model")
        models.delete(models.get(_id=dataset["_id"]))
        datasets.delete(dataset)
        configs.delete(config)
        del cls.expected[document["_id"]]
        tell(document, "deleted")

        # created: with a configuration, and without
        for number, with_config in ((2, True), (1, False)):
            name = f"dataset_{number:016x}"
            dataset = datasets.insert(
                _id=ObjectId(f"{number:024x}"), user_id="user_0001", dataset_id=name, filename=f"{name}.csv",
                original_filename="created.csv", file_type="csv", file_path=f"datasets/{name}.csv",
                s3_url=f"s3://bucket/{name}.csv", num_rows=3, num_columns=1, columns=["age"], schema=schema,
                data_schema=[{
                    "field_name": "age", "field_type": "numeric", "inferred_dtype": "int64", "unique_values": 3,
                    "missing_values": 0,
                }],
                created_at=LATER, updated_at=LATER + timedelta(hours=1),
            )
            lost = []
            if with_config:
                configs.insert(
                    user_id="user_0001", dataset_id=name, config_id=f"{name}_config",
                    transformation_steps=[new_step()], is_applied=True, applied_at=dataset["updated_at"],
                    total_transformations=1, current_file_path=dataset["file_path"],
                    created_at=LATER, updated_at=dataset["updated_at"],
                )
                lost = ["transformation_configs._id"]
            cls.created[dataset["_id"]] = dataset
            tell(dataset, "added", lost=lost)

        # everything else is saved as it was read; a save writes each field of a model, there or not
        for key in cls.untouched:
            for mapper in (datasets, configs, models):
                for found in mapper.find(_id=key):
                    mapper.save(found)
            document = cls.expected[key]
            if "algorithm" in document and "description" not in document:
                document |= MODEL_DEFAULTS
                tell(document, "drifted", MODEL_DEFAULTS)

    def test_the_application_sees_every_field_that_the_source_has(self):
        source = [document for document in generate.user_data() if isinstance(document["_id"], ObjectId)]
        for document in map(bson.decode, map(bson.encode, source)):
            for target in TARGETS[: 3 if "algorithm" in document else 2]:
                found = self.seen[target][document["_id"]]
                for name, path in SEEN[target].items():
                    if document.get(name) is not None:
                        self.assertEqual(differing(value_at(found, path), document[name]), [], (target, path))
            dataset, config = (self.seen[target][document["_id"]] for target in TARGETS[:2])
            self.assertEqual(dataset["num_rows"], document.get("row_count", document["num_rows"]))
            fields = [field["field_name"] for field in document["data_schema"]]
            self.assertEqual([field["field_name"] for field in dataset["data_schema"]], fields)
            self.assertEqual(dataset["columns"], document.get("columns", fields))
            self.assertEqual(len(config["transformation_steps"]), len(document.get("transformation_history") or ()))

    def test_the_application_loads_all_but_what_the_findings_name(self):
        [source] = json.loads((self.out / "manifest.json").read_text())["sources"]
        refused = {finding["rule"]: finding["documents"] for finding in source["findings"]}
        for target in TARGETS:
            stored = len(dumpformat.read(self.out)[f"{DB}.{target}"].documents)
            self.assertEqual(len(self.seen[target]), stored - refused.get(f"{target}._id", 0), target)

    def test_what_was_saved_untouched_comes_back_byte_for_byte_and_every_edit_in_its_field(self):
        """In source order; in an edited document every other byte is as it was, too."""
        found = dumpformat.read(self.back)[f"{DB}.user_data"].documents
        self.assertGreater(sum(str(key) not in self.events for key in self.untouched), 250)
        for document, expected in zip(found, self.expected.values()):
            if document != bson.encode(expected):
                self.fail(f"{bson.decode(document)}\nis not\n{expected}")
        self.assertEqual(len(found), len(self.expected) + len(self.created))

    def test_created_datasets_come_back_last_with_their_own_dataset_id(self):
        found = dumpformat.read(self.back)[f"{DB}.user_data"].documents[len(self.expected) :]
        found = {document["_id"]: document for document in map(bson.decode, found)}
        self.assertEqual(list(found), sorted(self.created))
        for key, dataset in self.created.items():
            self.assertEqual(found[key]["dataset_id"], dataset["dataset_id"])
            self.assertEqual(found[key]["schema"], dataset["schema"])
        self.assertEqual(found[ObjectId(f"{2:024x}")]["transformation_history"], [NEW_ITEM])

    def test_each_event_tells_what_has_become_of_its_document_and_no_other_is_told(self):
        told = {}
        for event in self.told:
            changed = {change["field"] for change in event["changed"]} if event["kind"] == "drifted" else set()
            key = event["id"].removeprefix("ObjectId('").removesuffix("')")
            self.assertNotIn(key, told)
            told[key] = (event["kind"], changed, set(event["not_carried_back"]), event["missing_in"])
            self.assertEqual(event["conflicts"], [], key)
        self.assertEqual(told.keys(), self.events.keys())
        for key, expected in self.events.items():
            self.assertEqual(told[key], expected, key)

    def test_the_summary_counts_what_the_events_tell(self):
        kinds = Counter(kind for kind, *_ in self.events.values())
        unchanged = len(generate.user_data()) - kinds["drifted"] - kinds["deleted"]
        lost = sum(bool(lost) for _, _, lost, _ in self.events.values())
        missing = sum(bool(missing) for *_, missing in self.events.values())
        for line in (
            f"{unchanged} unchanged, {kinds['drifted']} drifted, {kinds['added']} added, {kinds['deleted']} deleted",
            f"0 with conflicts, {lost} not carried back, {missing} missing in one collection",
        ):
            self.assertIn(line, self.back_summary)
        self.assertNotIn("the source collection itself has changed", self.back_summary)

    def test_the_printed_commands_put_all_of_it_in_place(self):
        self.assertEqual(self.rolled_back, (len(self.expected) + len(self.created), 0))
        self.assert_same_documents(self.restored, dumpformat.read(self.back)[f"{DB}.user_data"].documents)
        self.assertEqual(self.restored_indexes, SOURCE_INDEXES)

    def test_after_a_second_migration_the_application_sees_what_it_saw_but_for_what_was_told(self):
        """Every difference was told as not carried back, and all that was told is a difference."""
        created = {dataset["dataset_id"]: str(key) for key, dataset in self.created.items()}
        for target in TARGETS:
            before, after = (
                {found["dataset_id"]: found for found in read[target].values()} for read in (self.before, self.after)
            )
            self.assertLessEqual(before.keys(), after.keys(), target)
            # a dataset without a configuration gets one
            since = {str(key) for key, (*_, missing) in self.events.items() if missing == [target]}
            if target == "transformation_configs":
                since |= created.keys() - before.keys()
            self.assertEqual(after.keys() - before.keys(), since, target)
            for key, found in before.items():
                event = self.events.get(created.get(key, key), (None, set(), set(), []))
                lost = {path for path in event[2] if path.startswith(f"{target}.")}
                different = {f"{target}.{path}" for path in differing(found, after[key])}
                if "updated_at" in event[1] and target == "transformation_configs":
                    # copies of one source field
                    different -= {f"{target}.updated_at", f"{target}.applied_at"}
                self.assertEqual(different, lost, key)


class LaterDumpTest(EndToEnd):
    """A later dump that must not be taken for the truth."""

    def setUp(self):
        load()
        harness.restore(*printed_restore(self.summary))

    def reverse(self, dump, name, *options, status=0):
        """`reverse --current` to a place of this name; what it said, and whether the place is there."""
        done = mongosplit("reverse", self.out, self.folder / name, "--current", dump, *options, status=status)
        self.assertEqual((self.folder / name).exists(), status == 0)
        return said(done)

    def dumped(self, name):
        """A dump of the restored database."""
        harness.dump(DB, self.folder / name)
        return self.folder / name

    def test_writes_to_the_live_source_are_told_loudly_and_refused_by_strict(self):
        live = harness.client()[DB]["user_data"]
        ids = [bson.decode(document)["_id"] for document in self.source.documents]
        live.update_one({"_id": ids[0]}, {"$push": {"transformation_history": {"type": "scale"}}})
        live.delete_one({"_id": ids[1]})
        live.insert_one({"_id": ObjectId("0123456789abcdef01234567"), "user_id": "new"})
        dump = self.dumped("live")
        report = self.folder / "live.ndjson"
        summary = self.reverse(dump, "back live", "--details", report)
        summary = " ".join(summary.split())  # as it was before it was wrapped
        self.assertIn("NOT CARRIED BACK: the source collection itself has changed since the migration", summary)
        self.assertIn("1 document changed, 1 added, 1 removed there", summary)
        told = {event["kind"]: event for event in map(json.loads, report.read_text().splitlines())}
        self.assertEqual(told.keys(), {"source-changed", "source-removed", "source-added"})
        for kind, key in zip(told, (ids[0], ids[1], "0123456789abcdef01234567")):
            self.assertIn(str(key), told[kind]["id"])
        self.assertIn("transformation_history", told["source-changed"]["not_carried_back"][0])
        refused = self.reverse(dump, "back live strict", "--strict", status=1)
        self.assertIn("in the source collection itself 1 changed, 1 added, 1 removed", refused)

    def test_a_dump_without_documents_is_refused_unless_that_is_allowed(self):
        harness.client()[DB]["dataset_metadata"].delete_many({})
        dump = self.dumped("empty")
        self.assertIn("--allow-empty", self.reverse(dump, "back empty", status=1))
        summary = self.reverse(dump, "back allowed", "--allow-empty")
        self.assertIn("300 documents, deleted", "\n".join(summary.splitlines()[:3]))
        self.assertEqual(dumpformat.read(self.folder / "back allowed")[f"{DB}.user_data"].documents, [])

    def test_a_dump_that_was_stopped_is_refused(self):
        """What a mongodump that was killed leaves: a file of no bytes beside sound metadata, and no prelude."""
        dump = self.dumped("stopped")
        (dump / DB / "dataset_metadata.bson").write_bytes(b"")
        (dump / DB / "prelude.json").unlink(missing_ok=True)
        self.reverse(dump, "back stopped", status=1)
        self.assertIn("prelude.json", self.reverse(dump, "back stopped allowed", "--allow-empty"))

    def test_a_short_dump_is_refused_where_the_number_is_known_and_counted_where_not(self):
        dump = self.dumped("short")
        file = dump / DB / "dataset_metadata.bson"
        documents = dumpformat.documents(file.read_bytes())
        file.write_bytes(b"".join(documents[:-10]))
        refused = self.reverse(dump, "back short refused", "--expect-docs", "300", status=1)
        self.assertIn("290 documents", refused)
        summary = self.reverse(dump, "back short")
        self.assertIn("10 documents, deleted", "\n".join(summary.splitlines()[:3]))
        self.reverse(dump, "back short known", "--expect-docs", "290")


if __name__ == "__main__":
    unittest.main()
