"""What mongodump writes, read and written: a directory or an archive, plain or gzip.

This is the second reader of what mongosplit writes. It knows the format from mongo-tools'
source alone and is strict: what a sound dump does not have is a FormatError.
"""

import gzip
import json
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

import bson

MAGIC = bytes.fromhex("6de29981")
TERMINATOR = b"\xff\xff\xff\xff"
MAX_DOCUMENT = 16 * 1024 * 1024

# The fields of an archive's three kinds of header, in their order (a BSON int32 decodes to int).
ARCHIVE = {"concurrent_collections": int, "version": str, "server_version": str, "tool_version": str}
COLLECTION = {"db": str, "collection": str, "metadata": str, "size": int, "type": str}
BLOCK = {"db": str, "collection": str, "EOF": bool, "CRC": bson.Int64}


class FormatError(ValueError):
    """The input is not a sound dump."""


@dataclass
class Collection:
    metadata: str
    documents: list[bytes] = field(default_factory=list)


# A dump: its collections by namespace ("database.collection").
Dump = dict[str, Collection]


def require(condition, message):
    if not condition:
        raise FormatError(message)


def documents(data):
    """The documents of a .bson file."""
    found, at = [], 0
    while at < len(data):
        document, at = next_item(data, at)
        require(document is not None, "an archive's terminator in a .bson file")
        found.append(document)
    return found


def next_item(data, at):
    """The document at an offset (None for a terminator) and the offset behind it."""
    if data[at : at + 4] == TERMINATOR:
        return None, at + 4
    end = at + int.from_bytes(data[at : at + 4], "little")
    require(5 <= end - at <= MAX_DOCUMENT, f"no document's length at {at}")
    require(end <= len(data), f"the document at {at} is cut short")
    require(data[end - 1] == 0, f"the document at {at} does not end in a zero byte")
    return data[at:end], end


def read(path):
    """The dump at a path, told apart by content."""
    path = Path(path)
    if path.is_dir():
        return read_directory(path)
    data = path.read_bytes()
    return read_archive(gunzip(data) if data[:2] == b"\x1f\x8b" else data)


def read_directory(root):
    """A dump directory: each directory in it is a database, a file beside them is none."""
    dump = {}
    for database in sorted(path for path in Path(root).iterdir() if path.is_dir()):
        parts = {}
        for path in database.iterdir():
            name, data = path.name, path.read_bytes()
            if name.endswith(".gz"):
                name, data = name.removesuffix(".gz"), gunzip(data)
            if name != "prelude.json":
                kind = "bson" if name.endswith(".bson") else "metadata.json"
                require(name.endswith(f".{kind}"), f"{path} is no part of a dump")
                collection = name.removesuffix(f".{kind}")
                require((collection, kind) not in parts, f"{path} is there twice")
                parts[unquote(collection), kind] = data
        for name in sorted({collection for collection, _ in parts}):
            for kind in ("bson", "metadata.json"):
                require((name, kind) in parts, f"{database}/{name}.{kind} is missing")
            metadata = parts[name, "metadata.json"].decode()
            check_metadata(metadata, name)
            dump[f"{database.name}.{name}"] = Collection(metadata, documents(parts[name, "bson"]))
    return dump


def read_archive(data):
    """An archive, with every rule that mongorestore relies on."""
    require(data[:4] == MAGIC, "no archive: wrong magic number")
    at = len(MAGIC)
    archive, at = next_header(data, at, ARCHIVE)
    require(archive["version"] == "0.1", "unknown archive version")
    dump = {}
    while data[at : at + 4] != TERMINATOR:
        header, at = next_header(data, at, COLLECTION)
        check_metadata(header["metadata"], header["collection"])
        require(header["size"] == 0, "mongodump writes size 0")
        require(namespace(header) not in dump, f"{namespace(header)} is listed twice")
        dump[namespace(header)] = Collection(header["metadata"])
    at += len(TERMINATOR)

    is_open, closed = set(), set()
    while at < len(data):
        header, at = next_header(data, at, BLOCK)
        name = namespace(header)
        require(name in dump, f"a block of {name}, which is not listed")
        require(name not in closed, f"a block of {name} behind its end")
        is_open.add(name)
        # mongorestore hangs for ever where more are open than the header promises
        require(len(is_open) <= archive["concurrent_collections"], "concurrent_collections is too small")
        document, at = next_item(data, at)
        while document is not None:
            require(not header["EOF"], f"a document in the closing block of {name}")
            dump[name].documents.append(document)
            document, at = next_item(data, at)
        checksum = crc64(b"".join(dump[name].documents)) if header["EOF"] else 0
        require(header["CRC"] % 2**64 == checksum, f"wrong CRC of {name}")
        if header["EOF"]:
            is_open.remove(name)
            closed.add(name)
    require(closed == set(dump), f"never closed: {set(dump) - closed}")
    return dump


