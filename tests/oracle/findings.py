"""What the application's models would refuse, as MAPPING.md lists it: (constraint, path) pairs for one document.

    findings.py DUMP.bson       counts the documents of each pair

A field that is absent, or null where the list does not allow null, breaks its constraint. `[]` stands for any item.
"""

import struct
import sys
from collections import Counter

import oracle
from oracle import ARRAY, BOOL, DATE, DOCUMENT, DOUBLE, INT32, INT64, STRING, empty, is_a, text_of

FILE_TYPES = set(b"csv excel json parquet xlsx xls".split())
FIELD_TYPES = set(b"numeric text boolean datetime categorical".split())
DATA_TYPES = set(b"nominal ordinal interval ratio".split())
RISKS = set(b"low medium high".split())
STEP_TYPES = set(b"""encode scale impute drop_missing filter aggregate derive normalize standardize one_hot_encode label_encode
    fill_missing drop_duplicates outlier_removal""".split())
COLUMN_TYPES = set(b"encode scale impute fill_missing label_encode normalize standardize".split())
PROBLEMS = set(b"""classification binary_classification multiclass_classification regression clustering time_series
    anomaly_detection""".split())
STATUSES = set(b"training trained deployed archived failed".split())


def kind(*kinds):
    return lambda v: v is not None and v.type in kinds


def or_null(check):
    return lambda v: is_a(v, oracle.NULL) or check(v)


def one_of(texts, fold=bytes):
    return lambda v: is_a(v, STRING) and fold(text_of(v)) in texts


def array_of(check):
    return lambda v: is_a(v, ARRAY) and all(map(check, oracle.items(v)))


def count(v):
    return kind(INT32, INT64)(v) and v.data[-1] < 0x80


def percentage(v):
    if is_a(v, DOUBLE):
        return 0 <= struct.unpack("<d", v.data)[0] <= 100
    return count(v) and int.from_bytes(v.data, "little") <= 100


def summary(v):
    held = oracle.members(v)
    return (is_a(v, DOCUMENT) and text(held.get(b"overview")) and (text(held.get(b"rawMarkdown")) or text(held.get(b"raw_markdown")))
            and all(array_of(text)(held.get(name)) for name in (b"issues", b"relationships", b"suggestions")))


text, truth, moment, doc, array = kind(STRING), kind(BOOL), kind(DATE), kind(DOCUMENT), kind(ARRAY)

DATASET = {
    **dict.fromkeys(b"user_id dataset_id filename original_filename file_path s3_url".split(), ("string", text)),
    **dict.fromkeys(b"num_rows num_columns".split(), ("count", count)),
    b"file_type": ("file_type", one_of(FILE_TYPES, bytes.lower)), b"columns": ("strings", array_of(text)), b"data_schema": ("array", array),
    **dict.fromkeys(b"inferred_schema statistics quality_report onboarding_progress".split(), ("null or document", or_null(doc))),
    b"data_preview": ("null or documents", or_null(array_of(doc))), b"ai_summary": ("null or summary", or_null(summary)),
    b"is_processed": ("boolean", truth), b"processed_at": ("null or date", or_null(moment)),
    **dict.fromkeys(b"created_at updated_at".split(), ("date", moment)),
}
SCHEMA_FIELD = {
    **dict.fromkeys(b"field_name inferred_dtype".split(), ("string", text)), b"field_type": ("field_type", one_of(FIELD_TYPES)),
    b"data_type": ("null or data_type", or_null(one_of(DATA_TYPES))), b"example_values": ("array", array),
    **dict.fromkeys(b"unique_values missing_values".split(), ("count", count)),
    **dict.fromkeys(b"is_constant is_high_cardinality".split(), ("boolean", truth)),
}
PII_REPORT = {b"contains_pii": ("boolean", truth), b"masked": ("boolean", truth), b"risk_level": ("risk", one_of(RISKS)),
              b"detection_details": ("document", doc)}
