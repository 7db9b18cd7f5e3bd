"""Other mappings than the default one, between a server's dump and its restore: two of one database, and
three of `mappings/examples`, with a target of the source's name, an unwound array and a spread document.
"""

import tempfile
import unittest
from datetime import datetime, timezone
from pathlib import Path

import bson
from bson import ObjectId

import dumpformat
import generate
import harness
from base import (
    DB, INDEXES, OTHER, TARGETS, by_id, indexes, load, mongosplit, printed_restore, rename_as_printed, said,
)

EXAMPLES = harness.ROOT / "mappings" / "examples"
DAY = datetime(2025, 8, 1, tzinfo=timezone.utc)


def ml_models(count=40):
    """Models as the old application stored them; every fifth has something that the new model would refuse."""
    for number in range(count):
        model = {
            "_id": ObjectId(f"{0x69000000 + number:08x}{number:016x}"),
            "user_id": f"user_{number % 7:04}", "dataset_id": f"dataset_{number:016x}",
            "model_id": f"model_{number:04}",
            "name": f"model {number}", "problem_type": "regression", "algorithm": "Ridge",
            "feature_names": ["age", "città"], "target_column": "price", "n_features": 2,
            "feature_importance": {"age": 0.25, "città": 0.75},
            "training_time": 1.5, "n_samples_train": 80, "cv_score": 0.5, "test_score": 0.25,
            "metrics": {"rmse": 1.5, "log_loss": 0.75}, "training_config": {"test_size": 0.2, "cv_folds": 5},
            "model_path": f"models/{number}.pkl", "feature_transformer_path": None, "model_size": 1000 + number,
            "version": "1.0.0", "is_active": number % 3 > 0, "created_at": DAY, "updated_at": DAY, "last_used_at": None,
            "remark": {"by": number},
        }
        if number % 5 == 4:
            model |= {"cv_score": -1523.75, "metrics": {"rmse": -1.0, "f1_score": "n/a"}}
        yield model


class Database(unittest.TestCase):
    """A folder, and a server that holds nothing of an earlier test."""

    def setUp(self):
        for database in (DB, OTHER):
            harness.client().drop_database(database)
        folder = tempfile.TemporaryDirectory(prefix="mongosplit e2e ")  # a name that needs quoting
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.database = harness.client()[DB]

    def dumped(self, name):
        harness.dump(DB, self.folder / name)
        return self.folder / name

    def transform(self, dump, name, mapping):
        """An output, and what was printed."""
        done = mongosplit("transform", dump, self.folder / name, "--mapping", mapping)
        return self.folder / name, said(done)

    def reverse(self, name, out, *options):
        """Reverses to a place of this name; it, and what was printed."""
        return self.folder / name, said(mongosplit("reverse", out, self.folder / name, *options))

    def file(self, dump, collection):
        return (dump / DB / f"{collection}.bson").read_bytes()

    def documents(self, dump, collection):
        """The documents of a collection of a dump, as the driver reads them."""
        return [bson.decode(document) for document in dumpformat.read(dump)[f"{DB}.{collection}"].documents]

    def assert_back(self, back, dump, collection):
        """Exactly the source's files."""
        self.assertEqual(set(dumpformat.read(back)), {f"{DB}.{collection}"})
        for end in ("bson", "metadata.json"):
            name = f"{collection}.{end}"
            self.assertEqual((back / DB / name).read_bytes(), (dump / DB / name).read_bytes(), name)

    def assert_holds(self, collection, *outs):
        """The server's collection has the documents of these outputs, no more and no less."""
        found = by_id(harness.stored(DB, collection))
        expected = by_id(
            document for out in outs for document in dumpformat.read(out)[f"{DB}.{collection}"].documents
        )
        self.assertEqual(found.keys(), expected.keys())
        for key, document in expected.items():
            self.assertEqual(found[key], document)


