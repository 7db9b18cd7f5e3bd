//! The mappings that are part of the binary.

use super::plan::Plan;
use crate::error::Result;

/// Each mapping's name and text. The first is the one that is used if none is named.
const BUILT_IN: [(&str, &str); 2] = [
    ("user_data", include_str!("../../mappings/user_data.toml")),
    ("ml_models", include_str!("../../mappings/ml_models.toml")),
];

impl Plan {
    /// The built-in mapping of `user_data`.
    ///
    /// # Examples
    ///
    /// ```
    /// let plan = mongosplit::Plan::built_in()?;
    /// let targets: Vec<&str> = plan.target_collections().collect();
    /// assert_eq!(plan.collection(), "user_data");
    /// assert_eq!(targets, ["dataset_metadata", "transformation_configs", "model_configs"]);
    /// assert!(plan.show().contains("aiSummary"));
    /// # Ok::<(), mongosplit::Error>(())
    /// ```
    pub fn built_in() -> Result<Plan> {
        Plan::parse_again(BUILT_IN[0].1)
    }

    /// A built-in mapping by its name. None if there is none.
    ///
    /// # Examples
    ///
    /// ```
    /// use mongosplit::Plan;
    ///
    /// let plan = Plan::built_in_named("ml_models").expect("a built-in mapping")?;
    /// assert_eq!(plan.collection(), "ml_models");
    /// assert!(Plan::built_in_named("nothing").is_none());
    /// # Ok::<(), mongosplit::Error>(())
    /// ```
    pub fn built_in_named(name: &str) -> Option<Result<Plan>> {
        Plan::built_in_text(name).map(Plan::parse_again)
    }

    /// The text of a built-in mapping.
    pub fn built_in_text(name: &str) -> Option<&'static str> {
        BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    /// The names of the built-in mappings.
    pub fn built_in_names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }
}
