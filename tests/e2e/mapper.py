"""An object mapper for the new collections, as the application has one.

It knows the stored names of MAPPING.md and nothing else: it asks the server for those fields alone,
so what is stored under another name reads as its default, and the next save writes that default. An
embedded document keeps the fields that its model has; a save writes every field there is.
"""

import copy

from bson import ObjectId

REQUIRED = object()


class Refused(Exception):
    """The application could not load this document."""


class Embedded:
    """A document of these fields, or an array of such; anything but them stays what it is."""

    def __init__(self, fields, default=REQUIRED):
        self.fields = fields
        self.default = default

    def load(self, value):
        if isinstance(value, list):
            return [self.load(item) for item in value]
        return load(self.fields, value) if isinstance(value, dict) else value


SCHEMA_FIELD = {
    "field_name": REQUIRED, "field_type": REQUIRED, "data_type": None, "inferred_dtype": REQUIRED,
    "unique_values": REQUIRED, "missing_values": REQUIRED, "example_values": [],
    "is_constant": False, "is_high_cardinality": False,
}
AI_SUMMARY = {
    "overview": REQUIRED, "issues": REQUIRED, "relationships": REQUIRED, "suggestions": REQUIRED,
    "rawMarkdown": REQUIRED, "createdAt": REQUIRED,
}
PII_REPORT = {
    "contains_pii": False, "pii_fields": [], "risk_level": "low", "detection_details": {},
    "masked": False, "masked_at": None,
}
TRANSFORMATION_STEP = {
    "transformation_type": REQUIRED, "column": None, "columns": None, "parameters": {}, "applied_at": REQUIRED,
    "is_valid": True, "validation_errors": [], "rows_affected": None, "data_loss_percentage": None,
}

# The fields of each collection by their stored names: what they read as where they are not there.
MODELS = {
    "dataset_metadata": {
        "_id": REQUIRED, "user_id": REQUIRED, "dataset_id": REQUIRED, "filename": REQUIRED,
        "original_filename": REQUIRED, "file_type": REQUIRED, "file_path": REQUIRED, "s3_url": REQUIRED,
        "file_size": None, "num_rows": None, "num_columns": None, "columns": [],
        "data_schema": Embedded(SCHEMA_FIELD, []), "schema": None, "statistics": None, "quality_report": None,
        "data_preview": None, "aiSummary": Embedded(AI_SUMMARY, None),
        "pii_report": Embedded(PII_REPORT, PII_REPORT), "is_processed": False, "processed_at": None,
        "onboarding_progress": None, "created_at": REQUIRED, "updated_at": REQUIRED,
        "version": "1.0.0", "parent_dataset_id": None,
    },
    "transformation_configs": {
        "_id": REQUIRED, "user_id": REQUIRED, "dataset_id": REQUIRED, "config_id": REQUIRED,
        "transformation_steps": Embedded(TRANSFORMATION_STEP, []), "current_file_path": None,
        "is_applied": False, "applied_at": None, "validation_result": None, "last_validated_at": None,
        "last_preview": None, "total_transformations": 0, "total_data_loss": 0.0,
        "created_at": REQUIRED, "updated_at": REQUIRED, "version": "1.0.0", "parent_config_id": None,
    },
    "model_configs": {
        "_id": REQUIRED, "user_id": REQUIRED, "dataset_id": REQUIRED, "model_id": REQUIRED, "name": REQUIRED,
        "description": None, "problem_type": REQUIRED, "algorithm": REQUIRED, "feature_config": REQUIRED,
        "training_config": REQUIRED, "model_path": REQUIRED, "model_file_url": None,
        "feature_transformer_path": None, "model_size": REQUIRED, "trained_at": None, "tags": [], "notes": None,
        "hyperparameters": {}, "performance_metrics": REQUIRED, "status": "trained", "version": "1.0.0",
        "is_active": True, "created_at": REQUIRED, "updated_at": REQUIRED,
    },
}


def load(fields, document):
    """A document as the application sees it."""
    loaded = {}
    for name, field in fields.items():
        default = field.default if isinstance(field, Embedded) else field
        if name not in document:
            if default is REQUIRED:
                raise Refused(f"{name} is not there")
            loaded[name] = copy.deepcopy(default)
        else:
            loaded[name] = field.load(document[name]) if isinstance(field, Embedded) else document[name]
    return loaded


class Mapper:
    """The documents of one collection."""

    def __init__(self, database, collection):
        self.collection = database[collection]
        self.fields = MODELS[collection]

    def find(self, **query):
        """Those that match, as far as the application can load them."""
        found = []
        for document in self.collection.find(query, dict.fromkeys(self.fields, 1)):
            try:
                found.append(self.load(document))
            except Refused:
                pass
        return found

    def get(self, **query):
        [document] = self.collection.find(query, dict.fromkeys(self.fields, 1))
        return self.load(document)

    def load(self, document):
        if not isinstance(document["_id"], ObjectId):
            raise Refused(f"{document['_id']!r} is no ObjectId")
        return load(self.fields, document)

    def save(self, document):
        fields = {name: document[name] for name in self.fields if name != "_id"}
        saved = self.collection.update_one({"_id": document["_id"]}, {"$set": fields})
        assert saved.matched_count == 1, document["_id"]

    def insert(self, **fields):
        """A new document with a new `_id`, unless one is given."""
        document = load(self.fields, {"_id": ObjectId()} | fields)
        self.collection.insert_one(document)
        return document

    def delete(self, document):
        deleted = self.collection.delete_one({"_id": document["_id"]})
        assert deleted.deleted_count == 1, document["_id"]