class TwoMappingsTest(Database):
    """`user_data` and `ml_models` of one dump, restored into one database; both fill `model_configs`."""

    def setUp(self):
        super().setUp()
        load()
        self.database["ml_models"].insert_many(ml_models())
        self.database["ml_models"].create_index("model_id", unique=True)
        self.dump = self.dumped("dump")
        self.data, data_said = self.transform(self.dump, "data", "builtin:user_data")
        self.models, models_said = self.transform(self.dump, "models", "builtin:ml_models")
        for text in (data_said, models_said):
            harness.restore(*printed_restore(text))
        self.restored = self.dumped("restored")

    def test_the_server_holds_both_with_the_indexes_of_both(self):
        for target in TARGETS[:2]:
            self.assert_holds(target, self.data)
        self.assert_holds("model_configs", self.data, self.models)
        for target in TARGETS:
            self.assertEqual(indexes(DB, target), INDEXES[target])

    def test_both_verify_together_and_what_neither_brought_is_told(self):
        mongosplit("verify", self.data, self.models, "--restored", self.restored)
        extra, changed = ObjectId("0123456789abcdef01234567"), next(ml_models())["_id"]
        self.database["model_configs"].insert_one({"_id": extra, "model_id": "by hand"})
        self.database["model_configs"].update_one({"_id": changed}, {"$set": {"name": "renamed"}})
        later = self.dumped("later")
        report = said(mongosplit("verify", self.data, self.models, "--restored", later, status=1))
        self.assertIn(str(extra), report)
        self.assertIn(str(changed), report)
        self.assertNotIn(str(list(ml_models())[1]["_id"]), report)

    def test_each_leads_back(self):
        for out, collection in ((self.data, "user_data"), (self.models, "ml_models")):
            back, _ = self.reverse(f"back {collection}", out)
            self.assert_back(back, self.dump, collection)

    def test_nothing_changed_leads_back_beside_the_other(self):
        for out, other, collection in (
            (self.data, self.models, "user_data"), (self.models, self.data, "ml_models"),
        ):
            options = ("--current", self.restored, "--beside", other, "--strict")
            back, _ = self.reverse(f"back {collection}", out, *options)
            self.assert_back(back, self.dump, collection)

    def test_each_change_goes_back_to_the_mapping_that_brought_the_document(self):
        models = list(ml_models())
        of_data = next(d for d in generate.user_data() if "algorithm" in d and isinstance(d["_id"], ObjectId))["_id"]
        configs = self.database["model_configs"]
        configs.update_one({"_id": of_data}, {"$set": {"algorithm": "of user_data"}})
        configs.update_one({"_id": models[0]["_id"]}, {"$set": {"algorithm": "of ml_models"}})
        configs.delete_one({"_id": models[1]["_id"]})
        later = self.dumped("later")

        back, report = self.reverse("back user_data", self.data, "--current", later, "--beside", self.models)
        expected = generate.user_data()
        next(d for d in expected if d["_id"] == of_data)["algorithm"] = "of user_data"
        self.assertEqual(self.file(back, "user_data"), b"".join(map(bson.encode, expected)))
        self.assertIn("1 drifted, 0 added, 0 deleted", report)

        back, report = self.reverse("back ml_models", self.models, "--current", later, "--beside", self.data)
        expected = [models[0] | {"algorithm": "of ml_models"}, *models[2:]]
        self.assertEqual(self.file(back, "ml_models"), b"".join(map(bson.encode, expected)))
        self.assertIn("1 drifted, 0 added, 1 deleted", report)

    def test_without_the_other_its_documents_are_added_ones(self):
        _, report = self.reverse("alone", self.models, "--current", self.restored)
        models = sum("algorithm" in document for document in generate.user_data())
        self.assertIn(f"{models} added", report)


class ExampleTest(Database):
    """A mapping of `mappings/examples`: there, restored by the printed commands, verified, and back."""

    def example(self, name, source, documents):
        """Everything up to the restore, of the target with the source's name beside the source; what was printed."""
        self.source = source
        self.database[source].insert_many(documents)
        self.database[source].create_index("name")
        self.dump = self.dumped("dump")
        self.out, text = self.transform(self.dump, "out", EXAMPLES / f"{name}.toml")
        self.staged = f"{source}_split"
        options = ("--nsFrom", f"{DB}.{source}", "--nsTo", f"{DB}.{self.staged}")
        self.restored_documents = harness.restore("--stopOnError", *options, str(self.out))
        return text

    def rename(self):
        """Puts the target in the source's place."""
        names = [f"{DB}.{name}" for name in (self.staged, self.source)]
        harness.client().admin.command("renameCollection", names[0], to=names[1], dropTarget=True)

    def assert_there_and_back(self, *targets):
        """The server holds the output; a dump of it verifies and leads back, as does the output alone."""
        for target in targets:
            self.assert_holds(target, self.out)
        self.restored = self.dumped("restored")
        mongosplit("verify", self.out, "--restored", self.restored)
        mongosplit("verify", self.out, "--source", self.dump)
        back, _ = self.reverse("back", self.out)
        self.assert_back(back, self.dump, self.source)
        back, _ = self.reverse("back unchanged", self.out, "--current", self.restored, "--strict")
        self.assert_back(back, self.dump, self.source)

    def assert_back_with(self, expected):
        """After an edit: the source with it, every other byte as it was."""
        back, report = self.reverse("back edited", self.out, "--current", self.dumped("edited"))
        found = dumpformat.read(back)[f"{DB}.{self.source}"].documents
        for document, wanted in zip(found, expected, strict=True):
            if document != bson.encode(wanted):
                self.fail(f"{bson.decode(document)}\nis not\n{wanted}")
        self.assertIn("1 drifted, 0 added, 0 deleted", report)


