"""The harness itself, without mongosplit: what the end-to-end tests rely on."""

import gzip
import tempfile
import unittest
from pathlib import Path

import bson

import dumpformat
import generate
import harness
from dumpformat import TERMINATOR, Collection, FormatError

DB, OTHER = "mongosplit_e2e", "mongosplit_e2e_other"
METADATA = '{"indexes":[],"collectionName":"%s"}'
DOCUMENTS = [bson.encode({"_id": number, "text": "x" * number}) for number in range(100)]
SAMPLE = {
    "db.a": Collection(METADATA % "a", DOCUMENTS),
    "db.b.c": Collection(METADATA % "b.c", DOCUMENTS[:40]),
    "db.empty": Collection(METADATA % "empty"),
}


class FormatTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def test_crc_is_crc64_xz(self):
        self.assertEqual(dumpformat.crc64(b"123456789"), 0x995DC9BBDF1939FA)

    def test_every_shape_reads_back(self):
        archive = dumpformat.write_archive(SAMPLE, "5.0.0")
        (self.folder / "archive").write_bytes(archive)
        (self.folder / "archive.gz").write_bytes(gzip.compress(archive[:99]) + gzip.compress(archive[99:]))
        dumpformat.write_directory(SAMPLE, self.folder / "plain", "5.0.0")
        dumpformat.write_directory(SAMPLE, self.folder / "gzip", "5.0.0", compress=True)
        for shape in ("archive", "archive.gz", "plain", "gzip"):
            with self.subTest(shape):
                self.assertEqual(dumpformat.read(self.folder / shape), SAMPLE)

    def test_an_archive_is_refused_when_cut_anywhere_or_changed_anywhere(self):
        """Changed: but for the bytes that say nothing about the content, the versions."""
        small = {name: Collection(part.metadata, part.documents[:2]) for name, part in SAMPLE.items()}
        archive = dumpformat.write_archive(small, "5.0.0", segment=1)
        self.assertEqual(dumpformat.read_archive(archive), small)
        for length in range(len(archive)):
            with self.subTest(cut=length), self.assertRaises(FormatError):
                dumpformat.read_archive(archive[:length])
        for at in range(archive.index(TERMINATOR), len(archive)):
            changed = archive[:at] + bytes([archive[at] ^ 1]) + archive[at + 1 :]
            with self.subTest(changed=at), self.assertRaises((FormatError, bson.errors.InvalidBSON)):
                dumpformat.read_archive(changed)

    def test_an_archive_is_refused_for_what_mongorestore_would_choke_on(self):
        archive = dumpformat.write_archive(SAMPLE, "5.0.0")
        closing = archive[archive.rindex(bson.encode({"db": "db", "collection": "a"})[4:-1]) - 4 :]
        promise = b"\x10concurrent_collections\0"
        for fault, bad in {
            "two open where one is promised": archive.replace(promise + b"\x03", promise + b"\x01"),
            "a namespace reopened": archive + closing,
            "data behind the end": archive + b"\0",
            "a terminator too many": archive + TERMINATOR,
            "another magic number": b"\0" + archive[1:],
        }.items():
            with self.subTest(fault), self.assertRaises(FormatError):
                self.assertNotEqual(bad, archive)
                dumpformat.read_archive(bad)

    def test_gzip_is_refused_when_empty_cut_or_with_garbage_behind(self):
        whole = gzip.compress(b"data")
        for bad in (b"", whole[:-1], whole + b"\0", whole + whole[:9]):
            with self.subTest(bad), self.assertRaises(FormatError):
                dumpformat.gunzip(bad)


class ToolTest(unittest.TestCase):
    """Dump and restore through the server, by whichever tools there are."""

    SHAPES = {"plain": (), "gzip": ("--gzip",)}

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        for database in (DB, OTHER):
            harness.client().drop_database(database)
        self.source = harness.client()[DB]["user_data"]
        self.source.insert_many(generate.user_data())
        self.source.create_index("user_id")
        self.source.create_index([("created_at", -1)], unique=True, name="newest")
        harness.client()[DB].create_collection("empty")

    def test_the_server_keeps_every_generated_document_byte_for_byte(self):
        self.assertEqual(
            sorted(harness.stored(DB, "user_data")),
            sorted(bson.encode(document) for document in generate.user_data()),
        )

    def test_dump_and_restore_keep_documents_and_indexes_in_every_shape(self):
        for shape, options in self.SHAPES.items():
            directory, archive = self.folder / shape, self.folder / f"{shape}.archive"
            harness.dump(DB, directory, *options)
            harness.dump_archive(DB, archive, *options)
            self.assertEqual(dumpformat.read(directory), dumpformat.read(archive))
            for source in (str(directory), f"--archive={archive}"):
                with self.subTest(shape=shape, source=source):
                    self.restored_as_other(*options, source)

    def test_an_archive_on_standard_input(self):
        harness.dump_archive(DB, self.folder / "archive")
        self.restored_as_other("--archive", "-j", "1", stdin=(self.folder / "archive").read_bytes())

    def test_the_stand_ins_archive_interleaved_and_with_an_empty_collection(self):
        harness.dump(DB, self.folder / "plain")
        archive = dumpformat.write_archive(dumpformat.read(self.folder / "plain"), "5.0.0")
        self.restored_as_other("--archive", "-j", "1", stdin=archive)

    def restored_as_other(self, *arguments, stdin=None):
        harness.client().drop_database(OTHER)
        names = []
        for name in ("user_data", "empty"):
            names += ["--nsFrom", f"{DB}.{name}", "--nsTo", f"{OTHER}.{name}"]
        self.assertEqual(harness.restore("--stopOnError", *names, *arguments, stdin=stdin), (300, 0))
        self.assertEqual(sorted(harness.stored(OTHER, "user_data")), sorted(harness.stored(DB, "user_data")))
        restored = harness.client()[OTHER]
        self.assertEqual(restored["user_data"].index_information(), self.source.index_information())
        self.assertEqual(sorted(restored.list_collection_names()), ["empty", "user_data"])

    def test_restoring_over_existing_documents(self):
        """Without --stopOnError nothing fails but the documents; with it the command does."""
        harness.dump(DB, self.folder / "plain")
        _, failed = harness.restore(str(self.folder / "plain"))
        self.assertEqual(failed, 300)
        with self.assertRaises(harness.ToolFailed):
            harness.restore("--stopOnError", str(self.folder / "plain"))
        self.assertEqual(harness.restore("--drop", str(self.folder / "plain")), (300, 0))

    @unittest.skipUnless(harness.MONGOSH, "mongosh is left out")
    def test_mongosh_prints_what_a_line_gives_and_a_line_that_fails_is_a_failure(self):
        printed = harness.mongosh(DB, "one = 1", 'one + db.getCollection("user_data").countDocuments()')
        self.assertEqual(printed, "301\n")
        with self.assertRaises(harness.ToolFailed):
            harness.mongosh(DB, f'db.adminCommand({{renameCollection: "{DB}.absent", to: "{DB}.user_data"}})', "1")

    def test_a_cut_archive_fails(self):
        harness.dump_archive(DB, self.folder / "archive")
        with self.assertRaises(harness.ToolFailed):
            harness.restore(
                "--nsFrom", f"{DB}.user_data", "--nsTo", f"{OTHER}.user_data", "--archive",
                stdin=(self.folder / "archive").read_bytes()[:-100],
            )
