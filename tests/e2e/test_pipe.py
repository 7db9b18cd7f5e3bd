"""The pipe from mongodump through mongosplit into mongorestore as it is documented, and what to do
after one that failed half way. Every line is run by bash, as a user types it.
"""

import tempfile
import unittest
from pathlib import Path

from bson.raw_bson import RawBSONDocument

import dumpformat
import generate
import harness
from base import DB, TARGETS, EndToEnd, binary, load, mongosplit, said, shell

DOCUMENTS = len(generate.user_data())
DUMP = f"mongodump --archive --db {DB} --collection user_data"
SPLIT = f"mongosplit transform - - --sidecar split --expect-docs {DOCUMENTS}"
RESTORE = "mongorestore --archive --stopOnError"

# What a user types: at first, and after a pipe that failed.
KEEP = "mv split.new split"
PIPE = f"set -o pipefail; umask 077; {DUMP} | {SPLIT} | tee split.new | {RESTORE} && {KEEP}"
AGAIN = f"set -o pipefail; umask 077; {DUMP} | {SPLIT} --force | tee split.new | {RESTORE} --drop && {KEEP}"
VERIFY = "mv -n split.new split; mongosplit verify split"
WHOLE_DUMP = f"mongodump --archive --db {DB}"
COMPLETE = {"split", "split.manifest.json", "split.rollback", "split.SHA256SUMS"}


class PipeTest(EndToEnd):
    """Each test in a folder of its own, with the database as it was before the migration."""

    def setUp(self):
        load()
        folder = tempfile.TemporaryDirectory(prefix="pipe ", dir=self.folder)
        self.addCleanup(folder.cleanup)
        self.place = Path(folder.name)

    def files(self):
        return {path.name for path in self.place.iterdir()}

    def fails(self, script):
        """Runs a script that must fail; what it said."""
        done = harness.shell(script, binary(), self.place)
        self.assertNotEqual(done.returncode, 0, script)
        return said(done)

    def assert_complete(self):
        """The server holds everything, and the copy that tee kept verifies and leads back."""
        self.assert_restored(self.out)
        self.assertEqual(self.files(), COMPLETE)
        mongosplit("verify", self.place / "split")
        mongosplit("reverse", self.place / "split", self.place / "back")
        self.assert_same_dump(dumpformat.read(self.place / "back"), {f"{DB}.user_data": self.source})

    def restore_some(self):
        """What a mongorestore leaves that failed half way, however far this one came: documents, and no index."""
        collections = dumpformat.read(self.out)
        for target, number in zip(TARGETS[:2], (DOCUMENTS, DOCUMENTS // 2)):
            collection = harness.client()[DB][target]
            collection.drop()
            documents = collections[f"{DB}.{target}"].documents[:number]
            harness.raw(collection).insert_many(map(RawBSONDocument, documents))

    def assert_failed_and_can_be_run_again(self):
        """Nothing passes for an output; the same line fails again, and the documented one does not."""
        self.assertNotIn("split.manifest.json", self.files())
        self.fails(VERIFY)
        self.restore_some()
        self.fails(PIPE)
        self.assertEqual(len(harness.stored(DB, TARGETS[0])), DOCUMENTS)
        shell(AGAIN, self.place)
        self.assert_complete()

    def test_the_documented_pipe(self):
        text = shell(PIPE, self.place)
        self.assertIn(f"{DOCUMENTS} documents of {DB}.user_data", text)
        self.assertEqual((self.place / "split").stat().st_mode & 0o777, 0o600)
        self.assert_complete()

    def test_a_second_run_keeps_the_copy_of_the_first(self):
        """Whether it is refused, or replaces the output and then has a short dump."""
        shell(PIPE, self.place)
        self.assertIn("already", self.fails(PIPE))
        (self.place / "split.new").unlink()
        self.assert_complete()
        self.fails(AGAIN.replace(DUMP, f"{DUMP} | head -c 100000"))
        (self.place / "split.new").unlink()
        self.assertEqual(self.files(), COMPLETE | {"back"})
        mongosplit("verify", self.place / "split")

    def test_a_pipe_without_the_expected_number_warns(self):
        warning = r"(?m)^[! ].*--expect-docs"
        without = SPLIT.replace(f" --expect-docs {DOCUMENTS}", "")
        self.assertRegex(shell(f"{DUMP} | {without} >archive", self.place), warning)
        self.assertNotRegex(shell(f"{DUMP} | {SPLIT} --force >archive", self.place), warning)

    def test_a_dump_of_the_whole_database_works_once_and_then_meets_the_targets(self):
        """By then they may be in use, so the pipe ends before anything is written or restored."""
        whole = PIPE.replace(DUMP, WHOLE_DUMP)
        shell(whole, self.place)
        self.assert_complete()
        for path in self.place.glob("split*"):
            path.unlink()
        self.assertIn("in the target collection", self.fails(whole))
        self.assertNotIn("split.manifest.json", self.files())
        self.assert_restored(self.out)

    def test_a_dump_that_was_stopped_fails_by_the_expected_number(self):
        """mongodump ends its archive properly when it is stopped, so nothing else can tell."""
        short = dumpformat.Collection(self.source.metadata, self.source.documents[:-1])
        archive = dumpformat.write_archive({f"{DB}.user_data": short}, "5.0.0")
        (self.place.parent / "short").write_bytes(archive)
        text = self.fails(PIPE.replace(DUMP, "cat ../short"))
        self.assertIn(f"the source has {DOCUMENTS - 1} documents, --expect-docs {DOCUMENTS} was given", text)
        self.assert_failed_and_can_be_run_again()

    def test_after_a_mongorestore_that_was_killed(self):
        self.fails(PIPE.replace(RESTORE, "(head -c 100000 >/dev/null; kill -9 $BASHPID)"))
        self.assert_failed_and_can_be_run_again()

    def test_after_an_archive_that_came_short(self):
        self.fails(PIPE.replace(RESTORE, f"head -c 100000 | {RESTORE}"))
        self.assert_failed_and_can_be_run_again()

    def test_after_a_mongosplit_that_was_killed(self):
        """The kill comes when it has begun and waits for the rest, so what it was at is left."""
        whole = self.place.parent / "whole"
        harness.dump_archive(DB, whole)
        half = (
            "(head -c 300000 ../whole; for n in {1..200}; do [ -e split.mongosplit-partial ] && break; sleep 0.1; done;"
            " kill -9 $(cat ../split.pid))"
        )
        split = f"bash -c 'echo $$ >../split.pid; exec {SPLIT}'"
        self.fails(PIPE.replace(DUMP, half).replace(SPLIT, split))
        self.assertIn("split.mongosplit-partial", self.files())
        self.assertIn("split.mongosplit-partial", self.fails(PIPE))
        self.assert_failed_and_can_be_run_again()

    def test_after_a_mongorestore_that_failed_behind_a_complete_copy(self):
        """Nothing is to be dumped again: the copy is verified, and restored."""
        self.fails(PIPE.replace(RESTORE, "(cat >/dev/null; exit 1)"))
        self.restore_some()
        shell(f"{VERIFY} && mongorestore --archive=split --stopOnError --drop", self.place)
        self.assert_complete()


if __name__ == "__main__":
    unittest.main()