class UserPrivateTest(ExampleTest):
    """A target with the source's name: it is restored under another name, and renamed over the source."""

    def users(self):
        return [
            {
                "_id": ObjectId(f"5f{number:022x}"), "username": f"user {number}", "id": number,
                "email": f"user{number}@example.org", "password": f"hash {number}", "about": "Plays on Sundays.",
                "friends": [number + 1], "lastSeen": 1625097600000.0 + number,
            }
            for number in range(1, 51)
        ]

    def setUp(self):
        super().setUp()
        self.summary = self.example("tachi_user_private", "users", self.users())

    def test_the_restore_leaves_the_source_alone_until_the_rename(self):
        self.assertEqual(self.restored_documents, (100, 0))
        self.assertEqual(list(self.database["users"].find()), list(self.users_read()))
        self.assertEqual(len(self.database.list_collection_names()), 3)
        self.rename()
        self.assertEqual(set(self.database.list_collection_names()), {"users", "user-private-information"})
        self.assertIsNone(self.database["users"].find_one({"email": {"$exists": True}}))

    def test_the_printed_commands_leave_the_source_alone_until_the_rename(self):
        for name in (self.staged, "user-private-information"):
            self.database.drop_collection(name)
        self.assertEqual(harness.restore(*printed_restore(self.summary)), (100, 0))
        self.assertEqual(list(self.database["users"].find()), list(self.users_read()))
        rename_as_printed(self.summary)
        self.assert_there_and_back("users", "user-private-information")

    def users_read(self):
        return map(bson.decode, map(bson.encode, self.users()))

    def test_there_and_back(self):
        self.rename()
        self.assert_there_and_back("users", "user-private-information")
        private = indexes(DB, "user-private-information")
        self.assertEqual({index for index in map(str, private.values()) if "True" in index},
                         {str(([("userID", 1)], True)), str(([("email", 1)], True))})

    def test_a_dump_from_before_the_rename_is_not_taken_for_the_restored_database(self):
        early = self.dumped("early")
        mongosplit("verify", self.out, "--restored", early, status=1)
        mongosplit("reverse", self.out, self.folder / "back early", "--current", early, "--strict", status=1)
        self.assertFalse((self.folder / "back early").exists())

    def test_an_address_that_changed_since(self):
        self.rename()
        self.database["user-private-information"].update_one({"userID": 7}, {"$set": {"email": "new@example.org"}})
        expected = self.users()
        expected[6]["email"] = "new@example.org"
        self.assert_back_with(expected)

    def test_the_way_back_puts_the_source_in_place(self):
        self.rename()
        back, text = self.reverse("back", self.out)
        self.assertEqual(harness.restore(*printed_restore(text)), (50, 0))
        rename_as_printed(text)
        self.assertEqual(list(self.database["users"].find()), list(self.users_read()))


