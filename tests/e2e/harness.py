"""A server, and mongodump and mongorestore: the real ones where both are on PATH, else stand-ins.

`python harness.py mongodump …` and `python harness.py mongorestore …` are the stand-ins. They take
the options that the tests and mongosplit's summaries use, and do what the real ones do: raw
documents in the server's order, the same files; indexes from the metadata, after the documents.
"""

import argparse
import atexit
import functools
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bson import json_util
from bson.raw_bson import DEFAULT_RAW_BSON_OPTIONS, RawBSONDocument
from pymongo import MongoClient
from pymongo.errors import BulkWriteError

import dumpformat

ROOT = Path(__file__).resolve().parents[2]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target")).resolve()
CACHE = TARGET / "e2e"
REAL_TOOLS = all(shutil.which(tool) for tool in ("mongodump", "mongorestore"))
TIMEOUT = 60
# The real mongosh where `run` could install it, else nothing: it has no stand-in.
MONGOSH = os.environ.get("MONGOSH")


class ToolFailed(Exception):
    """mongodump or mongorestore exited with a failure."""


@functools.cache
def server_uri():
    """The server that MONGODB_URI names, else a mongo-java-server of our own, started once."""
    if uri := os.environ.get("MONGODB_URI"):
        return uri
    command = ["java", "-cp", f"{CACHE}/lib/*", str(Path(__file__).with_name("Server.java"))]
    with open(CACHE / "server.log", "wb") as log:
        server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)
    atexit.register(server.communicate)
    port = server.stdout.readline().strip()
    if not port:
        raise RuntimeError(f"the server did not start: see {log.name}")
    return f"mongodb://127.0.0.1:{int(port)}/"


@functools.cache
def client():
    return MongoClient(server_uri())


def raw(collection):
    """A collection that takes and gives documents as bytes (`.raw`)."""
    return collection.with_options(codec_options=DEFAULT_RAW_BSON_OPTIONS)


def stored(database, collection):
    """Every document of a collection, as the server holds it."""
    return [document.raw for document in raw(client()[database][collection]).find()]


def tool_command(tool):
    return [tool] if REAL_TOOLS else [sys.executable, __file__, tool]


def dump(database, out, *options):
    """`mongodump` of one database into a directory."""
    run_tool("mongodump", "--db", database, "--out", str(out), *options)


def dump_archive(database, file, *options):
    """`mongodump` of one database into an archive."""
    run_tool("mongodump", "--db", database, f"--archive={file}", *options)


def restore(*arguments, stdin=None):
    """`mongorestore` with the arguments given; the numbers of documents restored and failed."""
    said = run_tool("mongorestore", *arguments, stdin=stdin)
    counts = re.search(r"(\d+) document\(s\) restored successfully. (\d+) document\(s\) failed", said)
    return int(counts[1]), int(counts[2])


def run_tool(tool, *arguments, stdin=None):
    """What a tool said."""
    command = [*tool_command(tool), f"--uri={server_uri()}", *arguments]
    done = subprocess.run(command, input=stdin, capture_output=True, timeout=TIMEOUT)
    said = done.stderr.decode()
    if done.returncode:
        raise ToolFailed(f"{shlex.join(command)}\nexit {done.returncode}\n{said}")
    return said


def shell(script, mongosplit, folder):
    """What bash makes of a script in a folder; mongosplit and the mongo tools in it talk to the server."""
    path = f"{commands(mongosplit)}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "MONGODB_URI": server_uri()}
    return subprocess.run(["bash", "-c", script], cwd=folder, env=environment, capture_output=True, timeout=TIMEOUT)


@functools.cache
def commands(mongosplit):
    """A directory with the commands that users type, the server's address added if they name none."""
    folder = tempfile.TemporaryDirectory(prefix="mongosplit-e2e-commands-")
    atexit.register(folder.cleanup)
    write_command(folder.name, "mongosplit", [str(mongosplit)])
    for tool in ("mongodump", "mongorestore"):
        command, uri = shlex.join(tool_path(tool)), shlex.quote(f"--uri={server_uri()}")
        named = f'case " $* " in *" --uri "*) exec {command} "$@" ;; esac'
        write_script(folder.name, tool, f'{named}\nexec {command} {uri} "$@"')
    return folder.name


def tool_path(tool):
    """As `tool_command`, for a directory that comes first in PATH."""
    return [shutil.which(tool)] if REAL_TOOLS else tool_command(tool)


def write_command(folder, name, command):
    """A command of this name in a folder, which takes more arguments."""
    write_script(folder, name, f'exec {shlex.join(command)} "$@"')


def write_script(folder, name, script):
    """A command of this name in a folder."""
    path = Path(folder, name)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def mongosh(database, *lines):
    """What the real mongosh prints for lines that are typed into it; a line that fails is a failure."""
    with tempfile.TemporaryDirectory() as home:
        settings = Path(home, ".mongodb", "mongosh", "config")
        settings.parent.mkdir(parents=True)
        settings.write_text('{"enableTelemetry":false,"disableLogging":true}')
        command = [MONGOSH, "--quiet", "--norc", server_uri()]
        for line in (f"db = db.getSiblingDB({json.dumps(database)})", *lines):
            command += ["--eval", line]
        done = subprocess.run(command, env=os.environ | {"HOME": home}, capture_output=True, timeout=TIMEOUT)
    if done.returncode:
        raise ToolFailed(f"{shlex.join(command)}\nexit {done.returncode}\n{(done.stdout + done.stderr).decode()}")
    return done.stdout.decode()


