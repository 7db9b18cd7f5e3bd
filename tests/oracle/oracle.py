"""A second, independent reading of MAPPING.md, on raw BSON and byte exact.

`map_document(raw)` gives the documents that `transform` has to write for one `user_data` document,
`Restorability().refusals(raw, outputs)` the reasons for which a server would refuse them.
Nothing is decoded that no rule converts; nothing recurses. Not fast, and not meant to be.
"""

import hashlib
import re
import struct
from datetime import date
from typing import NamedTuple

DOUBLE, STRING, DOCUMENT, ARRAY, BINARY, UNDEFINED, OBJECT_ID = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07
BOOL, DATE, NULL, REGEX, DBPOINTER, CODE, SYMBOL, CODE_W_SCOPE = 0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0D, 0x0E, 0x0F
INT32, TIMESTAMP, INT64, DECIMAL128, MAXKEY, MINKEY = 0x10, 0x11, 0x12, 0x13, 0x7F, 0xFF

FIXED_SIZE = {DOUBLE: 8, UNDEFINED: 0, OBJECT_ID: 12, BOOL: 1, DATE: 8, NULL: 0, INT32: 4, TIMESTAMP: 8,
              INT64: 8, DECIMAL128: 16, MAXKEY: 0, MINKEY: 0}


class Malformed(ValueError):
    """The bytes are not a BSON document."""


class Value(NamedTuple):
    type: int
    data: bytes


# ---- reading ----

def int32(buf, pos):
    if pos + 4 > len(buf):
        raise Malformed(f"a length at byte {pos} is cut off")
    return struct.unpack_from("<i", buf, pos)[0]


def value_end(buf, kind, pos):
    """Where the value of type `kind` that starts at `pos` ends."""
    if kind in FIXED_SIZE:
        return pos + FIXED_SIZE[kind]
    if kind in (STRING, CODE, SYMBOL):
        return pos + 4 + int32(buf, pos)
    if kind in (DOCUMENT, ARRAY, CODE_W_SCOPE):
        return pos + int32(buf, pos)
    if kind == BINARY:
        return pos + 5 + int32(buf, pos)
    if kind == DBPOINTER:
        return pos + 4 + int32(buf, pos) + 12
    if kind == REGEX:
        return buf.index(0, buf.index(0, pos) + 1) + 1
    raise Malformed(f"byte {pos}: unknown type 0x{kind:02x}")


def fields(doc):
    """The (key, value) pairs of a document or array, in order, duplicates included."""
    if len(doc) < 5 or int32(doc, 0) != len(doc) or doc[-1] != 0:
        raise Malformed("length or end of a document is wrong")
    pairs, pos, last = [], 4, len(doc) - 1
    while pos < last:
        kind = doc[pos]
        key_end = doc.index(0, pos + 1)
        end = value_end(doc, kind, key_end + 1)
        if not key_end < end <= last:
            raise Malformed(f"the value at byte {key_end + 1} leaves its document")
        pairs.append((doc[pos + 1:key_end], Value(kind, doc[key_end + 1:end])))
        pos = end
    return pairs


def first(pairs):
    """Fields by name; the first occurrence counts."""
    found = {}
    for key, value in pairs:
        found.setdefault(key, value)
    return found


def members(value):
    """The first occurrences of a document's fields; none of any other value."""
    return first(fields(value.data)) if is_a(value, DOCUMENT) else {}


def items(value):
    return [item for _, item in fields(value.data)]


def depth(doc):
    """Levels of nesting: the document itself is 1; documents, arrays and code scopes in it add one each."""
    deepest, todo = 0, [(1, doc)]
    while todo:
        level, doc = todo.pop()
        deepest = max(deepest, level)
        for _, (kind, data) in fields(doc):
            if kind in (DOCUMENT, ARRAY):
                todo.append((level + 1, data))
            elif kind == CODE_W_SCOPE:
                todo.append((level + 1, data[8 + int32(data, 4):]))
    return deepest


def is_a(value, kind):
    return value is not None and value.type == kind


