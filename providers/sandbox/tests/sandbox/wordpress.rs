//! The WordPress toolkit.

use crate::harness::{World, done, input, quick, world};
use portico_sdk::{
    ErrorKind, SiteKind, Sites, Wordpress,
    sites::SiteCreate,
    wordpress::{
        AdminCreate, CacheAction, ExtensionAction, ExtensionKind, InstallInput, SearchReplaceInput, SecurityChange, Target,
    },
};
use serde_json::json;

fn target(site: &str) -> Target {
    Target { site: site.into(), environment: None }
}

fn plugins(world: &World, at: &Target) -> Vec<(String, bool)> {
    let list = world.sandbox.extensions(at, ExtensionKind::Plugin).unwrap();
    list.into_iter().map(|plugin| (plugin.id, plugin.active)).collect()
}

fn install(source: &str) -> InstallInput {
    InstallInput { source: source.into(), version: None, activate: true }
}

#[test]
fn plugins_come_and_go() {
    let world = world(json!({}));
    let at = target(&world.site("Blog"));
    let installed =
        world.finish(|call| world.sandbox.install(call, &at, ExtensionKind::Plugin, install("query-monitor"))).unwrap();
    let id = "query-monitor/query-monitor.php";
    assert_eq!(installed.target.as_deref(), Some(id));
    assert!(plugins(&world, &at).contains(&(id.to_owned(), true)));
    let again = world.sandbox.install(&world.call(), &at, ExtensionKind::Plugin, install("query-monitor")).unwrap_err();
    assert_eq!(again.kind, ErrorKind::Conflict);
    let act = |kind, id: &str, action| world.sandbox.change_extension(&world.call(), &at, kind, id, action);
    assert_eq!(done(act(ExtensionKind::Plugin, id, ExtensionAction::Deactivate).unwrap()).target.as_deref(), Some(id));
    assert!(plugins(&world, &at).contains(&(id.to_owned(), false)));
    done(act(ExtensionKind::Plugin, id, ExtensionAction::Delete).unwrap());
    assert_eq!(plugins(&world, &at).len(), 2);
    assert_eq!(act(ExtensionKind::Plugin, id, ExtensionAction::Update).unwrap_err().kind, ErrorKind::NotFound);

    let active = "twentytwentyfive";
    assert_eq!(act(ExtensionKind::Theme, active, ExtensionAction::Delete).unwrap_err().kind, ErrorKind::Conflict);
    done(act(ExtensionKind::Theme, "twentytwentyfour", ExtensionAction::Activate).unwrap());
    done(act(ExtensionKind::Theme, active, ExtensionAction::Delete).unwrap());

    assert!(world.finish(|call| world.sandbox.install(call, &at, ExtensionKind::Plugin, install("fail-me"))).is_err());
    assert_eq!(plugins(&world, &at).len(), 2);
    let odd = world.sandbox.install(&world.call(), &at, ExtensionKind::Plugin, install("../x")).unwrap_err();
    assert_eq!(odd.field.as_deref(), Some("source"));
}

#[test]
fn switches_stay_as_they_are_set() {
    let world = quick();
    let at = target(&world.site("Blog"));
    let status = || world.sandbox.get_status(&at).unwrap();
    assert_eq!((status().maintenance, status().updates.unwrap().plugins), (Some(false), 1));
    done(world.sandbox.set_maintenance(&world.call(), &at, true).unwrap());
    assert_eq!(status().maintenance, Some(true));
    done(world.sandbox.change_cache(&world.call(), &at, CacheAction::Disable).unwrap());
    assert!(!world.sandbox.get_cache(&at).unwrap().enabled);
    let change = SecurityChange { file_edit: Some(false), file_protection: None, hide_login: Some(true), debug: None };
    done(world.sandbox.change_security(&world.call(), &at, change).unwrap());
    let security = world.sandbox.get_security(&at).unwrap();
    assert_eq!((security.file_edit, security.hide_login, security.debug), (Some(false), Some(true), Some(false)));
}

#[test]
fn core_search_and_checksums() {
    let world = world(json!({}));
    let site = world.finish(|call| {
        Sites::create(&world.sandbox, call, SiteCreate { wordpress_version: Some("6.6".into()), ..input("Blog") })
    });
    let at = target(&site.unwrap().target.unwrap());
    assert_eq!(world.sandbox.get_status(&at).unwrap().updates.unwrap().core.as_deref(), Some("6.8"));
    let odd = world.sandbox.update_core(&world.call(), &at, Some("1.0")).unwrap_err();
    assert_eq!(odd.field.as_deref(), Some("version"));
    world.finish(|call| world.sandbox.update_core(call, &at, None)).unwrap();
    assert_eq!(world.sandbox.get_status(&at).unwrap().version.as_deref(), Some("6.8"));
    world.finish(|call| world.sandbox.reinstall_core(call, &at)).unwrap();
    let search = SearchReplaceInput { search: "http:".into(), replace: "https:".into(), dry_run: true, tables: None };
    let found = world.finish(|call| world.sandbox.search_replace(call, &at, search.clone())).unwrap().details.unwrap();
    assert!(found.contains("replacements"), "{found}");
    let sums = world.finish(|call| world.sandbox.verify_checksums(call, &at)).unwrap().details.unwrap();
    assert!(sums.contains("unknown"), "{sums}");
    let empty = SearchReplaceInput { search: String::new(), ..search };
    assert_eq!(world.sandbox.search_replace(&world.call(), &at, empty).unwrap_err().field.as_deref(), Some("search"));
}

#[test]
fn people_get_in() {
    let world = quick();
    let at = target(&world.site("Blog"));
    let admin = |password: Option<&str>| AdminCreate {
        user: "anna".into(),
        email: "anna@a.example".into(),
        password: password.map(str::to_owned),
    };
    let created = done(world.sandbox.create_admin(&world.call(), &at, admin(None)).unwrap());
    assert_eq!(created.secrets[0].name, "password");
    let again = world.sandbox.create_admin(&world.call(), &at, admin(Some("x"))).unwrap_err();
    assert_eq!(again.field.as_deref(), Some("user"));
    let link = done(world.sandbox.login_link(&world.call(), &at, "anna").unwrap());
    assert!(link.secrets[0].value.starts_with("https://"));
    let reset = done(world.sandbox.reset_password(&world.call(), &at, "anna", Some("mine")).unwrap());
    assert!(reset.secrets.is_empty());
    assert_eq!(world.sandbox.login_link(&world.call(), &at, "eve").unwrap_err().field.as_deref(), Some("user"));
}

#[test]
fn only_wordpress_sites_have_it() {
    let world = quick();
    let site = world.finish(|call| Sites::create(&world.sandbox, call, SiteCreate { kind: SiteKind::Plain, ..input("x") }));
    let at = target(&site.unwrap().target.unwrap());
    assert_eq!(world.sandbox.get_status(&at).unwrap_err().kind, ErrorKind::Conflict);
}