def mongodump(arguments):
    server = MongoClient(arguments.uri)
    database = server[arguments.db]
    found = {}
    for collection in sorted(database.list_collection_names()):
        if arguments.collection not in (None, collection):
            continue
        indexes = database.command("listIndexes", collection)["cursor"]["firstBatch"]
        metadata = {"indexes": indexes, "collectionName": collection, "type": "collection"}
        found[f"{arguments.db}.{collection}"] = dumpformat.Collection(
            json_util.dumps(metadata, json_options=json_util.CANONICAL_JSON_OPTIONS, separators=(",", ":")),
            [document.raw for document in raw(database[collection]).find()],
        )
    version = server.server_info()["version"]
    if arguments.archive is None:
        dumpformat.write_directory(found, arguments.out, version, arguments.gzip)
        return 0
    archive = dumpformat.write_archive(found, version)
    if arguments.gzip:
        archive = dumpformat.gzip.compress(archive, mtime=0)
    # not by sys.stdout: where Python runs unbuffered, it may write a part only
    with open(1 if arguments.archive == "-" else arguments.archive, "wb") as file:
        file.write(archive)
    return 0


def mongorestore(arguments):
    server = MongoClient(arguments.uri)
    renames = dict(zip(arguments.nsFrom, arguments.nsTo, strict=True))
    restored = failed = 0
    for namespace, collection in read_dump(arguments).items():
        if arguments.nsInclude and namespace not in arguments.nsInclude:
            continue
        database, _, name = renames.get(namespace, namespace).partition(".")
        target = server[database][name]
        if arguments.drop:
            target.drop()
        metadata = json_util.loads(collection.metadata)
        if name not in server[database].list_collection_names():
            server[database].create_collection(name, **metadata.get("options", {}))
        failures = insert(target, collection.documents, arguments.stopOnError)
        restored += len(collection.documents) - failures
        failed += failures
        if failures and arguments.stopOnError:
            break
        indexes = [index for index in metadata["indexes"] if index["name"] != "_id_"]
        if indexes:
            server[database].command("createIndexes", name, indexes=indexes)
    print(
        f"{restored} document(s) restored successfully. {failed} document(s) failed to restore.",
        file=sys.stderr,
    )
    return 1 if failed and arguments.stopOnError else 0


def read_dump(arguments):
    """The dump that mongorestore was pointed at: plain or gzip as the options say, nothing else."""
    if arguments.archive is None:
        gzipped = any(Path(arguments.directory).glob("*/*.bson.gz"))
        found = dumpformat.read_directory(arguments.directory)
    else:
        from_stdin = arguments.archive == "-"
        data = sys.stdin.buffer.read() if from_stdin else Path(arguments.archive).read_bytes()
        gzipped = data[:2] == b"\x1f\x8b"
        found = dumpformat.read_archive(dumpformat.gunzip(data) if gzipped else data)
    if gzipped != arguments.gzip:
        sys.exit("the dump is gzip and --gzip is not given, or the other way round")
    return found


def insert(collection, documents, stop):
    """Inserts raw documents, in order; the number that the server did not take."""
    try:
        if documents:
            raw(collection).insert_many(map(RawBSONDocument, documents), ordered=stop)
        return 0
    except BulkWriteError as error:
        # not from nInserted: mongo-java-server counts the refused ones in
        refused = error.details["writeErrors"]
        return len(documents) - refused[0]["index"] if stop else len(refused)


def parse(argv):
    parser = argparse.ArgumentParser(allow_abbrev=False)
    tools = parser.add_subparsers(required=True)
    for tool in (mongodump, mongorestore):
        command = tools.add_parser(tool.__name__, allow_abbrev=False)
        command.set_defaults(tool=tool)
        command.add_argument("--uri", required=True)
        command.add_argument("--gzip", action="store_true")
        command.add_argument("--archive")
        if tool is mongodump:
            command.add_argument("--db", required=True)
            command.add_argument("--collection")
            command.add_argument("--out")
        else:
            command.add_argument("directory", nargs="?", default="dump")
            command.add_argument("--stopOnError", action="store_true")
            command.add_argument("--drop", action="store_true")
            command.add_argument("-j", type=int, help="taken, but collections are restored one by one")
            for option in ("--nsInclude", "--nsFrom", "--nsTo"):
                command.add_argument(option, action="append", default=[])
    # a bare --archive takes no value from the next word: it means the standard stream
    return parser.parse_args(["--archive=-" if word == "--archive" else word for word in argv])


if __name__ == "__main__":
    arguments = parse(sys.argv[1:])
    os._exit(arguments.tool(arguments))  # at once: the driver's threads would take half a second to end