def empty(value):
    return value is None or value.type == NULL


# ---- writing ----

def build(pairs):
    """A document of (key, value) pairs; a value None means an absent field."""
    body = b"".join(bytes([v.type]) + key + b"\0" + v.data for key, v in pairs if v is not None)
    return struct.pack("<i", len(body) + 5) + body + b"\0"


def document(pairs=()):
    return Value(DOCUMENT, build(pairs))


def array(values=()):
    return Value(ARRAY, build((str(i).encode(), value) for i, value in enumerate(values)))


def string(text):
    return Value(STRING, struct.pack("<i", len(text) + 1) + text + b"\0")


def text_of(value):
    return value.data[4:-1]


NOTHING = Value(NULL, b"")
TRUE, FALSE = Value(BOOL, b"\1"), Value(BOOL, b"\0")
VERSION = string(b"1.0.0")


# ---- the mapping: documents ----

ALWAYS_READ = set(b"""
    _id user_id dataset_id filename original_filename file_type file_path s3_url row_count num_rows num_columns columns data_schema
    schema statistics quality_report data_preview aiSummary contains_pii pii_report pii_risk_level pii_masked is_processed
    processed_at onboarding_progress created_at updated_at transformation_history""".split())
MODEL_COPIES = b"""description problem_type algorithm feature_config training_config model_path model_file_url
    feature_transformer_path model_size trained_at tags notes""".split()
MODEL_READ = {*MODEL_COPIES, b"model_name", b"hyperparameters", b"training_metrics", b"model_status"}
DATASET_FIELDS = set(b"""
    _id user_id dataset_id filename original_filename file_type file_path s3_url file_size num_rows num_columns columns
    data_schema schema statistics quality_report data_preview aiSummary pii_report is_processed processed_at
    onboarding_progress created_at updated_at version parent_dataset_id""".split())
# What the new model names; it finds anything else in its `additional_` document only.
HYPERPARAMETERS = set(b"n_estimators max_depth learning_rate random_state".split())
METRICS = set(b"cv_score test_score accuracy precision recall f1_score roc_auc rmse mae r2_score confusion_matrix".split())


def map_document(raw):
    """The target documents by collection name; `model_configs` only where the document holds a model."""
    pairs = fields(raw)
    source = first(pairs)
    with_model = has_model(source)
    read = ALWAYS_READ | (MODEL_READ if with_model else set())
    others = [(key, value) for key, value in pairs if key not in read and key not in DATASET_FIELDS]
    outputs = {"dataset_metadata": build(dataset_metadata(source) + others),
               "transformation_configs": build(transformation_config(source))}
    if with_model:
        outputs["model_configs"] = build(model_config(source))
    return outputs


def has_model(source):
    return not all(empty(source.get(name)) for name in (b"algorithm", b"hyperparameters", b"training_metrics"))


def or_when_empty(value, default):
    return default if empty(value) else value


def or_when_absent(value, default):
    return default if value is None else value


def dataset_metadata(source):
    get = source.get
    null_when_absent = lambda name: or_when_absent(get(name), NOTHING)
    return [
        (b"_id", get(b"_id")),
        (b"user_id", get(b"user_id")),
        (b"dataset_id", key_of(source)),
        (b"filename", get(b"filename")),
        (b"original_filename", or_when_empty(get(b"original_filename"), get(b"filename"))),
        (b"file_type", or_when_empty(get(b"file_type"), string(b"csv"))),
        (b"file_path", or_when_empty(get(b"file_path"), default_path(source))),
        (b"s3_url", get(b"s3_url")),
        (b"file_size", NOTHING),
        (b"num_rows", first_set(source, b"row_count", b"num_rows")),
        (b"num_columns", get(b"num_columns")),
        (b"columns", columns(source)),
        (b"data_schema", each(get(b"data_schema"), schema_field)),
        (b"schema", null_when_absent(b"schema")),
        (b"statistics", null_when_absent(b"statistics")),
        (b"quality_report", null_when_absent(b"quality_report")),
        (b"data_preview", null_when_absent(b"data_preview")),
        (b"aiSummary", null_when_absent(b"aiSummary")),
        (b"pii_report", pii_report(source)),
        (b"is_processed", or_when_empty(get(b"is_processed"), FALSE)),
        (b"processed_at", null_when_absent(b"processed_at")),
        (b"onboarding_progress", null_when_absent(b"onboarding_progress")),
        (b"created_at", get(b"created_at")),
        (b"updated_at", get(b"updated_at")),
        (b"version", VERSION),
        (b"parent_dataset_id", NOTHING),
    ]


