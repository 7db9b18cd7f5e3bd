"""What the end-to-end tests share: the binary, what it printed, and a loaded server."""

import json
import os
import re
import shlex
import subprocess
import tempfile
import unittest
from pathlib import Path

import bson

import dumpformat
import generate
import harness

DB, OTHER = "mongosplit_e2e", "mongosplit_e2e_other"
TARGETS = ("dataset_metadata", "transformation_configs", "model_configs")

# MAPPING.md, "Indexes in the metadata files": name -> (key, unique).
INDEXES = {
    "dataset_metadata": {
        "_id_": ([("_id", 1)], False),
        "user_id_1_created_at_-1": ([("user_id", 1), ("created_at", -1)], False),
        "dataset_id_1_unique": ([("dataset_id", 1)], True),
    },
    "transformation_configs": {
        "_id_": ([("_id", 1)], False),
        "user_id_1_dataset_id_1": ([("user_id", 1), ("dataset_id", 1)], False),
        "config_id_1_unique": ([("config_id", 1)], True),
    },
    "model_configs": {
        "_id_": ([("_id", 1)], False),
        "user_id_1_created_at_-1": ([("user_id", 1), ("created_at", -1)], False),
        "model_id_1_unique": ([("model_id", 1)], True),
    },
}
SOURCE_INDEXES = {
    "_id_": ([("_id", 1)], False),
    "user_id_1": ([("user_id", 1)], False),
    "created_at_1": ([("created_at", 1)], False),
}


def binary():
    """The mongosplit under test: MONGOSPLIT, else the build made last."""
    if path := os.environ.get("MONGOSPLIT"):
        return Path(path).resolve()
    built = [harness.TARGET / profile / "mongosplit" for profile in ("release", "debug")]
    built = [path for path in built if path.exists()]
    if not built:
        raise FileNotFoundError(f"no mongosplit in {harness.TARGET}/release or debug: build it first")
    return max(built, key=lambda path: path.stat().st_mtime)


def mongosplit(*arguments, status=0, stdin=None):
    """Runs the binary; fails with all that it said unless it exits as expected."""
    command = [str(word) for word in (binary(), *arguments)]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=harness.TIMEOUT)
    if done.returncode != status:
        # of an archive on stdout nobody wants to read more than the beginning
        out, err = done.stdout[:4000].decode(errors="replace"), done.stderr.decode(errors="replace")
        raise AssertionError(f"{shlex.join(command)}\nexit {done.returncode}, not {status}\n{out}\n{err}")
    return done


def shell(script, folder, status=0):
    """Runs a script as it is documented; fails with all that it said unless it exits as expected."""
    done = harness.shell(script, binary(), folder)
    if done.returncode != status:
        raise AssertionError(f"{script}\nexit {done.returncode}, not {status}\n{said(done)}")
    return said(done)


def said(done):
    return (done.stdout + done.stderr).decode()


def printed_restore(text):
    """The arguments of the first mongorestore command that mongosplit printed, but for the server: the harness adds it."""
    for line in text.replace("\\\n", " ").splitlines():
        command = line.strip().removeprefix("$ ")
        if command.startswith("mongorestore "):
            words = shlex.split(command)[1:]
            if words[:2] != ["--uri", "$MONGODB_URI"]:
                raise AssertionError(f"no server in {command}")
            return words[2:]
    raise AssertionError(f"no mongorestore command in:\n{text}")


def rename_as_printed(text):
    """Runs the renameCollection command that mongosplit printed for mongosh; by the driver where there is none."""
    [line] = re.findall(r"^ *(db\.adminCommand\(.*\))$", text, re.MULTILINE)
    if harness.MONGOSH:
        harness.mongosh(DB, line)
        return
    command = r'db\.adminCommand\({renameCollection: "(\S+)", to: "(\S+)", dropTarget: true}\)'
    source, target = re.fullmatch(command, line).groups()
    harness.client().admin.command("renameCollection", source, to=target, dropTarget=True)


def run_as_printed(text, folder):
    """Runs every command of a summary's next steps, in their order; those for mongosh by the driver where there is none."""
    steps = text.replace("\\\n", " ").split("\nNext:\n")[1]
    commands = [line.strip() for line in steps.splitlines() if line.startswith("     ")]
    for command in commands:
        if command.startswith("db.adminCommand("):
            rename_as_printed(command)
        elif command.startswith("db."):
            drop_as_printed(command)
        else:
            shell(command, folder)
    return len(commands)


def drop_as_printed(line):
    """Runs the command that drops a collection; by the driver where there is no mongosh."""
    if harness.MONGOSH:
        harness.mongosh(DB, line)
        return
    names = re.fullmatch(r'db\.getSiblingDB\("(.*?)"\)\.(?:getCollection\("(.*)"\)|(\w+))\.drop\(\)', line)
    harness.client()[names[1]].drop_collection(names[2] or names[3])


def load():
    """A server that holds the source collection and another one, and nothing of an earlier test."""
    for database in (DB, OTHER):
        harness.client().drop_database(database)
    database = harness.client()[DB]
    database["user_data"].insert_many(generate.user_data())
    database["user_data"].create_index("user_id")
    database["user_data"].create_index("created_at")
    database["users"].insert_many({"_id": number} for number in range(60))


def indexes(database, collection):
    found = harness.client()[database][collection].index_information()
    return {name: (index["key"], index.get("unique", False)) for name, index in found.items()}


def by_id(documents):
    return {bson.encode({"_id": bson.decode(document)["_id"]}): document for document in documents}


class EndToEnd(unittest.TestCase):
    """A loaded server, its dump and that dump transformed."""

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="mongosplit e2e ")  # a name that needs quoting
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        load()
        cls.dump = cls.folder / "dump"
        harness.dump(DB, cls.dump)
        cls.source = dumpformat.read(cls.dump)[f"{DB}.user_data"]
        cls.out = cls.folder / "out"
        cls.summary = mongosplit("transform", cls.dump, cls.out).stdout.decode()

    def assert_same_documents(self, found, expected):
        """The same documents, byte for byte, in any order."""
        self.assertEqual(len(found), len(expected))
        found, expected = by_id(found), by_id(expected)
        self.assertEqual(found.keys(), expected.keys())
        for key in expected:
            if found[key] != expected[key]:
                self.fail(f"{bson.decode(found[key])}\nis not\n{bson.decode(expected[key])}")

    def assert_same_dump(self, found, expected):
        """The same collections, their documents byte for byte in the same order."""
        self.assertEqual(found.keys(), expected.keys())
        for name in expected:
            self.assertEqual(found[name].metadata, expected[name].metadata)
            if found[name].documents != expected[name].documents:
                self.fail(f"the documents of {name} differ")

    def assert_restored(self, out):
        """The server holds what the output does, no more and no less."""
        collections = dumpformat.read(out)
        self.assertEqual(set(collections), {f"{DB}.{target}" for target in TARGETS})
        for target in TARGETS:
            with self.subTest(target):
                self.assert_same_documents(
                    harness.stored(DB, target), collections[f"{DB}.{target}"].documents
                )
                self.assertEqual(indexes(DB, target), INDEXES[target])
