//! What a component imports and exports, checked by name before anything is linked or run.
//!
//! In goes a component's type; out comes the list of its interfaces. Invariant: a component that needs what isn't offered is
//! refused with the name and version that it needs. It doesn't check functions: linking and loading do.

mod features;

use super::trap::broken;
use crate::model::{Error, Kind};
use wasmtime::{Engine, component::types::Component};

const PACKAGE: &str = "portico:provider";
/// The contract's version that this gateway offers.
const OFFERED: Version = Version { major: 1, minor: 0, patch: 0 };
const IMPORTS: [&str; 6] = ["types", "upstream", "state", "log", "clock", "random"];
const EXPORTS: [&str; 9] =
    ["provider", "operations", "sites", "environments", "backups", "domains", "deployments", "wordpress", "billing"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Version {
    major: u64,
    minor: u64,
    patch: u64,
}

impl std::fmt::Display for Version {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

/// Names of a component's interfaces, as they stand in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Interfaces {
    pub imports: Vec<String>,
    pub exports: Vec<String>,
}

/// Which interfaces of the contract a component exports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Exported {
    pub(super) operations: bool,
    pub(super) sites: bool,
    pub(super) environments: bool,
    pub(super) backups: bool,
    pub(super) domains: bool,
    pub(super) deployments: bool,
    pub(super) wordpress: bool,
    pub(super) billing: bool,
}

impl Exported {
    fn has(&self, interface: &str) -> bool {
        match interface {
            "operations" => self.operations,
            "sites" => self.sites,
            "environments" => self.environments,
            "backups" => self.backups,
            "domains" => self.domains,
            "deployments" => self.deployments,
            "wordpress" => self.wordpress,
            "billing" => self.billing,
            _ => false,
        }
    }

    /// An action's name begins with the interface that carries it out.
    pub(super) fn check_asked(&self, action: &str) -> Result<(), Error> {
        let interface = action.split('.').next().unwrap_or(action);
        if self.has(interface) {
            return Ok(());
        }
        Err(Error::new(Kind::Unsupported, format!("the provider does not support {action}")).with_field(action))
    }

    /// A feature must be one that the contract lists, and its interface must be there.
    pub(super) fn check_feature(&self, feature: &str) -> Result<(), Error> {
        let Some(interface) = features::interface_of(feature) else {
            return Err(broken(format_args!("the feature {feature:?} is none that the contract lists")));
        };
        self.check_interface(interface, format_args!("the feature {feature}"))
    }

    /// The same for an action that is named for its recovery or its cache.
    pub(super) fn check_action(&self, action: &str) -> Result<(), Error> {
        let Some(interface) = features::interface_of_action(action) else {
            return Err(broken(format_args!("the action {action:?} is none that the contract lists")));
        };
        self.check_interface(interface, format_args!("the action {action}"))
    }

    fn check_interface(&self, interface: &str, what: std::fmt::Arguments<'_>) -> Result<(), Error> {
        if self.has(interface) {
            return Ok(());
        }
        Err(broken(format_args!(
            "configure names {what}, but the component doesn't export {PACKAGE}/{interface}@{OFFERED}; export it or leave the name out"
        )))
    }
}

/// Reads the names without judging them.
pub(super) fn interfaces(engine: &Engine, component: &Component) -> Interfaces {
    Interfaces {
        imports: component.imports(engine).map(|(name, _)| name.to_owned()).collect(),
        exports: component.exports(engine).map(|(name, _)| name.to_owned()).collect(),
    }
}

/// Refuses what can't be linked, and says what would help.
pub(super) fn check(interfaces: &Interfaces) -> Result<Exported, Error> {
    for import in &interfaces.imports {
        check_import(import)?;
    }
    let mut found = Vec::new();
    for export in &interfaces.exports {
        if let Some((interface, version)) = contract(export) {
            let Some(known) = EXPORTS.into_iter().find(|known| *known == interface) else {
                return Err(unusable(format!(
                    "it exports {export}, which is no interface of {PACKAGE}@{OFFERED}; build it against this gateway's wit folder"
                )));
            };
            check_version("exports", export, version)?;
            found.push(known);
        }
    }
    let has = |name: &str| found.contains(&name);
    if !has("provider") {
        return Err(unusable(format!("it doesn't export {PACKAGE}/provider@{OFFERED}; every provider must")));
    }
    Ok(Exported {
        operations: has("operations"),
        sites: has("sites"),
        environments: has("environments"),
        backups: has("backups"),
        domains: has("domains"),
        deployments: has("deployments"),
        wordpress: has("wordpress"),
        billing: has("billing"),
    })
}

