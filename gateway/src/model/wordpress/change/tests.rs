//! Every change of a WordPress keeps its form over a restart, and keeps its passwords to itself.

use super::*;
use crate::model::Mutation;

fn every_change() -> Vec<(WordpressChange, &'static str)> {
    let install = ExtensionInstall { source: "akismet".into(), version: None, activate: true };
    let mut all: Vec<_> = ExtensionKind::ALL
        .map(|kind| {
            let change = WordpressChange::Install { kind, input: install.clone() };
            (change, r#""source":"akismet","version":null,"activate":true"#)
        })
        .into();
    for (kind, action) in ExtensionKind::ALL.into_iter().flat_map(|kind| ExtensionAction::ALL.map(|action| (kind, action))) {
        all.push((WordpressChange::Extension { kind, action, id: "a/b.php".into() }, r#""id":"a/b.php""#));
    }
    let admin = SiteAdmin { user: "anna".into(), email: "a@b.example".into(), password: Some("s3cret".to_owned().into()) };
    let reset = PasswordReset { user: "anna".into(), password: Some("s3cret".to_owned().into()) };
    let search =
        SearchReplace { search: "a".into(), replace: String::new(), dry_run: true, tables: Some(vec!["wp_posts".into()]) };
    let security = SecurityChange { debug: Some(true), ..SecurityChange::default() };
    all.extend([
        (WordpressChange::UpdateCore(CoreUpdate { version: Some("6.8".into()) }), r#""version":"6.8""#),
        (WordpressChange::ReinstallCore, ""),
        (WordpressChange::Maintenance(Maintenance { enabled: false }), r#""enabled":false"#),
        (WordpressChange::SearchReplace(search), r#""search":"a","replace":"","dry_run":true,"tables":["wp_posts"]"#),
        (WordpressChange::Cache(CacheAction::Enable), ""),
        (WordpressChange::Cache(CacheAction::Disable), ""),
        (WordpressChange::Cache(CacheAction::Flush), ""),
        (WordpressChange::Cache(CacheAction::Purge(CachePurge { urls: None })), r#""urls":null"#),
        (WordpressChange::Security(security), r#""file_edit":null,"file_protection":null,"hide_login":null,"debug":true"#),
        (WordpressChange::VerifyChecksums, ""),
        (WordpressChange::CreateAdmin(admin), r#""user":"anna","email":"a@b.example","password":"s3cret""#),
        (WordpressChange::ResetPassword(reset), r#""user":"anna","password":"s3cret""#),
        (WordpressChange::LoginLink(LoginLink { user: "anna".into() }), r#""user":"anna""#),
    ]);
    all
}

#[test]
fn a_mutation_is_its_action_and_the_body_with_the_target_beside_it() {
    for (change, input) in every_change() {
        let action = change.action();
        let target = WordpressTarget { site: "s1".into(), environment: Some("staging".into()) };
        let mutation = Mutation::Wordpress(WordpressMutation { target, change });
        let separator = if input.is_empty() { "" } else { "," };
        let expected =
            format!(r#"{{"action":"{}","args":{{"site":"s1","environment":"staging"{separator}{input}}}}}"#, action.as_str());
        let json = serde_json::to_string(&mutation).unwrap();
        assert_eq!(json, expected);
        let back: Mutation = serde_json::from_str(&json).unwrap();
        assert_eq!((back.action(), back.site()), (action, Some("s1")));
        assert_eq!(serde_json::to_string(&back).unwrap(), json);
        assert!(!format!("{back:?}").contains("s3cret"), "{back:?}");
    }
}

#[test]
fn each_change_has_an_action_of_its_own() {
    let actions: std::collections::BTreeSet<Action> = every_change().iter().map(|(change, _)| change.action()).collect();
    let reads = ["status", "plugins.list", "themes.list", "cache.get", "security.get"].map(|name| format!("wordpress.{name}"));
    let of_family = Action::ALL.iter().filter(|action| action.as_str().starts_with("wordpress."));
    let changing: std::collections::BTreeSet<Action> =
        of_family.filter(|action| !reads.iter().any(|read| read == action.as_str())).copied().collect();
    assert_eq!(actions, changing);
}

#[test]
fn other_mutations_and_strangers_are_read_as_before() {
    let json = r#"{"action":"sites.start","args":{"site":"s1"}}"#;
    assert_eq!(serde_json::from_str::<Mutation>(json).unwrap().action(), Action::SitesStart);
    for strange in [
        r#"{"action":"wordpress.status","args":{"site":"s1"}}"#,
        r#"{"action":"wordpress.fly","args":{"site":"s1"}}"#,
        r#"{"action":"wordpress.core.update","args":{}}"#,
        r#"{"action":"sites.start","args":{}}"#,
        r#"{"args":{}}"#,
    ] {
        assert!(serde_json::from_str::<Mutation>(strange).is_err(), "{strange}");
    }
}
