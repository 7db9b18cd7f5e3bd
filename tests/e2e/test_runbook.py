"""docs/RUNBOOK.md from top to bottom, as one story in one shell: a migration, both rollbacks, a second try, and the end
of the old collection. tests/runbook.rs runs what needs no server, and holds the rules for the marks of its blocks.
"""

import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from bson.raw_bson import RawBSONDocument

import base
import dumpformat
import harness

PAGE = harness.ROOT / "docs" / "RUNBOOK.md"
DB, SCRATCH = "narrative_modeling", "narrative_modeling_test"
MARK = "--- the output of command "
# The whole page takes half a minute: every mongosh starts anew.
TIMEOUT = 600


def steps(page):
    """The commands of blocks that are run, each with the line it is in and what it prints; and what blocks lack."""
    found, lacking = [], set()
    for block in re.finditer(r"^```(console\b.*)\n((?s:.*?))^```$", page, re.MULTILINE):
        needs = [word.removeprefix("needs=") for word in block[1].split() if word.startswith("needs=")]
        if absent := {need for need in needs if not shutil.which(need)}:
            lacking |= absent
            continue
        first = page.count("\n", 0, block.start(2)) + 1
        for number, line in enumerate(block[2].splitlines(), first):
            if line.startswith("$ "):
                found.append((number, [line[2:]], []))
            elif found[-1][1][-1].endswith("\\"):
                found[-1][1].append(line)
            else:
                found[-1][2].append(line)
    return [(number, "\n".join(command), trimmed(output)) for number, command, output in found], lacking


def trimmed(lines):
    return "\n".join(lines).strip("\n").split("\n")


def steady(line):
    """A line without times: those of the mongo tools' log, and durations."""
    line = re.sub(r"^\d{4}-\d\d-\d\dT\S+\t", "", line)
    return re.sub(r"\d[\d.]* seconds", "# seconds", line)


def pattern(expected):
    """What a text must match: `…` stands for any lines, or for a part of one."""
    parts = []
    for line in map(steady, expected):
        parts.append(r"(?:.*\n)*" if line == "…" else ".*".join(map(re.escape, line.split("…"))) + r"\n")
    return "".join(parts) if expected != [""] else r"\n?"


@unittest.skipUnless(harness.MONGOSH, "the runbook needs mongosh")
class RunbookTest(unittest.TestCase):
    def setUp(self):
        taken = {DB, SCRATCH} & set(harness.client().list_database_names())
        if taken:
            self.skipTest(f"the server has {', '.join(sorted(taken))} already, which the runbook would change")
        for database in (DB, SCRATCH):
            self.addCleanup(harness.client().drop_database, database)
        folder = tempfile.TemporaryDirectory(prefix="mongosplit-runbook-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.load()

    def load(self):
        """The database that the fixture was dumped from."""
        for name, collection in dumpformat.read(harness.ROOT / "fixtures" / "dump").items():
            database, name = name.split(".", 1)
            if database != DB:
                continue
            target = harness.client()[DB][name]
            harness.raw(target).insert_many(map(RawBSONDocument, collection.documents))
            for index in json.loads(collection.metadata)["indexes"]:
                if index["name"] != "_id_":
                    target.create_index([(key, 1) for key in index["key"]], name=index["name"])

    def test_every_command_does_what_the_page_says(self):
        commands, lacking = steps(PAGE.read_text())
        for needs in sorted(lacking):
            print(f"e2e: blocks of the runbook left out: there is no {needs}")
        script = "set -euo pipefail\nexec 2>&1\n"
        for number, (_, command, _) in enumerate(commands):
            script += f"printf '\\n%s\\n' '{MARK}{number}'\n{command}\n"
        done = self.run_story(script)
        outputs = re.split(rf"\n{MARK}\d+\n", "\n" + done.stdout)[1:]
        for (line, command, expected), output in zip(commands, outputs):
            found = "".join(steady(line) + "\n" for line in trimmed(output.splitlines()))
            if expected != ["…"] and not re.fullmatch(pattern(expected), found):
                printed = "\n".join(expected)
                self.fail(f"{PAGE}, line {line}:\n$ {command}\nprinted there:\n{printed}\nfound:\n{found}")
        if done.returncode:
            line, command, _ = commands[len(outputs) - 1]
            self.fail(f"{PAGE}, line {line}: exit {done.returncode}\n$ {command}\n{outputs[-1]}")

    def run_story(self, script):
        """What bash makes of it, with the commands that an operator types, the server's address in MONGODB_URI."""
        home, work, bin = (self.folder / name for name in ("home", "work", "bin"))
        for folder in (home, work, bin):
            folder.mkdir()
        settings = home / ".mongodb" / "mongosh" / "config"
        settings.parent.mkdir(parents=True)
        settings.write_text('{"enableTelemetry":false,"disableLogging":true}')
        harness.write_command(bin, "mongosplit", [str(base.binary())])
        harness.write_command(bin, "mongosh", [harness.MONGOSH, "--norc"])
        for tool in ("mongodump", "mongorestore"):
            harness.write_command(bin, tool, harness.tool_path(tool))
        story = self.folder / "story.sh"
        story.write_text("umask 077\n" + script)
        environment = os.environ | {
            "PATH": f"{bin}{os.pathsep}{os.environ['PATH']}", "HOME": str(home), "MONGODB_URI": harness.server_uri(),
        }
        command = ["bash", str(story)]
        return subprocess.run(
            command, cwd=work, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=TIMEOUT,
        )


if __name__ == "__main__":
    unittest.main()