def transformation_config(source):
    get = source.get
    history = get(b"transformation_history")
    count = len(items(history)) if is_a(history, ARRAY) else 0
    return [
        (b"_id", get(b"_id")),
        (b"user_id", get(b"user_id")),
        (b"dataset_id", key_of(source)),
        (b"config_id", key_of(source, b"_config")),
        (b"transformation_steps", each(history, lambda item: step(item, get(b"updated_at")))),
        (b"current_file_path", or_when_absent(get(b"file_path"), NOTHING)),
        (b"is_applied", TRUE if count else FALSE),
        (b"applied_at", or_when_absent(get(b"updated_at"), NOTHING) if count else NOTHING),
        (b"validation_result", NOTHING),
        (b"last_validated_at", NOTHING),
        (b"last_preview", NOTHING),
        (b"total_transformations", Value(INT32, struct.pack("<i", count))),
        (b"total_data_loss", Value(DOUBLE, struct.pack("<d", 0.0))),
        (b"created_at", get(b"created_at")),
        (b"updated_at", get(b"updated_at")),
        (b"version", VERSION),
        (b"parent_config_id", NOTHING),
    ]


def model_config(source):
    get = source.get
    return [
        (b"_id", get(b"_id")),
        (b"user_id", get(b"user_id")),
        (b"dataset_id", key_of(source)),
        (b"model_id", key_of(source, b"_model")),
        (b"name", first_set(source, b"model_name", b"original_filename", b"filename")),
        *((name, get(name)) for name in MODEL_COPIES),
        (b"hyperparameters", gathered(or_when_empty(get(b"hyperparameters"), document()), HYPERPARAMETERS, b"additional_params")),
        (b"performance_metrics", gathered(get(b"training_metrics"), METRICS, b"additional_metrics")),
        (b"status", or_when_empty(get(b"model_status"), string(b"trained"))),
        (b"version", VERSION),
        (b"is_active", TRUE),
        (b"created_at", get(b"created_at")),
        (b"updated_at", get(b"updated_at")),
    ]


# ---- the mapping: single fields ----

def dataset_id_text(id_value):
    kind, data = id_value
    if kind == OBJECT_ID:
        return data.hex().encode()
    if kind == STRING:
        return text_of(id_value)
    if kind in (INT32, INT64):
        return b"%d" % int.from_bytes(data, "little", signed=True)
    if kind == DOUBLE:
        number = struct.unpack("<d", data)[0]
        if abs(number) <= 2 ** 53 and number.is_integer():
            return b"%d" % int(number)
    if kind == BINARY and int32(data, 0) == 16 and data[4] in (3, 4):
        digits = data[5:].hex()
        return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])).encode()
    rest = data.hex() if len(data) <= 256 else "sha256:" + hashlib.sha256(data).hexdigest()
    return f"bson:{kind:02x}:{rest}".encode()


def key_text(source):
    """The text of `dataset_id`: the source's own, else from its `_id`; None without either."""
    own, id_value = source.get(b"dataset_id"), source.get(b"_id")
    if is_a(own, STRING):
        return text_of(own)
    return None if id_value is None else dataset_id_text(id_value)


def key_of(source, suffix=b""):
    text = key_text(source)
    return None if text is None else string(text + suffix)


def default_path(source):
    user, filename = source.get(b"user_id"), source.get(b"filename")
    if is_a(user, STRING) and is_a(filename, STRING):
        return string(b"datasets/" + text_of(user) + b"/" + text_of(filename))
    return NOTHING


