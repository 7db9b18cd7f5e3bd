"""The JSON reports of every command, good and bad, against docs/report.schema.json. No server is needed."""

import json
import shutil
import tempfile
import unittest
from pathlib import Path

import jsonschema

from base import mongosplit

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "fixtures"
SCHEMA = json.loads((ROOT / "docs/report.schema.json").read_text())
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
COMMANDS = {"transform", "verify", "reverse", "inspect", "sample", "show", "findings", "mapping check", "mapping explain"}


class ReportTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory(prefix="reports ")
        cls.addClassCleanup(folder.cleanup)
        cls.place = Path(folder.name)
        cls.out = cls.place / "out"
        mongosplit("transform", FIXTURES / "dump", cls.out)
        cls.damaged = cls.place / "damaged"
        shutil.copytree(cls.out, cls.damaged)
        (cls.damaged / "SHA256SUMS").unlink()
        cls.later = cls.place / "later"
        shutil.copytree(cls.out, cls.later)
        (cls.later / "narrative_modeling/model_configs.bson").write_bytes(b"")
        cls.mapping = cls.place / "bad.toml"
        cls.mapping.write_text("format = 7\n")

    def runs(self):
        """Each command, with the exit code that it must have."""
        dump, place, out = FIXTURES / "dump", self.place, self.out
        many, cut = FIXTURES / "odd/unrestorable-many", FIXTURES / "odd/truncated-document"
        yield 0, "transform", dump, place / "dry", "--dry-run"
        yield 0, "transform", many, place / "many", "--skip-unrestorable"
        yield 1, "transform", many, place / "none"
        yield 1, "transform", dump, place / "none", "--expect-docs", "5"
        yield 2, "transform", dump, place / "none", "--mapping", self.mapping
        yield 3, "transform", cut, place / "none"
        yield 4, "transform", dump, out
        yield 0, "verify", out
        yield 1, "verify", self.damaged
        yield 1, "verify", out, "--strict"
        yield 0, "verify", out, "--source", dump
        yield 1, "verify", out, "--source", FIXTURES / "odd/no-prelude"
        yield 0, "verify", out, "--restored", out
        yield 1, "verify", out, "--restored", self.later
        yield 1, "verify", out, place / "again"
        yield 3, "verify", out, "--restored", place / "none"
        yield 0, "reverse", out, place / "back"
        yield 0, "reverse", out, place / "current", "--current", out
        yield 0, "reverse", out, place / "changed", "--current", self.later
        yield 1, "reverse", self.damaged, place / "none"
        yield 0, "inspect", dump
        yield 0, "inspect", FIXTURES / "all.archive"
        yield 1, "inspect", FIXTURES / "odd/view"
        yield 3, "inspect", cut
        yield 0, "sample", dump, place / "sample", "--docs", "5"
        yield 4, "sample", dump, out, "--docs", "5"
        yield 0, "show", out, "--id", "legacy-import-58"
        yield 1, "show", out, "--id", "nobody"
        yield 0, "findings", out
        yield 1, "findings", self.damaged
        yield 0, "mapping", "check", "builtin:user_data", dump
        yield 0, "mapping", "check", "builtin:user_data"
        yield 1, "mapping", "check", self.mapping
        yield 0, "mapping", "explain", "builtin:user_data", dump, "--id", "legacy-import-58"
        yield 1, "mapping", "explain", "builtin:user_data", dump, "--id", "nobody"

    def test_every_report_is_as_the_schema_says(self):
        VALIDATOR.check_schema(SCHEMA)
        mongosplit("transform", FIXTURES / "dump", self.place / "again")
        seen, file = set(), self.place / "report.json"
        for status, *words in self.runs():
            with self.subTest(" ".join(map(str, words))):
                done = mongosplit(*words, "--json", "--report", file, status=status)
                report = json.loads(file.read_text())
                VALIDATOR.validate(report)
                VALIDATOR.validate(json.loads(done.stdout))
                self.assertEqual(report["exit_code"], status)
                seen.add(report["command"])
        self.assertEqual(seen, COMMANDS)

    def test_the_schema_refuses_what_is_not_so(self):
        file = self.place / "report.json"
        mongosplit("verify", self.out, "--report", file)
        report = json.loads(file.read_text())
        for change in (
            {"schema": "mongosplit-report/2"},
            {"outcome": "failed"},
            {"exit_code": 1},
            {"result": None},
            {"result": {"outputs": []}},
            {"error": {"code": "check", "message": "", "position": None}},
            {"started": "2026-01-31 09:30:00"},
        ):
            self.assertFalse(VALIDATOR.is_valid(report | change), change)
        # What later versions add is accepted.
        self.assertTrue(VALIDATOR.is_valid(report | {"more": 1, "result": report["result"] | {"more": 1}}))


if __name__ == "__main__":
    unittest.main()