class GroupChatTest(ExampleTest):
    """An array that is unwound into a collection of its own."""

    def groups(self):
        return [
            {
                "_id": f"b0000000-0000-4000-8000-{number:012}", "name": f"group {number}",
                "chat": [
                    {
                        "id": f"c0000000-0000-4000-8000-{number:06}{item:06}", "text": f"message {item}",
                        "timestamp": 1533945600000.0 + item if item % 2 else DAY, "user": "Ada", "likes": {},
                    }
                    for item in range(number % 4)
                ],
                "memberCount": number,
            }
            for number in range(40)
        ]

    def setUp(self):
        super().setUp()
        self.summary = self.example("habitica_group_chat", "groups", self.groups())
        self.rename()

    def test_there_and_back(self):
        self.assert_there_and_back("groups", "chats")
        self.assertEqual(self.database["chats"].count_documents({}), 60)
        self.assertEqual(self.database["groups"].count_documents({"chat": []}), 40)

    def test_a_message_edited_since(self):
        message = self.groups()[7]["chat"][1]["id"]
        self.database["chats"].update_one({"_id": message}, {"$set": {"text": "edited"}})
        expected = self.groups()
        expected[7]["chat"][1]["text"] = "edited"
        self.assert_back_with(expected)

    def test_a_message_deleted_since(self):
        message = self.groups()[7]["chat"][1]["id"]
        self.database["chats"].delete_one({"_id": message})
        expected = self.groups()
        del expected[7]["chat"][1]
        self.assert_back_with(expected)

    def test_a_message_written_since(self):
        message = {
            "_id": "c1", "id": "c1", "groupId": self.groups()[7]["_id"], "timestamp": DAY, "text": "new",
            "flags": {}, "flagCount": 0, "__v": 0, "user": "Bob", "likes": {},
        }
        self.database["chats"].insert_one(message)
        back, _ = self.reverse("back edited", self.out, "--current", self.dumped("edited"))
        chat = self.documents(back, "groups")[7]["chat"]
        self.assertEqual(len(chat), 4)
        self.assertEqual((chat[3]["id"], chat[3]["text"], chat[3]["user"]), ("c1", "new", "Bob"))
        others = [group for number, group in enumerate(self.documents(back, "groups")) if number != 7]
        expected = [group for number, group in enumerate(self.documents(self.dump, "groups")) if number != 7]
        self.assertEqual(others, expected)

    def test_a_group_deleted_with_its_messages_and_one_made_since(self):
        gone = self.groups()[6]["_id"]
        self.database["groups"].delete_one({"_id": gone})
        self.database["chats"].delete_many({"groupId": gone})
        self.database["groups"].insert_one({"_id": "b1", "name": "new", "chat": [], "memberCount": 1})
        message = {
            "_id": "c1", "id": "c1", "groupId": "b1", "timestamp": DAY, "text": "hello", "flags": {}, "flagCount": 0,
            "__v": 0, "user": "Bob", "likes": {},
        }
        self.database["chats"].insert_one(message)
        back, report = self.reverse("back edited", self.out, "--current", self.dumped("edited"))
        self.assertIn("0 drifted, 1 added, 1 deleted", report)
        found = dumpformat.read(back)[f"{DB}.groups"].documents
        expected = [bson.encode(group) for group in self.groups() if group["_id"] != gone]
        self.assertEqual(found[:-1], expected)
        added = bson.decode(found[-1])
        self.assertEqual((added["_id"], added["name"], added["memberCount"]), ("b1", "new", 1))
        self.assertEqual([(item["id"], item["text"], item["user"]) for item in added["chat"]], [("c1", "hello", "Bob")])

    def test_a_message_that_moved_to_another_group(self):
        message, to = self.groups()[7]["chat"][1]["id"], self.groups()[6]["_id"]
        self.database["chats"].update_one({"_id": message}, {"$set": {"groupId": to}})
        back, _ = self.reverse("back edited", self.out, "--current", self.dumped("edited"))
        chats = {group["_id"]: [item["id"] for item in group["chat"]] for group in self.documents(back, "groups")}
        expected = {group["_id"]: [item["id"] for item in group["chat"]] for group in self.groups()}
        expected[self.groups()[7]["_id"]].remove(message)
        expected[to].append(message)
        self.assertEqual(chats, expected)


class UserPerfsTest(ExampleTest):
    """A document that becomes the root of a collection's documents, for those that have it."""

    def users(self):
        users = [
            {
                "_id": f"user{number}", "username": f"User{number}",
                "perfs": {
                    "blitz": {"gl": {"r": 1500.5 + number, "d": 61.25, "v": 0.06}, "nb": number, "la": DAY},
                    "puzzle": {"gl": {"r": 1850.0, "d": 90.5, "v": 0.09}, "nb": 7, "re": []},
                },
                "count": {"game": number}, "enabled": True,
            }
            for number in range(40)
        ]
        del users[3]["perfs"]
        users[4]["perfs"] = {}
        return users

    def setUp(self):
        super().setUp()
        self.summary = self.example("lichess_user_perfs", "user4", self.users())
        self.rename()

    def test_there_and_back(self):
        self.assert_there_and_back("user4", "user_perf")
        self.assertEqual(self.database["user_perf"].count_documents({}), 38)
        self.assertEqual(self.database["user4"].count_documents({"perfs": {"$exists": True}}), 0)

    def test_a_rating_that_changed_since(self):
        self.database["user_perf"].update_one({"_id": "user5"}, {"$set": {"blitz.nb": 1000}})
        expected = self.users()
        expected[5]["perfs"]["blitz"]["nb"] = 1000
        self.assert_back_with(expected)

    def test_the_first_game_of_a_user_without_ratings(self):
        blitz = {"gl": {"r": 1500.0, "d": 350.0, "v": 0.09}, "nb": 1, "la": DAY}
        for user in ("user3", "user4"):
            self.database["user_perf"].insert_one({"_id": user, "blitz": blitz})
        back, _ = self.reverse("back edited", self.out, "--current", self.dumped("edited"))
        found = {user["_id"]: user for user in self.documents(back, "user4")}
        expected = {user["_id"]: user for user in self.documents(self.dump, "user4")}
        for user in ("user3", "user4"):
            self.assertEqual(found[user].get("perfs"), {"blitz": bson.decode(bson.encode(blitz))})
            expected[user]["perfs"] = found[user]["perfs"]
        self.assertEqual(found, expected)


if __name__ == "__main__":
    unittest.main()