def first_set(source, *names):
    return next((source[name] for name in names if not empty(source.get(name))), NOTHING)


def columns(source):
    own = source.get(b"columns")
    if not empty(own) and not (own.type == ARRAY and not items(own)):
        return own
    schema = source.get(b"data_schema")
    names = [members(item).get(b"field_name") for item in items(schema)] if is_a(schema, ARRAY) else []
    return array(name for name in names if name is not None)


def each(value, convert):
    if empty(value):
        return array()
    if value.type != ARRAY:
        return value
    return array(convert(item) if item.type == DOCUMENT else item for item in items(value))


def with_defaults(pairs, defaults):
    held = {key for key, _ in pairs}
    return document(pairs + [(key, value) for key, value in defaults if key not in held])


def schema_field(item):
    return with_defaults(fields(item.data), [(b"data_type", NOTHING), (b"example_values", array()),
                                             (b"is_constant", FALSE), (b"is_high_cardinality", FALSE)])


def gathered(value, named, name):
    """A document with its fields that are not `named` behind those of its document `name`; any other value as it is."""
    if not is_a(value, DOCUMENT):
        return value
    pairs = fields(value.data)
    own = first(pairs).get(name)
    others = [(key, other) for key, other in pairs if key not in named and key != name]
    if not others or not empty(own) and own.type != DOCUMENT:
        return value  # there is nothing to gather, or nowhere to put it
    inside = fields(own.data) if is_a(own, DOCUMENT) else []
    taken = {key for key, _ in inside}
    whole = document(inside + [(key, other) for key, other in others if key not in taken])
    written, done = [], False
    for key, kept in pairs:
        if key == name and not done:
            written.append((name, whole))
            done = True
        elif key in named or key == name:  # a later occurrence is copied as it stands
            written.append((key, kept))
    return document(written if done else [*written, (name, whole)])


def pii_report(source):
    report = source.get(b"pii_report")
    return document([
        (b"contains_pii", or_when_empty(source.get(b"contains_pii"), FALSE)),
        (b"pii_fields", pii_fields(members(report))),
        (b"risk_level", or_when_empty(source.get(b"pii_risk_level"), string(b"low"))),
        (b"detection_details", or_when_empty(report, document())),
        (b"masked", or_when_empty(source.get(b"pii_masked"), FALSE)),
        (b"masked_at", NOTHING),
    ])


def pii_fields(report):
    named, detections = report.get(b"fields"), report.get(b"detections")
    if is_a(named, ARRAY) and all(item.type == STRING for item in items(named)):
        return named
    if is_a(detections, ARRAY):
        found = [members(item).get(b"column") for item in items(detections)]
        if all(is_a(column, STRING) for column in found):
            return array(found)
    return array()


# ---- the mapping: steps ----

RENAMED = {b"type": b"transformation_type", b"timestamp": b"applied_at", b"affected_rows": b"rows_affected"}
IMPUTE = set(b"impute_mean impute_median impute_mode impute_forward impute_backward".split())
DERIVE = set(b"""trim_whitespace fix_casing remove_special_chars standardize_format to_numeric to_string to_datetime to_boolean
    extract_date_parts calculate_age create_cyclical formula conditional regex_replace""".split())
TRANSLATED = {b"remove_duplicates": b"drop_duplicates", **dict.fromkeys(IMPUTE, b"impute"), **dict.fromkeys(DERIVE, b"derive")}


