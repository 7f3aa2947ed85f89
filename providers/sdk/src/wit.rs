//! Bindings generated from `wit/`: one world for the imports, one for each exported interface.
//!
//! One world each, because a component must export exactly the interfaces that it implements, and the generated export macro of
//! a world insists on all of them. The types are generated once, with the imports. Invariant: nothing but the rest of this crate
//! uses these modules by name; providers see their re-exports.
#![allow(unsafe_code, missing_docs, clippy::all, reason = "generated code")]

pub mod work;

pub mod imports {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package portico:sdk-imports; world sdk-imports { include portico:provider/imports@1.0.0; }",
        world: "portico:sdk-imports/sdk-imports",
        additional_derives: [PartialEq],
        generate_all,
    });
}

macro_rules! export_worlds {
    ($($module:ident $macro:literal $world:literal $inline:literal;)+) => {$(
        pub mod $module {
            wit_bindgen::generate!({
                path: "../../wit",
                inline: $inline,
                world: $world,
                with: { "portico:provider/types@1.0.0": crate::wit::imports::portico::provider::types },
                additional_derives: [PartialEq],
                pub_export_macro: true,
                export_macro_name: $macro,
            });
            pub use exports::portico::provider::$module::*;
        }
    )+};
}

export_worlds! {
    provider "export_provider" "portico:sdk-provider/w-provider"
        "package portico:sdk-provider; world w-provider { export portico:provider/provider@1.0.0; }";
    operations "export_operations" "portico:sdk-operations/w-operations"
        "package portico:sdk-operations; world w-operations { export portico:provider/operations@1.0.0; }";
    sites "export_sites" "portico:sdk-sites/w-sites"
        "package portico:sdk-sites; world w-sites { export portico:provider/sites@1.0.0; }";
    environments "export_environments" "portico:sdk-environments/w-environments"
        "package portico:sdk-environments; world w-environments { export portico:provider/environments@1.0.0; }";
    backups "export_backups" "portico:sdk-backups/w-backups"
        "package portico:sdk-backups; world w-backups { export portico:provider/backups@1.0.0; }";
    domains "export_domains" "portico:sdk-domains/w-domains"
        "package portico:sdk-domains; world w-domains { export portico:provider/domains@1.0.0; }";
    deployments "export_deployments" "portico:sdk-deployments/w-deployments"
        "package portico:sdk-deployments; world w-deployments { export portico:provider/deployments@1.0.0; }";
    wordpress "export_wordpress" "portico:sdk-wordpress/w-wordpress"
        "package portico:sdk-wordpress; world w-wordpress { export portico:provider/wordpress@1.0.0; }";
    billing "export_billing" "portico:sdk-billing/w-billing"
        "package portico:sdk-billing; world w-billing { export portico:provider/billing@1.0.0; }";
}
