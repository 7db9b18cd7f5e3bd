"""Source documents for the end-to-end tests: every shape that real dumps hold, the same each time.

Only what every server takes and gives back unchanged, the in-memory one included: odd bytes,
odd types and duplicate keys are the business of mongosplit's own tests.
"""

import random
import uuid
from datetime import datetime, timedelta, timezone

from bson import Binary, Decimal128, Int64, ObjectId, Regex, Timestamp

START = datetime(2025, 6, 1, tzinfo=timezone.utc)
SHAPES = ("application", "application", "application", "export", "export", "old", "model", "odd")
APPLICATION_TYPES = ("encode", "fill_missing", "remove_duplicates", "impute_mean", "trim_whitespace", "to_numeric")
ODD_IDS = ("a-string", 7, Int64(2**40), 12.0, Binary(uuid.UUID(int=5).bytes, 4), True)


def user_data(count=300, seed=1):
    """Documents whose shapes take turns: document i has the shape SHAPES[i % 8]."""
    rng = random.Random(seed)
    return [document(rng, number, SHAPES[number % len(SHAPES)]) for number in range(count)]


def document(rng, number, shape):
    created = START + timedelta(minutes=number, milliseconds=rng.randrange(1000))
    updated = created + timedelta(days=rng.randrange(1, 30), milliseconds=rng.randrange(1000))
    columns = [f"column_{n}" for n in range(rng.randrange(1, 5))]
    fields = {
        "_id": ObjectId(f"{0x683B9800 + number:08x}{rng.randrange(2**64):016x}"),
        "user_id": f"user_{rng.randrange(20):04}",
        "filename": f"{uuid.UUID(int=rng.randrange(2**128))}.csv",
        "original_filename": f"données {number}.csv",
        "s3_url": f"s3://bucket/datasets/{number}.csv",
        "num_rows": rng.randrange(10**6),
        "num_columns": len(columns),
        "data_schema": [schema_field(rng, name) for name in columns],
        "created_at": created,
        "updated_at": updated,
        "aiSummary": {"overview": "good data", "issues": ["skew"], "relationships": [], "suggestions": [],
                      "rawMarkdown": "# Summary", "createdAt": created},
    }
    if shape == "old":
        del fields["original_filename"]
        return fields
    fields |= {
        "contains_pii": rng.random() < 0.5,
        "pii_report": {"has_pii": True, "detections": [{"column": "email", "type": "email", "confidence": 0.19}]},
        "pii_risk_level": rng.choice(("low", "medium")),
        "pii_masked": False,
        "is_processed": True,
        "processed_at": updated,
        "schema": {"columns": columns},
        "statistics": {name: {"mean": rng.random() * 100, "nulls": rng.randrange(9)} for name in columns},
        "quality_report": {"completeness": rng.random()},
        "columns": columns,
        "data_preview": [{name: rng.random() for name in columns}],
        "file_type": rng.choice(("csv", "xlsx", None)),
        "onboarding_progress": None,
        "file_path": f"datasets/{number}.csv",
        "transformation_history": [step(rng, shape, updated, columns) for _ in range(3)],
    }
    if shape == "model":
        fields |= {
            "algorithm": "random_forest",
            "hyperparameters": {"n_estimators": 100, "max_depth": None},
            "training_metrics": {"cv_score": 0.91, "test_score": 0.88},
            "problem_type": "classification",
            "model_path": f"models/{number}.pkl",
            "model_size": rng.randrange(10**6),
            "feature_config": {"feature_names": columns, "target_column": columns[0]},
            "training_config": {"training_time": 1.5, "n_samples_train": 80, "n_samples_test": 20},
            "transformation_history": [],
        }
        if number // len(SHAPES) % 2:
            fields |= {
                "description": "a forest", "model_file_url": None, "feature_transformer_path": None,
                "trained_at": updated, "tags": ["first"], "notes": None,
            }
    if shape == "odd":
        fields |= {
            "_id": ODD_IDS[number // len(SHAPES)] if number // len(SHAPES) < len(ODD_IDS) else fields["_id"],
            "row_count": Int64(number),
            "file_path": None,
            "transformation_history": None,
            "unexpected_field": [Decimal128("1.50"), Timestamp(number, 1), Regex("^a.b$", "ix"), -0.0, float("nan")],
            "notes": {"": Binary(b"\x00\xff"), "a.b": None},
        }
    return fields


def schema_field(rng, name):
    return {
        "field_name": name,
        "field_type": rng.choice(("numeric", "text", "datetime")),
        "inferred_dtype": "object",
        "unique_values": rng.randrange(5000),
        "missing_values": rng.randrange(50),
        "example_values": ["scale", rng.random()],
    }


def step(rng, shape, updated, columns):
    """An item of `transformation_history`: the application wrote dates, the export ISO text."""
    parameters = {"column": rng.choice(columns), "method": "mean", "value": rng.random()}
    if shape == "export":
        text = updated.strftime("%Y-%m-%dT%H:%M:%S.") + f"{rng.randrange(10**6):06}"
        return {
            "type": rng.choice(("encode", "scale", "drop_missing")),
            "column": parameters.pop("column"),
            "parameters": parameters,
            "applied_at": text + rng.choice(("", "Z", "+02:00")),
        }
    return {
        "timestamp": updated,
        "type": rng.choice(APPLICATION_TYPES),
        "parameters": parameters,
        "affected_rows": rng.randrange(1000),
    }