STEP = {b"transformation_type": ("transformation_type", one_of(STEP_TYPES)), b"parameters": ("document", doc), b"applied_at": ("date", moment),
        b"rows_affected": ("null or count", or_null(count)), b"data_loss_percentage": ("null or percentage", or_null(percentage))}
MODEL = {
    **dict.fromkeys(b"name algorithm model_path".split(), ("string", text)), b"problem_type": ("problem_type", one_of(PROBLEMS)),
    **dict.fromkeys(b"feature_config training_config performance_metrics".split(), ("document", doc)),
    b"model_size": ("count", count), b"status": ("status", one_of(STATUSES)),
}


def findings(raw, outputs):
    pairs = oracle.fields(raw)
    source, found = oracle.first(pairs), set()
    dataset, config = (oracle.first(oracle.fields(outputs[target])) for target in ("dataset_metadata", "transformation_configs"))

    def check(held, constraints, path):
        found.update((name, f"{path}.{key.decode()}") for key, (name, holds) in constraints.items() if not holds(held.get(key)))

    def check_items(value, constraints, path):
        for item in oracle.items(value) if is_a(value, ARRAY) else ():
            if item.type != DOCUMENT:
                found.add(("document", f"{path}[]"))
                continue
            held = oracle.members(item)
            check(held, constraints, f"{path}[]")
            if constraints is STEP and one_of(COLUMN_TYPES)(held.get(b"transformation_type")) and empty(held.get(b"column")) and empty(held.get(b"columns")):
                found.add(("column or columns", f"{path}[]"))

    check(dataset, DATASET, "dataset_metadata")
    check(oracle.members(dataset[b"pii_report"]), PII_REPORT, "dataset_metadata.pii_report")
    check_items(dataset[b"data_schema"], SCHEMA_FIELD, "dataset_metadata.data_schema")
    steps = config[b"transformation_steps"]
    check_items(steps, STEP, "transformation_configs.transformation_steps")
    if steps.type != ARRAY:
        found.add(("array", "transformation_configs.transformation_steps"))
    elif is_a(source.get(b"transformation_history"), ARRAY):
        for item in map(oracle.members, oracle.items(source[b"transformation_history"])):
            found.update(("old name beside the new", old.decode()) for old, new in oracle.RENAMED.items() if old in item and new in item)
    if "model_configs" in outputs:
        check(oracle.first(oracle.fields(outputs["model_configs"])), MODEL, "model_configs")

    read = oracle.ALWAYS_READ | (oracle.MODEL_READ if "model_configs" in outputs else set())
    names = Counter(key for key, _ in pairs)
    for name, times in names.items():
        if name in read and times > 1:
            found.add(("duplicate-field", name.decode()))
        elif name not in read and name in oracle.DATASET_FIELDS:
            found.add(("journal-only", name.decode()))
    rows, num_rows = source.get(b"row_count"), source.get(b"num_rows")
    if not empty(rows) and not empty(num_rows) and rows != num_rows:
        found.add(("journal-only", "num_rows"))
    if not all(map(is_utf8, texts(raw))):
        found.add(("UTF-8", ""))
    return found


def is_utf8(data):
    try:
        return data.decode() is not None
    except UnicodeDecodeError:
        return False


def texts(raw):
    """Every name and every string of a document, at any depth, as bytes."""
    todo = [raw]
    while todo:
        for key, (type_, data) in oracle.fields(todo.pop()):
            yield key
            if type_ in (STRING, oracle.CODE, oracle.SYMBOL):
                yield data[4:-1]
            elif type_ == oracle.REGEX:
                yield data
            elif type_ == oracle.DBPOINTER:
                yield data[4:-13]
            elif type_ in (DOCUMENT, ARRAY):
                todo.append(data)
            elif type_ == oracle.CODE_W_SCOPE:
                end = 8 + oracle.int32(data, 4)
                yield data[8:end - 1]
                todo.append(data[end:])


if __name__ == "__main__":
    counts = Counter()
    for raw in oracle.documents(sys.argv[1]):
        counts.update(findings(raw, oracle.map_document(raw)))
    for (constraint, path), documents in sorted(counts.items()):
        print(f"{documents:8} {constraint:24} {path}")
