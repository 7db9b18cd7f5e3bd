//! The sources of several outputs of one mapping, joined by their namespace.

use crate::artifact::reader::Artifact;
use crate::error::{Error, Result};
use crate::manifest::{self, digest_text};
use crate::plain::PlainPath;

/// The sources of one namespace, one after the other. There is one for each output that has it.
pub(super) struct Group {
    pub(super) members: Vec<Member>,
    /// What the manifests say of all of them together. Its SHA-256 is the first one's.
    pub(super) recorded: manifest::Source,
}

/// A source by its numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Member {
    pub(super) output: usize,
    pub(super) source: usize,
}

impl Group {
    /// The groups of some outputs, in the order in which their namespaces are named first.
    ///
    /// # Errors
    ///
    /// [`Error::Check`] if sources of one namespace have gone to different collections, or sources of
    /// different ones to the same.
    pub(super) fn of(outputs: &[Artifact]) -> Result<Vec<Group>> {
        let mut groups: Vec<Group> = Vec::new();
        for (output, artifact) in outputs.iter().enumerate() {
            for (source, recorded) in artifact.manifest.sources.iter().enumerate() {
                let member = Member { output, source };
                let of_source = |group: &&mut Group| group.recorded.namespace == recorded.namespace;
                match groups.iter_mut().find(of_source) {
                    Some(group) => {
                        let first = &outputs[group.members[0].output];
                        group.check(first, artifact, recorded)?;
                        group.add(member, recorded);
                    }
                    None => {
                        groups.push(Group { members: vec![member], recorded: recorded.clone() })
                    }
                }
            }
        }
        check_targets(&groups)?;
        Ok(groups)
    }

    /// Fails if a source has gone to other collections than those before it.
    fn check(&self, first: &Artifact, other: &Artifact, recorded: &manifest::Source) -> Result<()> {
        let pairs = self.recorded.targets.iter().zip(&recorded.targets);
        match pairs.into_iter().find(|(one, another)| one.namespace != another.namespace) {
            Some((one, another)) => Err(Error::Check(format!(
                "{} is {} in '{}', and {} in '{}'; reverse these outputs one by one",
                recorded.namespace,
                one.namespace,
                first.out().plain(),
                another.namespace,
                other.out().plain()
            ))),
            None => Ok(()),
        }
    }

    fn add(&mut self, member: Member, recorded: &manifest::Source) {
        self.members.push(member);
        let all = &mut self.recorded;
        all.documents += recorded.documents;
        all.bytes += recorded.bytes;
        all.rejected += recorded.rejected;
        all.round_trip.proven += recorded.round_trip.proven;
        all.round_trip.whole += recorded.round_trip.whole;
        for (all, one) in all.targets.iter_mut().zip(&recorded.targets) {
            let number = |text: &str| u128::from_str_radix(text, 16).unwrap_or_default();
            all.documents += one.documents;
            all.digest = digest_text(number(&all.digest).wrapping_add(number(&one.digest)));
        }
    }
}

/// Fails if two sources have gone to one collection: it is not clear which of them a document created
/// there belongs to.
fn check_targets(groups: &[Group]) -> Result<()> {
    let mut known: Vec<(&str, &str)> = Vec::new();
    for Group { recorded, .. } in groups {
        for target in &recorded.targets {
            let taken = known.iter().find(|(namespace, _)| *namespace == target.namespace);
            if let Some((namespace, source)) = taken {
                return Err(Error::Check(format!(
                    "{source} and {} have both gone to {namespace}; reverse these outputs one by one",
                    recorded.namespace
                )));
            }
            known.push((&target.namespace, &recorded.namespace));
        }
    }
    Ok(())
}
