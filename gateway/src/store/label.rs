//! Labels as the store keeps them: of a connection's site, named by the host's own id.
//!
//! Invariant: nothing here says what a label means, but that [`PROTECTED`] is looked for in the transaction that deletes a connection.

use crate::model::{ConnectionId, Labels};

/// A site has this label, with any value but `false`: its connection, whose labels go with it, can't be deleted unless that is forced.
pub const PROTECTED: &str = "protected";

/// All labels of one site.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRecord {
    pub connection: ConnectionId,
    /// Native, unescaped.
    pub site: String,
    pub labels: Labels,
}

/// What the end of an operation means for the labels of a site (native, unescaped).
#[derive(Clone, Debug)]
pub enum LabelEnd {
    /// The site is new: it has these, and none of an earlier site of the same id.
    Made {
        site: String,
        labels: Labels,
    },
    Gone {
        site: String,
    },
}

impl LabelEnd {
    pub fn site(&self) -> &str {
        match self {
            Self::Made { site, .. } | Self::Gone { site } => site,
        }
    }
}
