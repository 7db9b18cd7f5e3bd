//! A small mapping, and a dump for it.

use bson::{Document, doc, oid::ObjectId};

use super::World;

/// Each of its targets takes, unwinds or filters.
pub const MAPPING: &str = r#"
format = 2
name = "shop"
version = "1"
source = "old"
key = "_id"
drop = ["secret"]

[[target]]
collection = "people"
rest = true
fields = [
  { name = "_id" },
  { name = "name", copy = ["name", "nick"], must = { bsonType = "string" } },
  { name = "city", copy = "address.city" },
  { name = "zip", copy = "address.zip", if_missing = "none" },
  { name = "joined", convert = "date" },
  { name = "ghost", copy = "gost", or_null = true },
]

[[target]]
collection = "orders"
unwind = "orders"
key = "person"
fields = [
  { name = "_id", copy = "id" },
  { name = "person", outer = "_id" },
  { name = "price" },
  { name = "discount" },
]

[[target]]
collection = "bots"
where = { bot = true }
fields = [{ name = "_id" }, { name = "model" }]

[[test]]
name = "a person"
given = { _id = 1, name = "Ada" }
expect = { people = [{ _id = 1, name = "Ada", zip = "none", ghost = { "$null" = true } }], bots = [] }
"#;

/// Two people, and what the mapping makes findings of.
pub fn people() -> Vec<Document> {
    vec![
        doc! { "_id": ObjectId::from_bytes([7; 12]), "name": "Ada", "address": { "city": "York", "street": "Mill Lane" },
        "orders": [{ "id": 1, "price": 2.5, "coupon": "X" }, { "id": 2, "price": 1 }, "lost"],
        "joined": "2020-02-01T10:00:00+02:00", "secret": "s", "tags": ["a"] },
        doc! { "_id": "two", "nick": 5, "address": null, "joined": "some day", "tags": 1 },
        doc! { "joined": bson::DateTime::from_millis(0), "_id": 3, "name": "Cy", "orders": [] },
    ]
}

/// A world with the mapping and a dump.
pub fn world() -> World {
    let world = World::new();
    world.write("shop.toml", MAPPING);
    let documents = people().iter().flat_map(|one| one.to_vec().expect("BSON")).collect::<Vec<_>>();
    world.write("dump/shop/old.bson", documents);
    world.write("dump/shop/old.metadata.json", "{\"options\":{},\"indexes\":[]}");
    world
}
