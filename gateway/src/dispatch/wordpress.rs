//! What changes of a WordPress need, and what shows what they came to.
//!
//! In go mutations and completions; out come features, queries and results. Invariant: what an action itself tells (counts,
//! checksums) comes before what could be read back, since only the action knows it.

use crate::model::{
    CacheAction, Completion, Error, Extension, ExtensionAction, Kind, Query, SecurityChange, WordpressAnswer, WordpressChange,
    WordpressMutation, WordpressQuery, escape,
};
use serde_json::value::{RawValue, to_raw_value};

/// The features of the fields that are to change.
pub fn security_fields(change: &SecurityChange) -> [(bool, &'static str); 4] {
    [
        (change.file_edit.is_some(), "wordpress.security.file_edit"),
        (change.file_protection.is_some(), "wordpress.security.file_protection"),
        (change.hide_login.is_some(), "wordpress.security.hide_login"),
        (change.debug.is_some(), "wordpress.security.debug"),
    ]
}

/// The query that shows what changed; none where nothing is to be seen, or the action told it.
pub fn read_back(mutation: &WordpressMutation, completion: &Completion) -> Option<Query> {
    if completion.details.is_some() {
        return None;
    }
    let asked = match &mutation.change {
        WordpressChange::Extension { action: ExtensionAction::Delete, .. } => return None,
        WordpressChange::Install { kind, .. } | WordpressChange::Extension { kind, .. } => WordpressQuery::Extensions(*kind),
        WordpressChange::UpdateCore(_) | WordpressChange::ReinstallCore | WordpressChange::Maintenance(_) => {
            WordpressQuery::Status
        }
        WordpressChange::Cache(CacheAction::Purge(_) | CacheAction::Flush) => return None,
        WordpressChange::Cache(CacheAction::Enable | CacheAction::Disable) => WordpressQuery::Cache,
        WordpressChange::Security(_) => WordpressQuery::Security,
        WordpressChange::SearchReplace(_)
        | WordpressChange::VerifyChecksums
        | WordpressChange::CreateAdmin(_)
        | WordpressChange::ResetPassword(_)
        | WordpressChange::LoginLink(_) => return None,
    };
    Some(Query::Wordpress { target: mutation.target.clone(), asked })
}

/// Of a list, the one that was changed or made.
pub fn as_result(
    answer: &WordpressAnswer,
    mutation: &WordpressMutation,
    completion: &Completion,
) -> Result<Option<Box<RawValue>>, Error> {
    let json = match answer {
        WordpressAnswer::Extensions(extensions) => match changed(&mutation.change, completion) {
            Some(id) => to_raw_value(find(extensions, &escape(id))?),
            None => return Ok(None),
        },
        whole => to_raw_value(whole),
    };
    json.map(Some).map_err(Error::gateway)
}

fn changed<'a>(change: &'a WordpressChange, completion: &'a Completion) -> Option<&'a str> {
    match change {
        WordpressChange::Extension { id, .. } => Some(id),
        _ => completion.target.as_deref(),
    }
}

fn find<'a>(extensions: &'a [Extension], id: &str) -> Result<&'a Extension, Error> {
    let missing = || Error::new(Kind::NotFound, "the plugin or theme can't be read back");
    extensions.iter().find(|extension| extension.id == id).ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ExtensionInstall, ExtensionKind, Maintenance, WordpressTarget};

    fn mutation(change: WordpressChange) -> WordpressMutation {
        WordpressMutation { target: WordpressTarget { site: "s1".into(), environment: None }, change }
    }

    fn extension(id: &str) -> Extension {
        Extension { id: escape(id), name: id.into(), version: None, active: true, update: None, native: None }
    }

    #[test]
    fn what_the_action_tells_comes_first() {
        let maintenance = mutation(WordpressChange::Maintenance(Maintenance { enabled: true }));
        let asks = |completion: &Completion| read_back(&maintenance, completion).map(|query| query.action().as_str());
        assert_eq!(asks(&Completion::default()), Some("wordpress.status"));
        let details = Some(RawValue::from_string("{}".into()).unwrap());
        assert_eq!(asks(&Completion { details, ..Completion::default() }), None);
    }

    #[test]
    fn of_a_list_it_is_the_one_that_changed() {
        let answer = WordpressAnswer::Extensions(vec![extension("hello.php"), extension("akismet/akismet.php")]);
        let named = |change: WordpressChange, target: Option<&str>| {
            let completion = Completion { target: target.map(str::to_owned), ..Completion::default() };
            let result = as_result(&answer, &mutation(change), &completion);
            result.map(|json| json.map(|json| serde_json::from_str::<serde_json::Value>(json.get()).unwrap()["name"].clone()))
        };
        let kind = ExtensionKind::Plugin;
        let update = |id: &str| WordpressChange::Extension { kind, action: ExtensionAction::Update, id: id.into() };
        // What was asked for is known; whatever the provider names besides doesn't matter.
        assert_eq!(named(update("hello.php"), Some("s1")).unwrap().unwrap(), "hello.php");
        assert_eq!(named(update("gone.php"), None).unwrap_err().kind, Kind::NotFound);
        let input = ExtensionInstall { source: "akismet".into(), version: None, activate: false };
        let install = || WordpressChange::Install { kind, input: input.clone() };
        assert_eq!(named(install(), Some("akismet/akismet.php")).unwrap().unwrap(), "akismet/akismet.php");
        assert_eq!(named(install(), None).unwrap(), None);
    }
}