def step(item, updated_at):
    pairs = fields(item.data)
    own = first(pairs)
    legacy = None  # the original type, where the parameters have to remember it
    if b"transformation_type" not in own and is_a(own.get(b"type"), STRING) and text_of(own[b"type"]) in IMPUTE | DERIVE:
        legacy = own[b"type"]

    written, seen = [], set()
    for key, value in pairs:
        if key not in seen:  # a later occurrence is copied as it stands
            seen.add(key)
            new_key = RENAMED.get(key, key)
            if new_key != key and new_key not in own:
                key = new_key
                if key == b"transformation_type":
                    value = translated(value)
            if key == b"applied_at":
                value = date_of(value)
            elif key == b"parameters":
                value = parameters(value, legacy)
        written.append((key, value))

    inside = members(own.get(b"parameters"))
    column, several = inside.get(b"column"), inside.get(b"columns")
    return with_defaults(written, [
        (b"transformation_type", string(b"unknown")),
        (b"column", column if is_a(column, STRING) else NOTHING),
        (b"columns", several if is_a(several, ARRAY) else NOTHING),
        (b"parameters", parameters(None, legacy)),
        (b"applied_at", updated_at),
        (b"is_valid", TRUE),
        (b"validation_errors", array()),
        (b"rows_affected", NOTHING),
        (b"data_loss_percentage", NOTHING),
    ])


def translated(value):
    if value.type == STRING and text_of(value) in TRANSLATED:
        return string(TRANSLATED[text_of(value)])
    return value


def parameters(value, legacy):
    value = or_when_empty(value, document())
    if legacy is None or value.type != DOCUMENT or b"legacy_type" in members(value):
        return value
    return document(fields(value.data) + [(b"legacy_type", legacy)])


ISO = re.compile(rb"([0-9]{4})-([0-9]{2})-([0-9]{2})"
                 rb"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?(?:Z|([+-])([0-9]{2}):?([0-9]{2}))?)?")


def date_of(value):
    """ISO text as a date; any other value as it is."""
    match = ISO.fullmatch(text_of(value)) if value.type == STRING else None
    if match is None:
        return value
    year, month, day, hour, minute, second, _, _, off_hour, off_minute = (
        int(group) if group and group.isdigit() else 0 for group in match.groups())
    if hour > 23 or minute > 59 or second > 59 or off_hour > 23 or off_minute > 59:
        return value
    try:
        days = date(year, month, day).toordinal() - date(1970, 1, 1).toordinal()
    except ValueError:
        return value
    offset = (off_hour * 60 + off_minute) * (-1 if match[8] == b"-" else 1)
    minutes = (days * 24 + hour) * 60 + minute - offset
    millis = int((match[7] or b"").ljust(3, b"0")[:3])
    return Value(DATE, struct.pack("<q", (minutes * 60 + second) * 1000 + millis))


# ---- what a server would refuse ----

MAX_BYTES, MAX_DEPTH = 16_777_216, 180


class Restorability:
    """Asked about every document in source order, as the unique index needs the earlier ones.

    `key` gives the text that the unique indexes hold, from a source document's fields; None without any."""

    def __init__(self, key=key_text):
        self.key, self.taken = key, set()

    def refusals(self, raw, outputs):
        """Why a server would refuse the document's targets; empty where it would not."""
        source = first(fields(raw))
        id_value = source.get(b"_id")
        reasons = []
        if id_value is None:
            reasons.append("no _id")
        elif id_value.type in (ARRAY, REGEX, UNDEFINED):
            reasons.append(f"_id of type 0x{id_value.type:02x}")
        if is_a(source.get(b"user_id"), ARRAY) and is_a(source.get(b"created_at"), ARRAY):
            reasons.append("user_id and created_at, one index, are both arrays")
        for target, doc in outputs.items():
            if len(doc) > MAX_BYTES:
                reasons.append(f"{target} has {len(doc)} bytes")
            if depth(doc) > MAX_DEPTH:
                reasons.append(f"{target} is nested {depth(doc)} levels deep")
        key = self.key(source)
        if key is not None:
            # sixteen bytes would do; a text may be long
            name = hashlib.sha256(key).digest()
            if name in self.taken:
                reasons.append("its key is taken by an earlier document")
            elif not reasons:  # a document left out takes nothing
                self.taken.add(name)
        return reasons


# ---- files ----

def documents(path):
    """The documents of a .bson file, one after the other."""
    with open(path, "rb") as file:
        while head := file.read(4):
            size = int32(head, 0)
            raw = head + file.read(size - 4) if size >= 5 else b""
            if len(raw) != size:
                raise Malformed(f"{path}: a document is cut off at byte {file.tell()}")
            yield raw