def next_header(data, at, shape):
    document, at = next_item(data, at)
    require(document is not None, f"a terminator in place of a header before {at}")
    fields = bson.decode(document)
    found = [(name, type(value)) for name, value in fields.items()]
    require(found == list(shape.items()), f"unexpected fields in a header: {found}")
    require(bson.encode(fields) == document, "a field twice in a header")
    return fields, at


def namespace(header):
    return f"{header['db']}.{header['collection']}"


def check_metadata(metadata, collection):
    fields = json.loads(metadata)
    require(fields["collectionName"] == collection, f"metadata of another collection than {collection}")
    require(isinstance(fields["indexes"], list), f"the metadata of {collection} has no indexes")


def gunzip(data):
    """All members of a gzip file; zero bytes, a cut member and anything behind the last are refused."""
    plain = b""
    require(data, "zero bytes are no gzip file")
    while data:
        member = zlib.decompressobj(wbits=31)
        try:
            plain += member.decompress(data)
        except zlib.error as error:
            raise FormatError(f"bad gzip member: {error}") from error
        require(member.eof, "a gzip member is cut short")
        data = member.unused_data
    return plain


def write_directory(dump, root, server_version, compress=False):
    """Writes what `mongodump --db` writes for the databases of a dump."""
    prelude = json.dumps({"ServerVersion": server_version, "ToolVersion": "harness"})
    for name, collection in dump.items():
        database, _, stem = name.partition(".")
        stem = quote(stem, safe="")
        files = {
            f"{stem}.bson": b"".join(collection.documents),
            f"{stem}.metadata.json": collection.metadata.encode(),
            "prelude.json": prelude.encode(),
        }
        directory = Path(root, database)
        directory.mkdir(parents=True, exist_ok=True)
        for file, data in files.items():
            if compress:
                file, data = f"{file}.gz", gzip.compress(data, mtime=0)
            (directory / file).write_bytes(data)


def write_archive(dump, server_version, segment=40):
    """An archive whose collections interleave, `segment` documents at a time."""
    parts = [MAGIC, bson.encode({
        "concurrent_collections": len(dump),
        "version": "0.1",
        "server_version": server_version,
        "tool_version": "harness",
    })]
    names = {name: dict(zip(("db", "collection"), name.split(".", 1))) for name in dump}
    for name, collection in dump.items():
        parts.append(bson.encode({
            **names[name], "metadata": collection.metadata, "size": 0, "type": "collection",
        }))
    parts.append(TERMINATOR)
    longest = max((len(collection.documents) for collection in dump.values()), default=0)
    for start in range(0, longest + segment, segment):
        for name, collection in dump.items():
            block = collection.documents[start : start + segment]
            if block:
                parts += [bson.encode({**names[name], "EOF": False, "CRC": bson.Int64(0)}), *block, TERMINATOR]
            elif start < len(collection.documents) + segment:
                crc = crc64(b"".join(collection.documents))
                signed = bson.Int64(crc - 2**64 if crc >= 2**63 else crc)
                parts += [bson.encode({**names[name], "EOF": True, "CRC": signed}), TERMINATOR]
    return b"".join(parts)


def crc64(data):
    """CRC-64/XZ."""
    crc = 2**64 - 1
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    return crc ^ (2**64 - 1)


def crc_table_entry(byte):
    for _ in range(8):
        byte = byte >> 1 ^ (0xC96C5795D7870F42 if byte & 1 else 0)
    return byte


CRC_TABLE = [crc_table_entry(byte) for byte in range(256)]