fn check_import(import: &str) -> Result<(), Error> {
    if let Some((interface, version)) = contract(import) {
        if !IMPORTS.contains(&interface) {
            let text =
                format!("it imports {import}, which {PACKAGE}@{OFFERED} doesn't offer; it offers {}", IMPORTS.join(", "));
            return Err(unusable(text));
        }
        return check_version("imports", import, version);
    }
    if import.starts_with("wasi:") {
        return Err(unusable(format!(
            "it imports {import}, and components that import WASI aren't supported yet; build it for wasm32-unknown-unknown"
        )));
    }
    Err(unusable(format!("it imports {import}, which no provider can have; only interfaces of {PACKAGE} are offered")))
}

/// Interface and version of a name of the contract's package.
fn contract(name: &str) -> Option<(&str, Option<Version>)> {
    let rest = name.strip_prefix(PACKAGE)?.strip_prefix('/')?;
    Some(match rest.split_once('@') {
        Some((interface, version)) => (interface, parse_version(version)),
        None => (rest, None),
    })
}

fn parse_version(text: &str) -> Option<Version> {
    let mut numbers = text.splitn(3, '.').map(str::parse);
    let (major, minor, patch) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some(Version { major, minor, patch })
}

/// A 1.x component runs where at least its version is offered.
fn check_version(does: &str, name: &str, version: Option<Version>) -> Result<(), Error> {
    let help = match version {
        Some(needed) if needed.major == OFFERED.major && needed <= OFFERED => return Ok(()),
        Some(needed) if needed > OFFERED => "update the gateway, or build the component against this gateway's wit folder",
        _ => "build the component against this gateway's wit folder",
    };
    Err(unusable(format!("it {does} {name}, but this gateway offers {PACKAGE}@{OFFERED}; {help}")))
}

fn unusable(why: String) -> Error {
    Error::new(Kind::InvalidInput, format!("the component can't be used: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(imports: &[&str], exports: &[&str]) -> Result<Exported, String> {
        let own = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        check(&Interfaces { imports: own(imports), exports: own(exports) }).map_err(|error| error.message)
    }

    #[test]
    fn optional_interfaces_are_decided_by_export_name() {
        let exported = judge(
            &["portico:provider/types@1.0.0", "portico:provider/upstream@1.0.0"],
            &["portico:provider/provider@1.0.0", "portico:provider/sites@1.0.0", "another:package/thing"],
        );
        assert_eq!(exported, Ok(Exported { sites: true, ..Exported::default() }));
    }

    #[test]
    fn refusals_name_what_is_needed_and_what_is_offered() {
        let provider = "portico:provider/provider@1.0.0";
        let table: [(&[&str], &[&str], &[&str]); 7] = [
            (&["portico:provider/upstream@1.1.0"], &[provider], &["upstream@1.1.0", "@1.0.0", "update the gateway"]),
            (&["portico:provider/upstream@0.9.0"], &[provider], &["upstream@0.9.0", "@1.0.0"]),
            (&["portico:provider/upstream"], &[provider], &["imports portico:provider/upstream,"]),
            (&["portico:provider/shell@1.0.0"], &[provider], &["shell@1.0.0", "upstream, state"]),
            (&["wasi:cli/environment@0.2.0"], &[provider], &["wasi:cli/environment@0.2.0", "wasm32-unknown-unknown"]),
            (&["env"], &[provider], &["imports env,"]),
            (&[], &["portico:provider/sites@1.0.0"], &["doesn't export portico:provider/provider@1.0.0"]),
        ];
        for (imports, exports, parts) in table {
            let message = judge(imports, exports).unwrap_err();
            for part in parts {
                assert!(message.contains(part), "{message}");
            }
        }
        let message = judge(&[], &[provider, "portico:provider/sties@1.0.0"]).unwrap_err();
        assert!(message.contains("sties@1.0.0"), "{message}");
    }

    #[test]
    fn a_feature_needs_its_interface_and_a_place_in_the_contract() {
        let exported = Exported { sites: true, ..Exported::default() };
        exported.check_feature("sites.create.php_version").unwrap();
        let message = exported.check_feature("backups.list").unwrap_err().message;
        assert!(message.contains("backups.list") && message.contains("portico:provider/backups@1.0.0"), "{message}");
        assert_eq!(exported.check_asked("backups.list").unwrap_err().kind, Kind::Unsupported);
        exported.check_asked("sites.list").unwrap();
        assert!(exported.check_feature("sites.fly").unwrap_err().message.contains("sites.fly"));
    }
}
