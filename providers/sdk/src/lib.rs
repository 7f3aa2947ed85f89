//! Prototype.
#![allow(unsafe_code, missing_docs)]
pub mod imports {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "package portico:sdk-imports; world sdk-imports { include portico:provider/imports@1.0.0; }",
        world: "portico:sdk-imports/sdk-imports",
        generate_all,
    });
}
macro_rules! export_world {
    ($module:ident, $world:literal, $inline:literal, $macro:literal) => {
        pub mod $module {
            wit_bindgen::generate!({
                path: "../../wit",
                inline: $inline,
                world: $world,
                with: { "portico:provider/types@1.0.0": crate::imports::portico::provider::types },
                pub_export_macro: true,
                export_macro_name: $macro,
            });
        }
    };
}
export_world!(
    provider,
    "portico:sdk-provider/w-provider",
    "package portico:sdk-provider; world w-provider { export portico:provider/provider@1.0.0; }",
    "export_provider"
);
export_world!(
    sites,
    "portico:sdk-sites/w-sites",
    "package portico:sdk-sites; world w-sites { export portico:provider/sites@1.0.0; }",
    "export_sites"
);
export_world!(
    backups,
    "portico:sdk-backups/w-backups",
    "package portico:sdk-backups; world w-backups { export portico:provider/backups@1.0.0; }",
    "export_backups"
);
