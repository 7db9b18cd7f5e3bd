"""An independent reading of what mappings/ml_models.toml says in its header, on raw BSON and byte exact.

`map_document(raw)` gives the `model_configs` document that `transform` has to write for one `ml_models` document.
"""

import struct

from oracle import (ARRAY, BOOL, DOCUMENT, DOUBLE, INT32, INT64, NULL, STRING, TRUE, VERSION, Value, build, dataset_id_text, document,
                    fields, first, is_a, items, members, or_when_empty, or_when_absent, string, text_of)

READ = set(b"""
    _id user_id dataset_id model_id name description problem_type algorithm feature_names target_column feature_importance training_time
    n_samples_train cv_score test_score n_features model_path feature_transformer_path model_size version is_active created_at updated_at
    last_used_at tags notes""".split())
TARGET_FIELDS = set(b"""
    _id user_id dataset_id model_id name description problem_type algorithm hyperparameters feature_config training_config
    performance_metrics model_path feature_transformer_path model_size status version is_active created_at updated_at trained_at
    last_used_at tags notes""".split())
ZERO = Value(DOUBLE, struct.pack("<d", 0.0))
ONE = Value(INT32, struct.pack("<i", 1))
# test_size -> train_test_split
SHARES = {0.1: 0.9, 0.15: 0.85, 0.2: 0.8, 0.25: 0.75, 0.3: 0.7, 0.33: 0.67, 0.4: 0.6, 0.5: 0.5}


def number_of(value):
    """What a number is; None of any other value."""
    if value is None or value.type not in (INT32, INT64, DOUBLE):
        return None
    return struct.unpack({INT32: "<i", INT64: "<q", DOUBLE: "<d"}[value.type], value.data)[0]


def share(value):
    number = number_of(value)
    return number is not None and 0 <= number <= 1


def optional_share(value):
    return is_a(value, NULL) or share(value)


def optional_size(value):
    number = number_of(value)
    return is_a(value, NULL) or number is not None and number >= 0


def optional_number(value):
    return is_a(value, NULL) or number_of(value) is not None


def folds(value):
    return value.type in (INT32, INT64) and number_of(value) >= 2


def matrix(value):
    rows = items(value) if value.type == ARRAY else []
    return is_a(value, NULL) or value.type == ARRAY and all(
        row.type == ARRAY and all(count.type in (INT32, INT64) for count in items(row)) for row in rows)


METRICS = {b"accuracy": optional_share, b"precision": optional_share, b"recall": optional_share, b"f1_score": optional_share,
           b"roc_auc": optional_share, b"rmse": optional_size, b"mae": optional_size, b"r2_score": optional_number, b"confusion_matrix": matrix}


def map_document(raw):
    pairs = fields(raw)
    source = first(pairs)
    # free-form, and read field by field: what is no document is passed through
    free = {name for name in (b"metrics", b"training_config") if is_a(source.get(name), DOCUMENT)}
    others = [(key, value) for key, value in pairs if key not in READ and key not in TARGET_FIELDS and key not in free]
    return {"model_configs": build(model_config(source) + others)}


def model_config(source):
    get = source.get
    return [
        (b"_id", get(b"_id")),
        (b"user_id", get(b"user_id")),
        (b"dataset_id", get(b"dataset_id")),
        (b"model_id", model_id(source)),
        *((name, get(name)) for name in (b"name", b"description", b"problem_type", b"algorithm")),
        (b"hyperparameters", document([(b"additional_params", additional_params(get(b"training_config")))])),
        (b"feature_config", document((name, get(name)) for name in (b"feature_names", b"target_column", b"feature_importance"))),
        (b"training_config", training_config(source)),
        (b"performance_metrics", performance_metrics(source)),
        *((name, get(name)) for name in (b"model_path", b"feature_transformer_path", b"model_size")),
        (b"status", string(b"archived") if get(b"is_active") == Value(BOOL, b"\0") else string(b"trained")),
        (b"version", or_when_empty(get(b"version"), VERSION)),
        (b"is_active", or_when_empty(get(b"is_active"), TRUE)),
        (b"created_at", get(b"created_at")),
        (b"updated_at", get(b"updated_at")),
        (b"trained_at", get(b"created_at")),
        (b"last_used_at", get(b"last_used_at")),
        (b"tags", get(b"tags")),
        (b"notes", get(b"notes")),
    ]


def key_text(source):
    """The text of `model_id`: the source's own, else from its `_id`; None without either."""
    own, id_value = source.get(b"model_id"), source.get(b"_id")
    if is_a(own, STRING):
        return text_of(own)
    return None if id_value is None else dataset_id_text(id_value)


def model_id(source):
    text = key_text(source)
    return None if text is None else string(text)


def only(value, accepts):
    return value if value is not None and accepts(value) else None


def refused(value, accepts):
    return value if value is not None and not accepts(value) else None


def spread(value, named):
    """The fields of a document that no row reads or writes."""
    return [pair for pair in fields(value.data) if pair[0] not in named] if is_a(value, DOCUMENT) else []


def additional_params(config):
    held = members(config)
    return document([
        (b"cv_folds", refused(held.get(b"cv_folds"), folds)),
        (b"test_size", held.get(b"test_size")),
        *spread(config, {b"cv_folds", b"test_size"}),
    ])


def training_config(source):
    held = members(source.get(b"training_config"))
    split = SHARES.get(number_of(held.get(b"test_size")))
    return document([
        (b"train_test_split", None if split is None else Value(DOUBLE, struct.pack("<d", split))),
        (b"cv_folds", only(held.get(b"cv_folds"), folds)),
        (b"training_time", source.get(b"training_time")),
        (b"n_samples_train", source.get(b"n_samples_train")),
        (b"n_samples_test", ONE),
    ])


def performance_metrics(source):
    metrics = source.get(b"metrics")
    held = members(metrics)
    additional = [
        (b"n_features", source.get(b"n_features")),
        (b"legacy_cv_score", refused(source.get(b"cv_score"), share)),
        (b"legacy_test_score", refused(source.get(b"test_score"), share)),
        *((name, refused(held.get(name), accepts)) for name, accepts in METRICS.items()),
    ]
    return document([
        (b"cv_score", or_when_absent(only(source.get(b"cv_score"), share), ZERO)),
        (b"test_score", or_when_absent(only(source.get(b"test_score"), share), ZERO)),
        *((name, only(held.get(name), accepts)) for name, accepts in METRICS.items()),
        (b"additional_metrics", document(additional + spread(metrics, {name for name, _ in additional}))),
    ])
