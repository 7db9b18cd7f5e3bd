#!/usr/bin/env python3
"""The same split as a straightforward script on pymongo's bson, to compare speeds with.

    split.py DUMP.bson OUTDIR

Documents become dictionaries, dictionaries become documents: no journal, no proof, no manifest, no hashes, no checks, not
byte exact. This is what one would write on an afternoon.
"""

import sys
from datetime import datetime, timezone
from pathlib import Path

import bson

DATASET_READ = set("""_id user_id dataset_id filename original_filename file_type file_path s3_url row_count num_rows num_columns columns data_schema
    schema statistics quality_report data_preview aiSummary contains_pii pii_report pii_risk_level pii_masked is_processed processed_at
    onboarding_progress created_at updated_at transformation_history model_name description problem_type algorithm feature_config
    training_config model_path model_file_url feature_transformer_path model_size trained_at tags notes hyperparameters
    training_metrics model_status""".split())
MODEL_COPIED = """description problem_type algorithm feature_config training_config model_path model_file_url feature_transformer_path
    model_size trained_at tags notes""".split()
STEP_TYPES = {"remove_duplicates": "drop_duplicates", **{f"impute_{how}": "impute" for how in ("mean", "median", "mode", "forward", "backward")}}


def moment(value):
    if not isinstance(value, str):
        return value
    try:
        parsed = datetime.fromisoformat(value)
    except ValueError:
        return value
    return parsed.astimezone(timezone.utc) if parsed.tzinfo else parsed


def schema_field(item):
    return {**item, "data_type": item.get("data_type"), "example_values": item.get("example_values", []),
            "is_constant": item.get("is_constant", False), "is_high_cardinality": item.get("is_high_cardinality", False)}


def step(item, updated_at):
    new, parameters = {}, dict(item.get("parameters") or {})
    for name, value in item.items():
        if name in ("type", "transformation_type"):
            if value in STEP_TYPES:
                parameters["legacy_type"], value = value, STEP_TYPES[value]
            new["transformation_type"] = value
        elif name in ("timestamp", "applied_at"):
            new["applied_at"] = moment(value)
        elif name == "affected_rows":
            new["rows_affected"] = value
        else:
            new[name] = value
    new["parameters"] = parameters
    new.setdefault("column", parameters.get("column"))
    new.setdefault("columns", parameters.get("columns"))
    new.setdefault("applied_at", updated_at)
    new.setdefault("is_valid", True)
    new.setdefault("validation_errors", [])
    new.setdefault("rows_affected", None)
    new.setdefault("data_loss_percentage", None)
    return new


def head(old):
    return {"_id": old.get("_id"), "user_id": old.get("user_id"), "dataset_id": str(old.get("_id"))}


def dataset(old):
    pii = old.get("pii_report") or {}
    schema = old.get("data_schema") or []
    new = {**head(old), "filename": old.get("filename"), "original_filename": old.get("original_filename") or old.get("filename"),
           "file_type": old.get("file_type") or "csv", "file_path": old.get("file_path") or f"datasets/{old.get('user_id')}/{old.get('filename')}",
           "s3_url": old.get("s3_url"), "file_size": None, "num_rows": old.get("row_count") or old.get("num_rows"),
           "num_columns": old.get("num_columns"), "columns": old.get("columns") or [field.get("field_name") for field in schema],
           "data_schema": [schema_field(field) for field in schema], "schema": old.get("schema")}
    for name in ("statistics", "quality_report", "data_preview"):
        new[name] = old.get(name)
    new["aiSummary"] = old.get("aiSummary")
    new["pii_report"] = {"contains_pii": old.get("contains_pii") or False,
                         "pii_fields": pii.get("fields") or [found.get("column") for found in pii.get("detections") or []],
                         "risk_level": old.get("pii_risk_level") or "low", "detection_details": pii,
                         "masked": old.get("pii_masked") or False, "masked_at": None}
    new["is_processed"] = old.get("is_processed") or False
    for name in ("processed_at", "onboarding_progress", "created_at", "updated_at"):
        new[name] = old.get(name)
    new["version"], new["parent_dataset_id"] = "1.0.0", None
    new.update((name, value) for name, value in old.items() if name not in DATASET_READ)
    return new


def config(old):
    steps = [step(item, old.get("updated_at")) for item in old.get("transformation_history") or []]
    return {**head(old), "config_id": f"{old.get('_id')}_config", "transformation_steps": steps, "current_file_path": old.get("file_path"),
            "is_applied": bool(steps), "applied_at": old.get("updated_at") if steps else None, "validation_result": None,
            "last_validated_at": None, "last_preview": None, "total_transformations": len(steps), "total_data_loss": 0.0,
            "created_at": old.get("created_at"), "updated_at": old.get("updated_at"), "version": "1.0.0", "parent_config_id": None}


def model(old):
    new = {**head(old), "model_id": f"{old.get('_id')}_model", "name": old.get("model_name") or old.get("original_filename")}
    new.update((name, old.get(name)) for name in MODEL_COPIED)
    new.update(hyperparameters=old.get("hyperparameters") or {}, performance_metrics=old.get("training_metrics"),
               status=old.get("model_status") or "trained", version="1.0.0", is_active=True, created_at=old.get("created_at"),
               updated_at=old.get("updated_at"))
    return new


def main(dump, out):
    out = Path(out)
    out.mkdir(parents=True)
    documents = 0
    with open(dump, "rb") as source, open(out / "dataset_metadata.bson", "wb") as datasets, \
            open(out / "transformation_configs.bson", "wb") as configs, open(out / "model_configs.bson", "wb") as models:
        for old in bson.decode_file_iter(source):
            datasets.write(bson.encode(dataset(old)))
            configs.write(bson.encode(config(old)))
            if old.get("algorithm") or old.get("hyperparameters") or old.get("training_metrics"):
                models.write(bson.encode(model(old)))
            documents += 1
    print(f"{documents} documents")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
